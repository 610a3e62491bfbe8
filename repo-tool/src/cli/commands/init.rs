use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use device_pki::{SystemEntropy, TrustAnchor, durable};
use metadata_schema::release::Product;
use repo_tool::{InitPlan, Minimums, ProductPlan, Repository, Result, Settings};

use super::signers;
use crate::Context;

/// Make a repository and stage its first event
///
/// Signers are given as certificate chains in PEM, the person's own certificate first. Each must lead to the trust anchor
/// and name the role that the person is to sign.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// Folder for the repository
    folder: PathBuf,

    /// Certificate of the root CA that the devices trust
    #[arg(long, value_name = "PEM")]
    anchor: PathBuf,

    /// A person who signs root (and targets, unless others do); once for each
    #[arg(long = "root-signer", value_name = "PEM", required = true)]
    root: Vec<PathBuf>,

    /// How many root signers must sign
    #[arg(long)]
    threshold: NonZeroU32,

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

    /// Least thresholds that the devices have built in: ROOT,TARGETS,DELEGATED
    #[arg(long, value_name = "N,N,N", value_parser = super::minimums)]
    device_minimum: Option<Minimums>,
}

impl InitArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let anchor = TrustAnchor::from_pem(&durable::read_bounded(&self.anchor, 64 * 1024)?)?;
        let root = signers(&self.root, self.threshold)?;
        let targets = match self.targets_threshold {
            Some(threshold) => signers(&self.targets, threshold)?,
            None => root.clone(),
        };
        let mut products = Vec::new();
        if let (Some(name), Some(threshold)) = (self.product, self.product_threshold) {
            let signers = signers(&self.product_signers, threshold)?;
            products.push(ProductPlan { name, signers });
        }
        let device_minimum = self.device_minimum.unwrap_or_default();
        let settings = Settings {
            device_minimum,
            ..Settings::default()
        };
        let plan = InitPlan {
            anchor,
            root,
            targets,
            products,
            settings,
        };
        let repository = Repository::init(&self.folder, &plan, context.now, &mut SystemEntropy)?;
        super::show::answer(&repository.show()?, context);
        context
            .output
            .say("Staged. Next: each signer runs `repo-tool sign`, then `repo-tool publish`.");
        Ok(())
    }
}
