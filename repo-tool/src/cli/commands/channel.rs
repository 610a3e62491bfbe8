//! What `promote`, `withdraw`, `yank`, `pause`, `resume` and `rollout` have in common.

use std::path::PathBuf;

use clap::Args;
use metadata_schema::release::{Channel, Product, Wave};
use metadata_schema::time::Timestamp;
use repo_tool::{ChannelChange, Error, Repository, Result};

use crate::Context;

/// A channel of a product.
#[derive(Args, Debug)]
pub(crate) struct ChannelArgs {
    /// Folder of the repository
    pub(crate) folder: PathBuf,

    /// The product
    #[arg(long)]
    pub(crate) product: Product,

    /// The channel
    #[arg(long, default_value = "stable")]
    pub(crate) channel: Channel,
}

impl ChannelArgs {
    pub(crate) fn open(&self, context: &Context) -> Result<Repository> {
        context.open(&self.folder)
    }
}

/// Waves, as several commands take them.
#[derive(Args, Debug)]
pub(crate) struct WaveArgs {
    /// From when on which share of the fleet may install, such as +24h=10 or 2030-01-31T00:00:00Z=100; once for each
    #[arg(long = "wave", value_name = "START=PERCENT")]
    waves: Vec<String>,
}

impl WaveArgs {
    pub(crate) fn waves(&self, now: Timestamp) -> Result<Vec<Wave>> {
        self.waves.iter().map(|wave| parse(wave, now)).collect()
    }
}

/// Says what was staged.
pub(crate) fn answer(change: &ChannelChange, context: &Context) {
    context.output.answer(change, || {
        let named = |version: &Option<String>| version.clone().unwrap_or_else(|| "nothing".into());
        let (from, to) = (named(&change.from), named(&change.to));
        let paused = if change.paused { ", paused" } else { "" };
        let place = format!("{} in {}", change.product, change.channel);
        let mut lines = vec![if from == to {
            format!("{place}: offers {to}{paused}")
        } else {
            format!("{place}: offers {to}{paused} instead of {from}")
        }];
        if !change.withdrawn.is_empty() {
            lines.push(format!("taken back: {}", change.withdrawn.join(", ")));
        }
        lines
    });
    let next = "Staged. Next: `repo-tool show`, `sign` by each signer, `publish`.";
    context.output.say(next);
}

fn parse(text: &str, now: Timestamp) -> Result<Wave> {
    let bad = || Error::Argument {
        what: "wave",
        found: text.to_owned(),
        expected: "START=PERCENT, where START is now, +Nh, +Nd or a time such as 2030-01-31T00:00:00Z",
    };
    let (start, percent) = text.split_once('=').ok_or_else(bad)?;
    let percent = percent
        .parse()
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(bad)?;
    let ahead = |number: &str, unit: i64| {
        let number = number.parse::<u32>().ok()?;
        Some(now.plus_seconds(i64::from(number).checked_mul(unit)?))
    };
    let start = match start.strip_prefix('+') {
        None if start == "now" => Some(now),
        None => start.parse().ok(),
        Some(rest) => match (rest.strip_suffix('h'), rest.strip_suffix('d')) {
            (Some(hours), _) => ahead(hours, 3600),
            (_, Some(days)) => ahead(days, 24 * 3600),
            _ => None,
        },
    };
    Ok(Wave {
        start: start.ok_or_else(bad)?,
        percent,
    })
}
