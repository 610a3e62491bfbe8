//! `updater once`

use super::{Context, output, stop_on_signals, system_time};
use crate::error::Error;
use crate::progress::Bar;
use crate::updater::{Outcome, Updater};

pub(super) async fn run(context: &Context) -> Result<(), Error> {
    let mut updater = context.open()?;
    stop_on_signals(updater.stop());
    let result = updater.once(system_time(), &mut Bar::default()).await;
    end(context, &updater, result.as_ref())?;
    result.map(drop)
}

/// Says what a run came to, and restarts the device if that follows from it.
pub(super) fn end(
    context: &Context,
    updater: &Updater,
    result: Result<&Outcome, &Error>,
) -> Result<(), Error> {
    if let Ok(outcome) = result {
        output::outcome(context.json, outcome);
    }
    if matches!(
        result,
        Ok(Outcome::Armed { .. } | Outcome::AwaitingRestart { .. } | Outcome::Left { .. })
            | Err(Error::TrialFailed { .. })
    ) {
        restart(updater)?;
    }
    Ok(())
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
