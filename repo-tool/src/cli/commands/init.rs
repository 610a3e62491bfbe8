use std::io::{BufRead as _, IsTerminal as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use device_pki::{SystemEntropy, TrustAnchor, durable};
use metadata_schema::bins::Bins;
use metadata_schema::release::Product;
use repo_tool::setup::{EXAMPLE, Setup};
use repo_tool::{Error, InitPlan, Minimums, ProductPlan, Repository, Result, Settings};

use super::signers;
use crate::Context;

/// Make a repository and stage its first event
///
/// Either from a set-up file (`--example` prints one, with comments), or by arguments, or, on a terminal, by answering
/// questions. Signers are given as certificate chains in PEM, the person's own certificate first. Each must lead to the trust
/// anchor and name the role that the person is to sign.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// Folder for the repository
    #[arg(required_unless_present = "example")]
    folder: Option<PathBuf>,

    /// A set-up file: all that the other arguments say, and more
    #[arg(long, value_name = "FILE", conflicts_with_all = ["anchor", "product", "device_minimum"])]
    setup: Option<PathBuf>,

    /// Print a set-up file with comments, and do nothing else
    #[arg(long, conflicts_with_all = ["folder", "setup", "anchor"])]
    example: bool,

    /// Certificate of the root CA that the devices trust
    #[arg(long, value_name = "PEM", requires = "root", requires = "threshold")]
    anchor: Option<PathBuf>,

    /// A person who signs root (and targets, unless others do); once for each
    #[arg(long = "root-signer", value_name = "PEM", requires = "anchor")]
    root: Vec<PathBuf>,

    /// How many root signers must sign
    #[arg(long, requires = "anchor")]
    threshold: Option<NonZeroU32>,

    /// A person who signs targets, if these are others than for root
    #[arg(
        long = "targets-signer",
        value_name = "PEM",
        requires = "targets_threshold"
    )]
    targets: Vec<PathBuf>,

    /// How many targets signers must sign
    #[arg(long, requires = "targets")]
    targets_threshold: Option<NonZeroU32>,

    /// A first product
    #[arg(long, requires = "product_threshold")]
    product: Option<Product>,

    /// A person who signs releases of the product; once for each
    #[arg(long = "product-signer", value_name = "PEM", requires = "product")]
    product_signers: Vec<PathBuf>,

    /// How many product signers must sign
    #[arg(long, requires = "product")]
    product_threshold: Option<NonZeroU32>,

    /// Spread the product's files over so many bins, a power of two from 2 to 1024: for thousands of files
    #[arg(long, value_name = "N", requires = "product", value_parser = super::bins)]
    product_bins: Option<Bins>,

    /// Least thresholds that the devices have built in: ROOT,TARGETS,DELEGATED
    #[arg(long, value_name = "N,N,N", value_parser = super::minimums)]
    device_minimum: Option<Minimums>,
}

impl InitArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let Some(folder) = self.folder.clone() else {
            context
                .output
                .answer(&EXAMPLE, || EXAMPLE.lines().map(str::to_owned).collect());
            return Ok(());
        };
        let repository = match (&self.setup, &self.anchor, self.threshold) {
            (Some(file), _, _) => from_setup(&folder, &Setup::read(file)?, context)?,
            (None, Some(anchor), Some(threshold)) => {
                let plan = self.plan(anchor, threshold)?;
                Repository::init(&folder, &plan, context.now, &mut SystemEntropy)?
            }
            _ if std::io::stdin().is_terminal() => {
                let setup = Setup::ask(&mut |question| asked(question, context))?;
                from_setup(&folder, &setup, context)?
            }
            _ => {
                return Err(Error::Argument {
                    what: "init",
                    found: folder.display().to_string(),
                    expected: "--setup FILE, or --anchor, --root-signer and --threshold",
                });
            }
        };
        super::show::answer(&repository.show()?, context);
        context
            .output
            .say("Staged. Next: each signer runs `repo-tool sign`, then `repo-tool publish`.");
        Ok(())
    }

    fn plan(&self, anchor: &Path, threshold: NonZeroU32) -> Result<InitPlan> {
        let root = signers(&self.root, threshold)?;
        let targets = match self.targets_threshold {
            Some(threshold) => signers(&self.targets, threshold)?,
            None => root.clone(),
        };
        let mut products = Vec::new();
        if let (Some(name), Some(threshold)) = (self.product.clone(), self.product_threshold) {
            let signers = signers(&self.product_signers, threshold)?;
            products.push(ProductPlan {
                name,
                signers,
                bins: self.product_bins,
            });
        }
        Ok(InitPlan {
            anchor: TrustAnchor::from_pem(&durable::read_bounded(anchor, 64 * 1024)?)?,
            root,
            targets,
            products,
            settings: Settings {
                device_minimum: self.device_minimum.clone().unwrap_or_default(),
                ..Settings::default()
            },
        })
    }
}

fn from_setup(folder: &Path, setup: &Setup, context: &Context) -> Result<Repository> {
    let checked = setup.check(context.now)?;
    for warning in &checked.warnings {
        context.output.say(&format!("Warning: {warning}"));
    }
    Repository::init_checked(folder, &checked, context.now, &mut SystemEntropy)
}

/// Asks a person at the terminal.
fn asked(question: &str, context: &Context) -> Result<String> {
    context.output.say(question);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(0) | Err(_) => Err(Error::Argument {
            what: "answer",
            found: "the end of the input".to_owned(),
            expected: "an answer, or a set-up file with --setup",
        }),
        Ok(_) => Ok(answer),
    }
}
