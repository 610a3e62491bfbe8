//! What a device remembers for its own convenience and for people: `memory.json` and `wishes.json` in the state folder. Nothing
//! that is trusted stands on it; a file that is damaged is as good as none.

use std::collections::BTreeMap;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::FirmwareVersion;
use metadata_schema::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, StoreError};
use crate::policy::{Automatic, Refused, Wishes};
use crate::sealed;
use crate::state_store::StateStore;

/// Longest of these files, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;
/// Most deltas whose failures are remembered.
const MAX_DELTAS: usize = 32;
/// So long a time may pass before the time of the last run is stored again though nothing else has changed, in seconds: flash
/// wears out.
const REFRESHED: i64 = 6 * 3600;

/// What is remembered of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The last run.
    pub last: Option<LastRun>,
    /// What the channel offered when metadata was last read.
    pub offered: Option<Offered>,
    /// What the publisher says of the version that runs, if it was taken back.
    pub withdrawn: Option<String>,
    /// What was refused, and is not fetched at each poll.
    pub refused: Option<Refused>,
    /// How often a delta has failed, by the digest of its head.
    pub deltas: BTreeMap<Sha256Digest, u32>,
    /// Why the offered release waits, as the history says last.
    pub held: String,
    /// What was installed without asking when that was last written to the history.
    pub automatic: Automatic,
}

/// A run, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it ended, by the device's reference time.
    pub at: Timestamp,
    /// What it did, in a sentence.
    pub said: String,
    /// What went wrong.
    pub problem: Option<Problem>,
}

/// An error, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What it is.
    pub error: String,
    /// What lies behind it, the nearest first.
    pub caused_by: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The exit code that it has.
    pub exit_code: u8,
}

/// The release that a channel offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its version.
    pub version: FirmwareVersion,
    /// Its manifest.
    pub manifest: Sha256Digest,
    /// Its anti-rollback number.
    pub security_version: u64,
    /// Whether it raises the security version, or replaces what was withdrawn.
    pub security: bool,
    /// Whether an image of it comes by no delta from what runs.
    pub full: bool,
    /// The least version that may update to it directly.
    pub requires: Option<FirmwareVersion>,
    /// The people who signed for it.
    pub signed_by: Vec<String>,
    /// Whether it runs already.
    pub runs: bool,
    /// Why it is not for this device, if it is not.
    pub refusal: Option<String>,
}

impl Memory {
    /// What is stored, or nothing.
    pub fn load(states: &StateStore) -> Self {
        load(states, "memory.json")
    }

    /// Stores what has changed since `before`.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save(&mut self, before: &Self, states: &StateStore) -> Result<(), Error> {
        while self.deltas.len() > MAX_DELTAS {
            self.deltas.pop_first();
        }
        let at = |memory: &Self| {
            memory
                .last
                .as_ref()
                .map_or(0, |last| last.at.unix_seconds())
        };
        let mut same = self.clone();
        if let (Some(last), Some(before)) = (&mut same.last, &before.last) {
            last.at = before.at;
        }
        let since = at(self).saturating_sub(at(before));
        if same == *before && (0..REFRESHED).contains(&since) {
            return Ok(());
        }
        save(states, "memory.json", self)
    }
}

/// What people have said: nothing, if it was damaged.
pub fn wishes(states: &StateStore) -> Wishes {
    load(states, "wishes.json")
}

/// Stores what people have said.
///
/// # Errors
/// If the storage fails.
pub fn save_wishes(states: &StateStore, wishes: &Wishes) -> Result<(), Error> {
    save(states, "wishes.json", wishes)
}

fn load<T: DeserializeOwned + Default>(states: &StateStore, name: &str) -> T {
    let bytes = states
        .storage()
        .read(&states.folder().join(name), MAX_LENGTH);
    let Ok(Some(bytes)) = bytes else {
        return T::default();
    };
    sealed::open(&bytes).unwrap_or_else(|why| {
        tracing::warn!(name, why, "it is damaged and begun anew");
        T::default()
    })
}

fn save(states: &StateStore, name: &str, value: &impl Serialize) -> Result<(), Error> {
    let text = sealed::seal(value).map_err(|e| StoreError::Damaged {
        path: states.folder().join(name),
        why: e.to_string(),
    })?;
    Ok(states.write(name, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_stored_when_something_has_changed_and_damage_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let states = StateStore::open(folder.path()).unwrap();
        let path = folder.path().join("memory.json");
        let empty = Memory::load(&states);
        let mut one = empty.clone();
        one.last = Some(LastRun {
            at: Timestamp::from_unix_seconds(1000),
            said: "nothing to do".to_owned(),
            problem: None,
        });
        one.save(&empty, &states).unwrap();
        assert_eq!(Memory::load(&states), one);
        std::fs::remove_file(&path).unwrap();
        let mut later = one.clone();
        later.last.as_mut().unwrap().at = Timestamp::from_unix_seconds(5000);
        later.save(&one, &states).unwrap();
        assert!(!path.exists());
        later.last.as_mut().unwrap().at = Timestamp::from_unix_seconds(1000 + REFRESHED);
        later.save(&one, &states).unwrap();
        assert!(path.exists());
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Memory::load(&states), Memory::default());
    }
}
