//! What has happened to this device, for people: `history.jsonl` in the state folder, a line for each thing, the newest last.
//!
//! Lines are appended, so little is written; a line that a power cut has torn is passed over. When the file is long, its older half
//! goes. It decides nothing.

use std::path::{Path, PathBuf};

use device_pki::disk::Disk;
use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::storage::read_on;

/// Length of the file at which its older half goes, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;
/// Longest detail, in characters.
const MAX_DETAIL: usize = 400;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the device's reference time.
    pub at: Timestamp,
    /// What: `installed`, `committed`, `rolled-back`, `failed`, `held`, `stopped`, `postponed`, `consented`, `opted-out`, ...
    pub what: String,
    /// The version that it happened to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Why, or what else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Bytes that were downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

impl Entry {
    /// An entry without bytes and time.
    pub fn new(at: Timestamp, what: &str, version: &str, detail: &str) -> Self {
        Self {
            at,
            what: what.to_owned(),
            version: version.to_owned(),
            detail: detail.chars().take(MAX_DETAIL).collect(),
            bytes: None,
            seconds: None,
        }
    }
}

/// The history in a state folder.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
    disk: Disk,
}

impl History {
    /// That of this state folder.
    pub fn of(state: &Path) -> Self {
        Self::on(Disk::default(), state)
    }

    /// The same on this disk.
    pub fn on(disk: Disk, state: &Path) -> Self {
        let path = state.join("history.jsonl");
        Self { path, disk }
    }

    /// Everything that is remembered, the oldest first.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let bytes = read_on(&self.disk, &self.path, MAX_LENGTH * 2)?.unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    /// Adds an entry. What goes wrong is only logged.
    pub fn add(&self, entry: &Entry) {
        if let Err(e) = self.append(entry) {
            tracing::warn!(error = %e, "the history cannot be written");
        }
    }

    fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        self.shorten()?;
        let mut line = vec![b'\n'];
        line.extend(serde_json::to_vec(entry).unwrap_or_default());
        let added = self.disk.append(&self.path, &line, 0o600);
        added.map_err(|source| {
            StoreError::Storage(device_pki::Error::Io {
                step: "write",
                path: self.path.clone(),
                source,
            })
        })
    }

    fn shorten(&self) -> Result<(), StoreError> {
        let long = std::fs::metadata(&self.path).is_ok_and(|about| about.len() > MAX_LENGTH);
        if !long {
            return Ok(());
        }
        // One that is far too long was not written here; it is begun anew.
        let entries = self.entries().unwrap_or_default();
        let mut text = Vec::new();
        for entry in entries.iter().skip(entries.len().div_ceil(2)) {
            text.push(b'\n');
            text.extend(serde_json::to_vec(entry).unwrap_or_default());
        }
        let written = self.disk.write(&self.path, &text, 0o600);
        written.map_err(StoreError::Storage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_passes_over_torn_lines() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(folder.path());
        assert!(history.entries().unwrap().is_empty());
        for number in 0..2000 {
            let at = Timestamp::from_unix_seconds(number);
            history.add(&Entry::new(at, "held", "1.0.0", &"x".repeat(1000)));
        }
        let length = std::fs::metadata(&history.path).unwrap().len();
        assert!(length < MAX_LENGTH + 1000, "{length}");
        let entries = history.entries().unwrap();
        assert_eq!(entries.last().unwrap().at.unix_seconds(), 1999);
        assert_eq!(entries[0].detail.len(), MAX_DETAIL);
        let mut bytes = std::fs::read(&history.path).unwrap();
        bytes.truncate(bytes.len() - 10);
        std::fs::write(&history.path, &bytes).unwrap();
        history.add(&Entry::new(Timestamp::EPOCH, "committed", "2.0.0", ""));
        let after = history.entries().unwrap();
        assert_eq!(after.len(), entries.len());
        assert_eq!(after.last().unwrap().what, "committed");
    }
}
