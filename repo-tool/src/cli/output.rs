//! What the program says: the answer on standard output, talk on standard error.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one module of the program that prints"
)]

use std::error::Error as _;
use std::io::Write as _;

use repo_tool::Error;
use schemars::JsonSchema;
use serde::Serialize;

/// Where answers go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// The answer: as JSON if that was asked for, or else these lines. Whatever is answered has a schema.
    pub(crate) fn answer(
        self,
        value: &(impl Serialize + JsonSchema),
        lines: impl FnOnce() -> Vec<String>,
    ) {
        let text = if self.json {
            json(value)
        } else {
            printable(&lines())
        };
        // Nobody listens any more: nothing to be done about it.
        writeln!(std::io::stdout(), "{}", text.trim_end()).ok();
    }

    /// Something that a person may want to know while they wait, or should do next.
    pub(crate) fn say(self, line: &str) {
        self.say_lines(&[line.to_owned()]);
    }

    /// The same in several lines.
    pub(crate) fn say_lines(self, lines: &[String]) {
        if !self.json {
            eprintln!("{}", printable(lines));
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
            eprintln!("{}", json(&value));
            return;
        }
        let mut lines = vec![("Error", error.to_string())];
        lines.extend(causes.into_iter().map(|cause| ("Caused by", cause)));
        lines.extend(error.hint().map(|hint| ("Hint", hint.to_owned())));
        let lines: Vec<String> = lines
            .iter()
            .flat_map(|(what, text)| {
                // Some errors draw the place in a file, in several lines.
                let mut parts = text.trim_end().split('\n');
                let first = format!("{what}: {}", parts.next().unwrap_or_default());
                std::iter::once(first).chain(parts.map(|part| format!("    {part}")))
            })
            .collect();
        eprintln!("{}", printable(&lines));
    }
}

/// Lines for a terminal. Names, paths and notes in them come from whoever wrote the metadata: what would move the cursor,
/// begin another line or reverse the reading order is written as `\u{...}`.
pub(crate) fn printable(lines: &[String]) -> String {
    let line = |line: &String| -> String {
        let escaped = line.chars().map(|c| {
            if is_invisible(c) {
                c.escape_unicode().to_string()
            } else {
                c.to_string()
            }
        });
        escaped.collect()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same for JSON, where such characters stand in strings only.
fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string());
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_invisible(c) {
            escaped.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

/// Control, line separating, bidirectional and zero-width characters.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
