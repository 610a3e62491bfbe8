//! What can go wrong, and what helps.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step on a file or folder failed.
    #[error("cannot {step} {}", path.display())]
    Io {
        /// What was tried, such as "open".
        step: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },

    /// The server cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// The configuration is not usable.
    #[error("{what} is not usable: {reason}")]
    Config {
        /// The file or option.
        what: String,
        /// Why.
        reason: String,
    },

    /// Certificates, keys or revocation lists are not usable.
    #[error(transparent)]
    Pki(#[from] device_pki::Error),

    /// The database failed.
    #[error("cannot {step} in the database")]
    Database {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },

    /// The database is of a later version of this program.
    #[error("database {} has version {found}, this program knows versions up to {known}", path.display())]
    DatabaseVersion {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// What we know.
        known: usize,
    },

    /// Something about a device that may or may not enrol.
    #[error("device {device}: {reason}")]
    Device {
        /// Its serial number.
        device: String,
        /// What is wrong.
        reason: String,
    },

    /// The audit log is not what was written.
    #[error("the audit log is broken at entry {number}")]
    Audit {
        /// The first entry that does not follow.
        number: u64,
    },

    /// Work in the background was cut off.
    #[error("cut off while it tried to {step}")]
    CutOff {
        /// What was tried.
        step: &'static str,
    },
}

impl Error {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } => Some("is another server running there?"),
            Self::Config { .. } => Some("see `api-server serve --help`"),
            Self::DatabaseVersion { .. } => Some("use the newer program, or give another --data"),
            Self::Device { .. } => {
                Some("`api-server devices` lists devices, `devices allow` adds one")
            }
            Self::Audit { .. } => {
                Some("compare with a copy: entries from there on were changed, removed or put in")
            }
            Self::Pki(error) => error.hint(),
            _ => None,
        }
    }

    pub(crate) fn io(step: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            step,
            path: path.to_owned(),
            source,
        }
    }
}
