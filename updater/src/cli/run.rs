//! `updater run`

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, output, system_time};
use crate::error::Error;
use crate::progress::Silent;
use crate::updater::Outcome;

/// Do that again and again, until stopped
#[derive(Debug, Args)]
pub(super) struct Run {}

impl Run {
    pub(super) async fn run(&self, context: &Context) -> Result<(), Error> {
        let mut updater = context.open()?;
        let interval = updater.config().poll_interval;
        let mut stopped =
            signal(SignalKind::terminate()).map_err(|e| Error::Restart { why: e.to_string() })?;
        let mut silent = Silent;
        loop {
            let result = tokio::select! {
                result = updater.once(system_time(), &mut silent) => result,
                _ = stopped.recv() => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            match &result {
                Ok(outcome) => output::outcome(context.json, outcome),
                Err(e) => output::error(e, context.json),
            }
            if matches!(
                result,
                Ok(Outcome::Armed { .. } | Outcome::AwaitingRestart { .. })
                    | Err(Error::TrialFailed { .. })
            ) {
                // The device restarts now, by the configured command or by whoever watches this program.
                return super::once::restart(&updater);
            }
            tokio::select! {
                () = tokio::time::sleep(with_jitter(interval)) => {}
                _ = stopped.recv() => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }
}

/// The interval, up to a tenth longer: many devices that were switched on together drift apart.
fn with_jitter(seconds: u64) -> Duration {
    let mut byte = [0];
    let _no_randomness_no_jitter = getrandom::fill(&mut byte);
    let tenth = seconds.saturating_mul(100);
    Duration::from_millis(
        seconds
            .saturating_mul(1000)
            .saturating_add(tenth.saturating_mul(u64::from(byte[0])) / 255),
    )
}
