//! How the program ends, in one place.

use std::process::ExitCode;

use repo_tool::{Error, Kind};

/// The exit code of an error: see `docs/OPERATIONS.md`. Wrong arguments end with 2 as well, by way of `clap`.
pub(crate) fn of(error: &Error) -> ExitCode {
    ExitCode::from(match error.kind() {
        Kind::Usage => 2,
        Kind::Network => 3,
        Kind::Metadata => 4,
        Kind::Payload => 5,
        Kind::Busy => 6,
        Kind::Configuration => 8,
        Kind::Warning => 10,
        Kind::Critical => 11,
        _ => 1,
    })
}
