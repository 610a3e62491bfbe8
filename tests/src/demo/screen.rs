//! What a person, or a program, sees of the demo.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this module is the demo's voice"
)]

use std::error::Error as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Ended, Failure, World};

/// Prints a line. Whoever reads may stop reading (`| head`): the demo goes on to its end all the same.
macro_rules! line {
    ($($text:tt)*) => {{
        let _nobody_listens = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Where the demo speaks.
#[derive(Clone, Debug)]
pub struct Screen {
    json: bool,
    colour: bool,
    begin: Instant,
}

/// Work that takes a while; ends when dropped.
pub(super) struct Busy(ProgressBar);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Screen {
    /// Speaks to people, or to programs.
    pub fn new(json: bool) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            json,
            colour,
            begin: Instant::now(),
        }
    }

    /// Whether somebody watches progress on a terminal.
    pub(super) fn shows_progress(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    pub(super) fn title(&self, folder: &Path) {
        if self.json {
            return self.object(&json!({"step": "begin", "folder": folder}));
        }
        line!(
            "{}",
            self.bold("Signed firmware, from the release manager's key to the device's slot")
        );
        line!(
            "Everything happens in {} with the programs of this workspace.",
            folder.display()
        );
    }

    /// A chapter of the story.
    pub(super) fn chapter(&self, text: &str) {
        if self.json {
            return self.object(&json!({"chapter": text}));
        }
        line!("\n{}", self.bold(text));
    }

    /// Something that went as it must.
    pub(super) fn step(&self, name: &str, text: &str, facts: &Value) {
        if self.json {
            return self.object(&json!({"step": name, "ok": true, "says": text, "facts": facts}));
        }
        line!("  {} {text}", self.green("ok"));
    }

    /// An attack that was refused as it must be, with the words that a user reads.
    pub(super) fn refused(&self, name: &str, text: &str, ended: &Ended) {
        let message = if ended.stderr.is_empty() {
            &ended.stdout
        } else {
            &ended.stderr
        };
        if self.json {
            let facts =
                json!({"command": ended.command, "exit_code": ended.code, "message": message});
            return self.object(&json!({"step": name, "ok": true, "says": text, "facts": facts}));
        }
        line!(
            "  {} {text}; exit code {}:",
            self.green("refused"),
            ended.code
        );
        for line in message.lines() {
            line!("      {}", self.dim(line));
        }
    }

    /// A remark.
    pub(super) fn note(&self, text: &str) {
        if !self.json {
            for line in text.lines() {
                line!("     {}", self.dim(line));
            }
        }
    }

    /// Shows that long work goes on, on a terminal.
    pub(super) fn busy(&self, text: &str) -> Busy {
        let style = ProgressStyle::with_template("     {spinner} {msg} {elapsed}");
        let bar = ProgressBar::new_spinner().with_message(text.to_owned());
        let bar = style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style));
        if !self.json {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Busy(bar)
    }

    pub(super) fn failed(&self, failure: &Failure) {
        let cause = failure.source().map(ToString::to_string);
        if self.json {
            return self.object(&json!({"step": "failed", "ok": false, "error": failure.to_string(), "cause": cause}));
        }
        eprintln!("\nThe demo failed. {failure}");
        if let Some(cause) = cause {
            eprintln!("Caused by: {cause}");
        }
    }

    pub(super) fn done(&self, kept: Option<&Path>, world: &World) {
        let seconds = self.begin.elapsed().as_secs_f64();
        if self.json {
            return self.object(&json!({"step": "end", "ok": true, "seconds": seconds}));
        }
        line!(
            "\n{}",
            self.bold(&format!("Every step ended as it must, in {seconds:.0} s."))
        );
        match kept {
            None => line!("`cargo demo --keep DIR` leaves everything there to look around."),
            Some(folder) => next(folder, world),
        }
    }

    fn object(&self, value: &Value) {
        line!("{value}");
    }

    fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn green(&self, text: &str) -> String {
        self.styled("32", text)
    }

    fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// What to try with what was kept.
fn next(folder: &Path, world: &World) {
    let program = |name: &str| world.program(name).display().to_string();
    line!("\nKept in {}. To look around:", folder.display());
    line!("  cd {}", folder.display());
    for command in [
        format!("{} inspect pki/trust-anchor.pem", program("device-pki")),
        format!("{} show repository", program("repo-tool")),
        format!("{} status repository", program("repo-tool")),
        format!(
            "{} verify repository --anchor pki/trust-anchor.pem",
            program("repo-tool")
        ),
        format!(
            "{} --config devices/router-001/updater.toml status",
            program("updater")
        ),
        format!("{} devices --data server", program("api-server")),
    ] {
        line!("  {command}");
    }
    line!("To have the devices ask again, start the server first: sh server.sh");
}

/// A usage error, or the help that was asked for.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _printed = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
