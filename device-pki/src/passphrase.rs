//! A passphrase that does not outlive its use.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::durable;
use crate::error::{Error, Result};

/// Longest passphrase file that is read.
const LIMIT: u64 = 4096;

/// A passphrase: wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// A passphrase from text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into().into_bytes()))
    }

    /// Reads a passphrase from a file: its first line, without the line's end.
    ///
    /// # Errors
    /// If the file cannot be read or its first line is empty.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = Zeroizing::new(durable::read_bounded(path, LIMIT)?);
        let line = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Err(Error::malformed(
                path.display().to_string(),
                "a passphrase file",
                "its first line is empty",
            ));
        }
        Ok(Self(Zeroizing::new(line.to_vec())))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
