use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use device_pki::{SystemEntropy, TrustAnchor, durable};
use metadata_schema::release::Product;
use repo_tool::{InitPlan, Minimums, Place, ProductPlan, Repository, Result, Settings, remote};

use super::signers;
use crate::Context;
use crate::bar::Bar;
use crate::output::bytes;

/// Carry on a repository that another tool made (tuftool, python-tuf): its roots, its targets
///
/// Reads `metadata/` and `targets/` at the given place as a TUF client would, takes them along, and stages the next event. Its
/// root has to be signed by a threshold of the old keys (`sign --key OLD.pem`) and of the new people. Clients without a PKI
/// follow from the old tool's first root on; devices that are bound to the trust anchor begin at the staged root or later:
/// build it into their firmware once it is published.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// Folder or URL of what the old tool publishes
    from: Place,

    /// Folder for the new repository
    folder: PathBuf,

    /// Certificate of the root CA that devices will trust
    #[arg(long, value_name = "PEM")]
    anchor: PathBuf,

    /// A person who signs from now on; once for each
    #[arg(long = "signer", value_name = "PEM", required = true)]
    signers: Vec<PathBuf>,

    /// How many of them must sign
    #[arg(long)]
    threshold: NonZeroU32,

    /// A first product, which the same people sign for
    #[arg(long)]
    product: Option<Product>,

    /// Least thresholds that the devices have built in: ROOT,TARGETS,DELEGATED
    #[arg(long, value_name = "N,N,N", value_parser = super::minimums)]
    device_minimum: Option<Minimums>,
}

impl ImportArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let anchor = TrustAnchor::from_pem(&durable::read_bounded(&self.anchor, 64 * 1024)?)?;
        let people = signers(&self.signers, self.threshold)?;
        let product = self.product.map(|name| ProductPlan {
            name,
            signers: people.clone(),
            bins: None,
        });
        let plan = InitPlan {
            anchor,
            root: people.clone(),
            targets: people,
            products: product.into_iter().collect(),
            settings: Settings {
                device_minimum: self.device_minimum.unwrap_or_default(),
                ..Settings::default()
            },
        };
        let from = remote::open(&self.from)?;
        let bar = Bar::new(context.output.json);
        let imported = Repository::import(
            &self.folder,
            &*from,
            &plan,
            context.now,
            &mut SystemEntropy,
            &|now| bar.show(now),
        );
        bar.finish();
        let (_, imported) = imported?;
        context.output.answer(&imported, || {
            vec![
                format!(
                    "carried over {} target files, {}, and roots 1 to {}",
                    imported.files,
                    bytes(imported.bytes),
                    imported.old_root
                ),
                format!(
                    "staged root v{}: to be signed with the old keys and the new",
                    imported.first_root
                ),
                format!(
                    "clients without a PKI follow from root 1; devices with the trust anchor begin at root {}",
                    imported.first_root
                ),
            ]
        });
        context
            .output
            .say("Next: `repo-tool show`, then the old keys and the new people `repo-tool sign`.");
        Ok(())
    }
}
