//! Errors to exit codes: the one place.

use crate::error::{BootstrapError, Error, TransportError};

/// What was asked for cannot be understood.
pub const USAGE: u8 = 2;
/// What was asked for is not done now: a policy, a hook or the state of the device is against it.
pub const HELD: u8 = 9;

/// The exit code of an error, as `updater --help` lists them.
pub fn of(error: &Error) -> u8 {
    match error {
        // Stopping when asked to is no failure.
        Error::Stopped => 0,
        Error::Hook { .. } | Error::NoWayBack(_) | Error::NotNow { .. } => HELD,
        Error::Service { exit_code, .. } => *exit_code,
        // Waiting may help.
        e if e.may_pass() => 3,
        Error::Transport(
            TransportError::NotAccepted { .. }
            | TransportError::ServerRefused { .. }
            | TransportError::OtherTls { .. }
            | TransportError::Url { .. }
            | TransportError::Unusable { .. },
        ) => 8,
        // More than there may be is an attack or a broken mirror.
        Error::Transport(_)
        | Error::WalkCut { .. }
        | Error::Metadata(_)
        | Error::Missing { .. }
        | Error::OtherBundle { .. }
        | Error::RevocationList { .. }
        | Error::RevocationListRollback { .. }
        | Error::ManifestPath { .. } => 4,
        Error::Bootstrap(BootstrapError::NoAnchor) => 8,
        Error::Bootstrap(BootstrapError::NotBlank { .. }) => 2,
        Error::Bootstrap(_) => 4,
        Error::Target { .. } | Error::Payload { .. } => 5,
        Error::Slot(_) | Error::Running { .. } | Error::Store(_) => 6,
        Error::Boot(_) | Error::TrialFailed { .. } | Error::Restart { .. } => 7,
        Error::Config(_) | Error::Identity(_) | Error::Enrolment(_) | Error::HealthChecks(_) => 8,
        Error::Locked { .. } | Error::Lifecycle(_) | Error::Unwell { .. } => 1,
    }
}
