//! `repo-tool`: the release manager's program. Commands stand in `commands/`, one file each; the work is in the library.
#![forbid(unsafe_code)]

mod bar;
mod baseline;
mod commands;
mod exit_code;
mod output;
mod passphrase;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use metadata_schema::time::Timestamp;
use repo_tool::{Repository, Result};

use commands::Command;
use output::Output;

/// Make, sign and publish firmware repositories
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    json: bool,

    /// Take this for the current time, such as 2030-01-31T00:00:00Z
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true)]
    at: Option<Timestamp>,

    #[command(subcommand)]
    command: Command,
}

/// What every command is given: the time is read once, here and nowhere else.
#[derive(Clone, Copy, Debug)]
struct Context {
    now: Timestamp,
    output: Output,
}

impl Context {
    /// Opens a repository; the audit log will have the name that the operating system gives whoever is at work.
    fn open(&self, folder: &Path) -> Result<Repository> {
        let name = ["LOGNAME", "USER"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok());
        Ok(Repository::open(folder)?.by(name.map(|name| name.chars().take(64).collect())))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output {
        json: arguments.json,
    };
    let context = Context {
        now: arguments.at.unwrap_or_else(clock),
        output,
    };
    match arguments.command.run(&context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            exit_code::of(&error)
        }
    }
}

fn clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
