//! `updater once`

use clap::Args;

use super::{Context, output, system_time};
use crate::error::Error;
use crate::progress::Bar;
use crate::updater::{Outcome, Updater};

/// Settle what the last start means, then install an update if there is one
#[derive(Debug, Args)]
pub(super) struct Once {}

impl Once {
    pub(super) async fn run(&self, context: &Context) -> Result<(), Error> {
        let mut updater = context.open()?;
        let result = updater.once(system_time(), &mut Bar::default()).await;
        if let Ok(outcome) = &result {
            output::outcome(context.json, outcome);
        }
        if matches!(
            result,
            Ok(Outcome::Armed { .. } | Outcome::AwaitingRestart { .. })
                | Err(Error::TrialFailed { .. })
        ) {
            restart(&updater)?;
        }
        result.map(drop)
    }
}

/// Restarts the device, if the configuration says how.
pub(super) fn restart(updater: &Updater) -> Result<(), Error> {
    let restart = updater.config().boot.restart.as_ref();
    let Some((program, arguments)) = restart.and_then(|command| command.split_first()) else {
        return Ok(());
    };
    let failed = |why: String| Error::Restart {
        why: format!("{program}: {why}"),
    };
    let status = std::process::Command::new(program)
        .args(arguments)
        .status()
        .map_err(|e| failed(e.to_string()))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(status.to_string()))
    }
}
