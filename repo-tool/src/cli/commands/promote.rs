use std::path::PathBuf;

use clap::Args;
use metadata_schema::release::{Channel, Product, Rollout};
use repo_tool::Result;

use super::channel::{WaveArgs, answer};
use crate::Context;

/// Stage that a channel offers what another one does: the same bytes
///
/// Images and payloads are those that were tried in the first channel; nothing is built. The rollout is the new channel's
/// own: give its waves here.
#[derive(Args, Debug)]
pub(crate) struct PromoteArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// The product
    #[arg(long)]
    product: Product,

    /// The channel that offers the release
    #[arg(long)]
    from: Channel,

    /// The channel that is to offer it
    #[arg(long, default_value = "stable")]
    to: Channel,

    #[command(flatten)]
    waves: WaveArgs,
}

impl PromoteArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let rollout = Rollout {
            waves: self.waves.waves(context.now)?,
            paused: false,
        };
        let channels = (&self.from, &self.to);
        let repository = context.open(&self.folder)?;
        let change = repository.promote(&self.product, channels, &rollout, context.now)?;
        answer(&change, context);
        Ok(())
    }
}
