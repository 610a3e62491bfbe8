//! SHA-256 as this crate uses it, and how errors print it.

use std::fmt;

use sha2::{Digest, Sha256};

/// A running SHA-256 together with the number of bytes it has seen.
#[derive(Clone)]
pub(crate) struct Running {
    hasher: Sha256,
    length: u64,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self {
            hasher: Sha256::new(),
            length: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        // Saturation is never reached: callers stop at MAX_IMAGE_LENGTH. Lossless: usize is at most 64 bits.
        self.length = self
            .length
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The digest of everything so far; more can follow.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Prints a digest as lower-case hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8; 32]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
