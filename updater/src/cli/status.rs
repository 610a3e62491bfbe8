//! `updater status`

use clap::Args;

use super::{Context, output, system_time};
use crate::clock::Source;
use crate::error::Error;

/// Say what runs, what is going on, what failed and what time it is taken to be
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let updater = context.look()?;
        let (state, boot) = (updater.state(), updater.boot_status()?);
        let system = system_time();
        let (time, source) = updater.clock(system)?.reference();
        let clock = match source {
            Source::SystemClock => format!("{time} by the system clock"),
            Source::Floor(word) => {
                format!("{time} by {word}; clock untrusted: it says {system}, which has passed")
            }
        };
        let next = boot.next.map_or("none".to_owned(), |slot| slot.to_string());
        let new = state.installation.new_firmware();
        let of = new.map(|new| format!(" of {}", new.version));
        let installation = format!("{}{}", state.installation.name(), of.unwrap_or_default());
        let mut text = format!(
            "Firmware      {} in slot {} (security version {} or higher)\n\
             Booted        slot {}; next start: {next}\n\
             Installation  {}\n\
             Time          {clock}",
            state.running.version, state.slot, state.security_floor, boot.booted, installation,
        );
        for failure in &state.failed {
            text.push_str(&format!(
                "\nFailed        {} on {}: {}",
                failure.version, failure.at, failure.why
            ));
        }
        let value = serde_json::json!({
            "running": state.running, "slot": state.slot, "security_floor": state.security_floor,
            "booted": boot.booted, "next": boot.next, "installation": state.installation, "failed": state.failed,
            "reference_time": time, "clock_trusted": source == Source::SystemClock, "system_time": system,
        });
        output::answer(context.json, &value, &text);
        Ok(())
    }
}
