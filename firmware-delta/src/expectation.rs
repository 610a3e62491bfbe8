//! What a receiver was promised by metadata whose signatures it verified.

use std::fmt;

use crate::digest::{Hex, Running};
use crate::format::PayloadKind;

/// An image named by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageId {
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 of all of its bytes.
    pub sha256: [u8; 32],
}

impl ImageId {
    /// The identity of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut running = Running::new();
        running.update(bytes);
        Self::from_running(&running)
    }

    pub(crate) fn from_running(running: &Running) -> Self {
        Self {
            length: running.length(),
            sha256: running.sha256(),
        }
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", Hex(&self.sha256), self.length)
    }
}

/// Everything about a payload that signed metadata says. The payload has to say the same, or nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// SHA-256 of the payload's header frame: the anchor of the chain of frames.
    pub head: [u8; 32],
    /// The image that the payload makes.
    pub new: ImageId,
    /// The image that a delta starts from; `None` expects a full payload.
    pub old: Option<ImageId>,
}

impl Expectation {
    /// Whether a delta or a full payload is expected.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        if self.old.is_some() {
            PayloadKind::Delta
        } else {
            PayloadKind::Full
        }
    }
}
