//! `device-pki`: makes the certificates of a company and its devices.
#![forbid(unsafe_code)]

mod cli;
mod exit_code;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use device_pki::Error;

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
            exit_code::of(&error)
        }
    }
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
