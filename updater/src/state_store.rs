//! What the device remembers of installations, and its time floor: `state.json` and `time-floor.json` in the state folder.

use std::path::{Path, PathBuf};

use device_pki::disk::Disk;
use device_pki::durable;
use firmware_delta::MAX_CHECKPOINT_LEN;
use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::TimeFloor;
use crate::error::StoreError;
use crate::lifecycle::State;
use crate::metadata_store::MetadataStore;
use crate::sealed;
use crate::storage::{Storage, read_on};

/// The version of `state.json` that this updater writes. A higher one is refused: a newer updater wrote it.
/// Lower ones are read: 1 had no `written_by`.
const FORMAT: u64 = 2;
/// The version of `origin.json`.
const ORIGIN_FORMAT: u64 = 1;
/// Longest file that is read, in bytes.
const MAX_LENGTH: u64 = 1024 * 1024;

/// The state folder.
#[derive(Clone, Debug)]
pub struct StateStore {
    folder: PathBuf,
    storage: Storage,
}

/// That the device has begun to trust a repository: see [`crate::bootstrap`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    format: u64,
    /// When it did, as far as it knew.
    pub since: Timestamp,
}

impl Origin {
    /// It does now.
    pub fn new(now: Timestamp) -> Self {
        Self {
            format: ORIGIN_FORMAT,
            since: now,
        }
    }
}

/// What every format begins with, however much of the rest is not known.
#[derive(Deserialize)]
struct Head {
    format: u64,
    #[serde(default)]
    written_by: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u64,
    #[serde(default)]
    written_by: String,
    #[serde(flatten)]
    state: State,
}

impl StateStore {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_on(folder, Storage::default())
    }

    /// [`StateStore::open`] on a storage that may fail.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open_on(folder: &Path, storage: Storage) -> Result<Self, StoreError> {
        storage.make_dir(folder)?;
        let folder = folder.to_owned();
        Ok(Self { folder, storage })
    }

    /// What makes its changes.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Removes what writes that were cut off have left, and undoes or finishes a beginning that was. Nobody else may be at work in
    /// the folder.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn tidy(&self) -> Result<(), StoreError> {
        MetadataStore::recover(&self.metadata(), &self.storage)?;
        self.storage.remove_leftovers(&self.folder)?;
        self.storage.remove_dir(&self.provisional())
    }

    /// The stored state; none on the first start.
    ///
    /// # Errors
    /// If the file is there and cannot be used: it holds the anti-rollback floor, so it is never silently replaced.
    pub fn load(&self) -> Result<Option<State>, StoreError> {
        let path = self.folder.join("state.json");
        let Some(bytes) = self.storage.read(&path, MAX_LENGTH)? else {
            return Ok(None);
        };
        let damaged = |why: String| StoreError::Damaged {
            path: path.clone(),
            why,
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if head.format > FORMAT {
            return Err(StoreError::Newer {
                path,
                format: head.format,
                known: FORMAT,
                written_by: head.written_by,
            });
        }
        if head.format == 0 {
            return Err(damaged(format!("format 0, expected 1 to {FORMAT}")));
        }
        let file: File = sealed::open(&bytes).map_err(damaged)?;
        Ok(Some(file.state))
    }

    /// Stores the state.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save(&self, state: &State) -> Result<(), StoreError> {
        let file = File {
            format: FORMAT,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            state: state.clone(),
        };
        let text = sealed::seal(&file).map_err(|e| StoreError::Damaged {
            path: self.folder.join("state.json"),
            why: e.to_string(),
        })?;
        self.write("state.json", &text)
    }

    /// The stored time floor.
    ///
    /// # Errors
    /// If the file is there and cannot be used.
    pub fn time_floor(&self) -> Result<Option<TimeFloor>, StoreError> {
        let path = self.folder.join("time-floor.json");
        let Some(bytes) = self.storage.read(&path, 4096)? else {
            return Ok(None);
        };
        let damaged = |why| StoreError::Damaged { path, why };
        sealed::open(&bytes).map(Some).map_err(damaged)
    }

    /// Stores the time floor.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_time_floor(&self, floor: TimeFloor) -> Result<(), StoreError> {
        let text = sealed::seal(&floor).map_err(|e| StoreError::Damaged {
            path: self.folder.join("time-floor.json"),
            why: e.to_string(),
        })?;
        self.write("time-floor.json", &text)
    }

    /// Since when the device trusts a repository; none if it has never begun to.
    ///
    /// # Errors
    /// If the file is there and cannot be used.
    pub fn origin(&self) -> Result<Option<Origin>, StoreError> {
        let path = self.folder.join("origin.json");
        let Some(bytes) = self.storage.read(&path, 4096)? else {
            return Ok(None);
        };
        let damaged = |why| StoreError::Damaged { path, why };
        sealed::open(&bytes).map(Some).map_err(damaged)
    }

    /// Stores that the device has begun to trust a repository.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_origin(&self, origin: &Origin) -> Result<(), StoreError> {
        let text = sealed::seal(origin).map_err(|e| StoreError::Damaged {
            path: self.folder.join("origin.json"),
            why: e.to_string(),
        })?;
        self.write("origin.json", &text)
    }

    /// The folder of trusted metadata.
    pub fn metadata(&self) -> PathBuf {
        self.folder.join("metadata")
    }

    /// The folder of metadata that is not trusted yet: of a device that is about to begin.
    pub fn provisional(&self) -> PathBuf {
        self.folder.join("metadata.new")
    }

    /// How far a payload had been written when the run ended, if that is known: the bytes of a checkpoint.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.storage
            .read(&self.folder.join("checkpoint"), MAX_CHECKPOINT_LEN.into())
    }

    /// Stores how far a payload has been written.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_checkpoint(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write("checkpoint", bytes)
    }

    /// Forgets the checkpoint.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn clear_checkpoint(&self) -> Result<(), StoreError> {
        self.storage.remove(&self.folder.join("checkpoint"))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.storage
            .write(&self.folder.join(name), bytes, durable::SECRET)
    }
}

/// Reads a file of at most `limit` bytes; none if it is not there.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    read_on(&Disk::default(), path, limit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lifecycle::Firmware;
    use crate::slot::SlotName;

    /// That of a payload with a map of addresses has the map's frame.
    #[test]
    fn a_checkpoint_may_be_as_long_as_they_get() {
        let folder = tempfile::tempdir().unwrap();
        let states = StateStore::open(folder.path()).unwrap();
        let longest = vec![7; usize::try_from(MAX_CHECKPOINT_LEN).unwrap()];
        states.save_checkpoint(&longest).unwrap();
        assert_eq!(states.checkpoint().unwrap(), Some(longest));
    }

    #[test]
    fn older_formats_are_read_and_newer_ones_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let states = StateStore::open(folder.path()).unwrap();
        let running = Firmware {
            version: "1.0.0".parse().unwrap(),
            security_version: 3,
            manifest: None,
            images: BTreeMap::new(),
        };
        let state = State::factory(running, SlotName::A);
        states.save(&state).unwrap();
        let path = folder.path().join("state.json");
        let now = std::fs::read_to_string(&path).unwrap();
        assert!(
            now.contains("\"format\": 2") && now.contains("\"written_by\""),
            "{now}"
        );

        let mut value: serde_json::Value = serde_json::from_str(&now).unwrap();
        value.as_object_mut().unwrap().remove("written_by");
        value["format"] = 1.into();
        std::fs::write(&path, value.to_string()).unwrap();
        assert_eq!(states.load().unwrap(), Some(state));

        let newer = r#"{"format": 3, "written_by": "9.9.9", "unheard": ["of"]}"#;
        std::fs::write(&path, newer).unwrap();
        let error = states.load().unwrap_err().to_string();
        assert!(
            error.contains("format 3") && error.contains("9.9.9"),
            "{error}"
        );
        std::fs::write(&path, r#"{"format": 0}"#).unwrap();
        assert!(states.load().unwrap_err().to_string().contains("damaged"));
    }
}
