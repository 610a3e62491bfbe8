//! What a person or a program reads: the answer on standard output, everything else on standard error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is the program's voice"
)]

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use super::exit_code;
use crate::error::Error;
use crate::updater::Outcome;

/// Help that was asked for.
pub(super) fn help(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

/// Arguments that cannot be understood.
pub(super) fn usage(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(2)
}

/// Logs to standard error, as `UPDATER_LOG` says (`warn` without): levels by target, such as `info,updater=debug`.
pub(super) fn start_log() {
    let wanted = std::env::var("UPDATER_LOG").unwrap_or_default();
    let filter = wanted
        .parse::<Targets>()
        .ok()
        .filter(|_| !wanted.is_empty())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time();
    // A second call in one process keeps the first log.
    let _started = tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .try_init();
}

/// An answer: `text` for people, `json` for programs.
pub(super) fn answer(json: bool, value: &serde_json::Value, text: &str) {
    if json {
        println!("{value}");
    } else {
        println!("{text}");
    }
}

/// What a run did.
pub(super) fn outcome(json: bool, outcome: &Outcome) {
    let (value, text) = match outcome {
        Outcome::NothingToDo { running, why } => (
            serde_json::json!({"outcome": "nothing-to-do", "running": running, "why": why}),
            format!("Nothing to do: {why}."),
        ),
        Outcome::Armed {
            version,
            slot,
            downloaded,
            kind,
            signed_by,
        } => (
            serde_json::json!({
                "outcome": "armed", "version": version, "slot": slot, "downloaded": downloaded,
                "payload": kind.to_string(), "signed_by": signed_by,
            }),
            format!(
                "Installed {version} in slot {slot} ({downloaded} bytes downloaded, {kind}); signed by {}.\n\
                 Restart the device to try it.",
                signed_by.join(", ")
            ),
        ),
        Outcome::Held { version, why } => (
            serde_json::json!({"outcome": "held", "version": version, "why": why}),
            format!("Firmware {version} waits: {why}."),
        ),
        Outcome::Left { version, slot } => (
            serde_json::json!({"outcome": "left", "version": version, "slot": slot}),
            format!(
                "Firmware {version} in slot {slot} is left: the next start is of the other slot."
            ),
        ),
        Outcome::AwaitingRestart { version, slot } => (
            serde_json::json!({"outcome": "awaiting-restart", "version": version, "slot": slot}),
            format!("Firmware {version} waits in slot {slot}: restart the device to try it."),
        ),
        Outcome::Committed { version, slot } => (
            serde_json::json!({"outcome": "committed", "version": version, "slot": slot}),
            format!("Firmware {version} in slot {slot} is well and stays."),
        ),
    };
    answer(json, &value, &text);
}

/// An error with its causes and what to do about it.
pub(super) fn error(error: &Error, json: bool) {
    if matches!(error, Error::Stopped) {
        let value = serde_json::json!({"outcome": "stopped"});
        return answer(
            json,
            &value,
            "Stopped; the next run goes on where this one was.",
        );
    }
    let causes = error.causes();
    if json {
        let value = serde_json::json!({"error": error.to_string(), "caused_by": causes, "hint": error.hint(), "exit_code": exit_code::of(error)});
        println!("{value}");
        return;
    }
    eprintln!("Error: {error}");
    if !causes.is_empty() {
        eprintln!("Caused by:");
        for cause in &causes {
            eprintln!("  {cause}");
        }
    }
    if let Some(hint) = error.hint() {
        eprintln!("Hint: {hint}");
    }
}
