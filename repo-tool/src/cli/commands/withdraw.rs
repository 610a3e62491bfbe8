use clap::Args;
use metadata_schema::release::FirmwareVersion;
use repo_tool::{Result, Withdrawal};

use super::channel::{ChannelArgs, answer};
use crate::Context;

/// Stage that a channel no longer offers its release, but the one before, or nothing
///
/// Devices that have the release keep it: none ever goes back. If they should know that it is bad, use `yank`.
#[derive(Args, Debug)]
pub(crate) struct WithdrawArgs {
    #[command(flatten)]
    channel: ChannelArgs,

    /// The release to offer instead [default: the highest that the channel offered before]
    #[arg(long, value_name = "VERSION")]
    instead: Option<FirmwareVersion>,
}

impl WithdrawArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let withdrawal = Withdrawal {
            version: None,
            instead: self.instead,
            reason: None,
        };
        run(&self.channel, &withdrawal, context)
    }
}

/// Stage that a release is bad: nobody installs it any more, and devices that run it say why
///
/// As `withdraw`, with a signed reason. Devices that run the release keep it until there is a higher one, which they then
/// take without waiting for their wave; so follow up with a repaired release under a new version.
#[derive(Args, Debug)]
pub(crate) struct YankArgs {
    #[command(flatten)]
    channel: ChannelArgs,

    /// Which release [default: the one that the channel offers]
    #[arg(long, value_name = "VERSION")]
    version: Option<FirmwareVersion>,

    /// Why, in a sentence: devices show it
    #[arg(long)]
    reason: String,

    /// The release to offer instead [default: the highest that the channel offered before]
    #[arg(long, value_name = "VERSION")]
    instead: Option<FirmwareVersion>,
}

impl YankArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let withdrawal = Withdrawal {
            version: self.version,
            instead: self.instead,
            reason: Some(self.reason),
        };
        run(&self.channel, &withdrawal, context)
    }
}

fn run(channel: &ChannelArgs, withdrawal: &Withdrawal, context: &Context) -> Result<()> {
    let repository = channel.open(context)?;
    let (product, name) = (&channel.product, &channel.channel);
    let change = repository.withdraw(product, name, withdrawal, context.now)?;
    answer(&change, context);
    Ok(())
}
