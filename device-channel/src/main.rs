//! `device-channel`: secure channels between devices, for programs in any language.
#![forbid(unsafe_code)]

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use device_channel::Error;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell.
            explain(&error, &mut std::io::stderr().lock()).ok();
            exit_code(&error)
        }
    }
}

/// 0 stopped, 2 usage, 3 network, 8 configuration, keys or certificates, 1 anything else.
fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(match error {
        Error::Listen { .. } => 3,
        Error::Config { .. } | Error::Pki(_) => 8,
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
