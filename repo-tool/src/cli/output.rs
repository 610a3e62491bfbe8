//! What the program says: the answer on standard output, talk on standard error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one module of the program that prints"
)]

use std::error::Error as _;
use std::io::Write as _;

use repo_tool::Error;
use serde::Serialize;

/// Where answers go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// The answer: as JSON if that was asked for, or else `text`.
    pub(crate) fn answer(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
        } else {
            text()
        };
        // Nobody listens any more: nothing to be done about it.
        writeln!(std::io::stdout(), "{}", text.trim_end()).ok();
    }

    /// Something that a person may want to know while they wait, or should do next.
    pub(crate) fn say(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// An error with its causes and what helps.
    pub(crate) fn error(self, error: &Error) {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(next) = cause {
            causes.push(next.to_string());
            cause = next.source();
        }
        if self.json {
            let value = serde_json::json!({
                "error": error.to_string(),
                "causes": causes,
                "hint": error.hint(),
            });
            eprintln!("{value:#}");
            return;
        }
        eprintln!("Error: {error}");
        for cause in causes {
            eprintln!("Caused by: {cause}");
        }
        if let Some(hint) = error.hint() {
            eprintln!("Hint: {hint}");
        }
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// `part` of `whole` in per cent, with one digit behind the point.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part)
        .saturating_mul(1000)
        .checked_div(u128::from(whole))
        .unwrap_or(0);
    let (whole, tenth) = (
        tenths.checked_div(10).unwrap_or(0),
        tenths.checked_rem(10).unwrap_or(0),
    );
    format!("{whole}.{tenth} %")
}
