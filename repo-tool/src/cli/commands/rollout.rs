use clap::Args;
use repo_tool::Result;

use super::channel::{ChannelArgs, WaveArgs, answer};
use crate::Context;

/// Stage other waves for what a channel offers
///
/// Without a wave, the whole fleet may install at once.
#[derive(Args, Debug)]
pub(crate) struct RolloutArgs {
    #[command(flatten)]
    channel: ChannelArgs,

    #[command(flatten)]
    waves: WaveArgs,
}

impl RolloutArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let ChannelArgs {
            product, channel, ..
        } = &self.channel;
        let waves = self.waves.waves(context.now)?;
        let repository = self.channel.open(context)?;
        let change = repository.set_waves(product, channel, &waves, context.now)?;
        answer(&change, context);
        Ok(())
    }
}

/// Stage that no device installs what a channel offers, for now
///
/// Devices that have installed it keep it. `resume` opens the same waves again.
#[derive(Args, Debug)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    channel: ChannelArgs,
}

impl PauseArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        pause(&self.channel, true, context)
    }
}

/// Stage that devices install again what a channel offers
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    channel: ChannelArgs,
}

impl ResumeArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        pause(&self.channel, false, context)
    }
}

fn pause(args: &ChannelArgs, paused: bool, context: &Context) -> Result<()> {
    let repository = args.open(context)?;
    let change = repository.pause(&args.product, &args.channel, paused, context.now)?;
    answer(&change, context);
    Ok(())
}
