//! What can go wrong, and what helps.

use std::io;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can keep a sidecar from starting. What goes wrong with one connection ends that connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option or a member of the configuration file cannot be used.
    #[error("{what} is not usable: {reason}")]
    Config {
        /// Which.
        what: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: &'static str,
    },

    /// A certificate, a key or a list cannot be used.
    #[error(transparent)]
    Pki(#[from] device_pki::Error),

    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// Something of the operating system failed.
    #[error("cannot {step}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn config(what: impl Into<String>, reason: &str, hint: &'static str) -> Self {
        Self::Config {
            what: what.into(),
            reason: reason.to_owned(),
            hint,
        }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config { hint, .. } => Some(hint),
            Self::Pki(error) => error.hint().or(Some(
                "has the device enrolled? `updater enrol` does, and writes identity/current.pem in its state folder",
            )),
            Self::Listen { .. } => {
                Some("is another program listening there? ports below 1024 need CAP_NET_BIND_SERVICE or systemd's sockets")
            }
            Self::Io { .. } => None,
        }
    }
}
