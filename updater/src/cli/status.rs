//! `updater status`

use metadata_schema::time::Timestamp;

use super::{Context, output, system_time};
use crate::clock::{Doubt, Source};
use crate::error::Error;
use crate::progress::bytes;
use crate::socket::{self, Request};
use crate::updater::Updater;

pub(super) fn run(context: &Context) -> Result<(), Error> {
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
    let memory = updater.memory();
    if let Some(offered) = memory.offered.as_ref().filter(|offered| !offered.runs) {
        let said = match (&offered.refusal, updater.hold(time, false)) {
            (Some(_), _) => "not taken; `updater why` says why".to_owned(),
            (None, Some(hold)) => format!("waits: {hold}"),
            (None, None) => "the next run installs it".to_owned(),
        };
        text.push_str(&format!("\nOffered       {}: {said}", offered.version));
    }
    let postponed = updater.wishes().postponed_until;
    if let Some(until) = postponed.filter(|until| time < *until) {
        text.push_str(&format!("\nPostponed     until {until}"));
    }
    if let Some(last) = &memory.last {
        text.push_str(&format!("\nLast run      {}: {}", last.at, last.said));
    }
    // A service that does not answer is no reason to say nothing.
    let asked = socket::request(&updater.config().socket, &Request::Status)
        .ok()
        .flatten();
    let service = asked.and_then(|mut value| value.get_mut("service").map(serde_json::Value::take));
    if let Some(service) = &service {
        text.push_str("\nService       ");
        let number = |name| {
            service
                .pointer(name)
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0)
        };
        let what = service
            .pointer("/progress/what")
            .and_then(serde_json::Value::as_str);
        match (what, service.get("busy")) {
            (Some(what), _) => {
                let (done, length) = (number("/progress/done"), number("/progress/length"));
                text.push_str(&format!("{what}: {} of {}", bytes(done), bytes(length)));
            }
            (None, Some(serde_json::Value::Bool(true))) => text.push_str("at work"),
            _ => text.push_str("waits for the next poll"),
        }
    }
    let mut value = value(&updater)?;
    if let Some(members) = value.as_object_mut() {
        members.insert("service".to_owned(), service.unwrap_or_default());
    }
    output::answer(context.json, &value, &text);
    Ok(())
}

/// The status for programs.
pub(super) fn value(updater: &Updater) -> Result<serde_json::Value, Error> {
    let (state, boot, memory) = (updater.state(), updater.boot_status()?, updater.memory());
    let system = system_time();
    let (time, _) = updater.clock(system)?.reference();
    let doubts = updater.doubts(system)?;
    Ok(serde_json::json!({
        "running": state.running, "slot": state.slot, "security_floor": state.security_floor,
        "booted": boot.booted, "next": boot.next, "installation": state.installation, "failed": state.failed,
        "reference_time": time, "clock_trusted": doubts.is_empty(), "clock_doubts": doubts, "system_time": system,
        "offered": memory.offered, "withdrawn": memory.withdrawn, "last_run": memory.last,
        "held": updater.hold(time, false).map(|hold| hold.to_string()), "wishes": updater.wishes(),
    }))
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
