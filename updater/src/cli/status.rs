//! `updater status`

use clap::Args;
use metadata_schema::time::Timestamp;

use super::{Context, output, system_time};
use crate::clock::{Doubt, Source};
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
        let doubts = updater.doubts(system)?;
        let by = match source {
            Source::SystemClock => "the system clock".to_owned(),
            Source::Floor(word) => word.to_string(),
        };
        let next = boot.next.map_or("none".to_owned(), |slot| slot.to_string());
        let new = state.installation.new_firmware();
        let of = new.map(|new| format!(" of {}", new.version));
        let installation = format!("{}{}", state.installation.name(), of.unwrap_or_default());
        let mut text = format!(
            "Firmware      {} in slot {} (security version {} or higher)\n\
             Booted        slot {}; next start: {next}\n\
             Installation  {}\n\
             Time          {time} by {by}",
            state.running.version, state.slot, state.security_floor, boot.booted, installation,
        );
        text.push_str(&clock(system, &doubts));
        for failure in &state.failed {
            text.push_str(&format!(
                "\nFailed        {} on {}: {}",
                failure.version, failure.at, failure.why
            ));
        }
        let value = serde_json::json!({
            "running": state.running, "slot": state.slot, "security_floor": state.security_floor,
            "booted": boot.booted, "next": boot.next, "installation": state.installation, "failed": state.failed,
            "reference_time": time, "clock_trusted": doubts.is_empty(), "clock_doubts": doubts, "system_time": system,
        });
        output::answer(context.json, &value, &text);
        Ok(())
    }
}

/// What is to be said of the clock, with a line for each reason.
fn clock(system: Timestamp, doubts: &[Doubt]) -> String {
    if doubts.is_empty() {
        return "; clock plausible".to_owned();
    }
    let mut text = format!("; clock untrusted: it says {system}");
    for doubt in doubts {
        text.push_str(&format!("\n              {doubt}"));
    }
    text
}
