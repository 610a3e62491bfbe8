//! `api-server`: hosts the repository and takes device reports.
#![forbid(unsafe_code)]

mod cli;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use api_server::Error;
use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run(&mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has read enough.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell.
            explain(&error, &mut std::io::stderr().lock()).ok();
            exit_code(&error)
        }
    }
}

/// 0 stopped or printed, 2 usage, 3 network, 6 files or database, 8 configuration, keys or certificates, 1 anything else.
fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(match error {
        Error::Listen { .. } => 3,
        Error::Io { .. } | Error::Database { .. } => 6,
        Error::Config { .. }
        | Error::Pki(_)
        | Error::DatabaseVersion { .. }
        | Error::Device { .. }
        | Error::Audit { .. } => 8,
        _ => 1,
    })
}

/// The error, what caused it, and what to do.
fn explain(error: &Error, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "Error: {error}")?;
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        writeln!(out, "Caused by: {source}")?;
        cause = source.source();
    }
    match error.hint() {
        Some(hint) => writeln!(out, "Hint: {hint}"),
        None => Ok(()),
    }
}
