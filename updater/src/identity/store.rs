//! The identity's files: see [`crate::identity`].

use std::path::{Path, PathBuf};

use device_pki::{Identity, KeyAlgorithm, KeyPair, Protection, SystemEntropy, durable};
use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, StoreError};
use crate::storage::Storage;

/// Longest file of attempts, in bytes.
const MAX_ATTEMPT: u64 = 4096;

/// What is remembered between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How many failed in a row.
    pub failures: u32,
    /// When the last one was.
    pub last: Timestamp,
    /// Seconds that the server asked to wait.
    #[serde(default)]
    pub wait: i64,
    /// Whether a server refused the certificate in use.
    #[serde(default)]
    pub refused: bool,
}

impl Default for Attempt {
    fn default() -> Self {
        Self {
            failures: 0,
            last: Timestamp::EPOCH,
            wait: 0,
            refused: false,
        }
    }
}

/// The folder of an enrolled device's identity.
#[derive(Clone, Debug)]
pub struct IdentityStore {
    folder: PathBuf,
    storage: Storage,
}

impl IdentityStore {
    /// The identity in a state folder. Nothing is read or made yet.
    pub fn at(state: &Path, storage: &Storage) -> Self {
        Self {
            folder: state.join("identity"),
            storage: storage.clone(),
        }
    }

    /// The file with the key and the chain in use.
    pub fn current_path(&self) -> PathBuf {
        self.folder.join("current.pem")
    }

    /// The identity in use; none before the first enrolment.
    ///
    /// # Errors
    /// If it is there and cannot be used.
    pub fn current(&self) -> Result<Option<Identity>, Error> {
        load(&self.current_path())
    }

    /// The identity that is to be the next one: verified, not yet in use.
    ///
    /// # Errors
    /// If it is there and cannot be used.
    pub fn pending(&self) -> Result<Option<Identity>, Error> {
        load(&self.folder.join("pending.pem"))
    }

    /// The key to ask a certificate for: the one that waits, or a new one, which is durable before it is used.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn pending_key(&self) -> Result<KeyPair, Error> {
        let path = self.folder.join("pending.key");
        // One that is damaged has served for nothing: whatever it was certified for is lost with it.
        if let Ok(key) = KeyPair::load(&path, None) {
            return Ok(key);
        }
        let random = &mut SystemEntropy;
        let key = KeyPair::generate(KeyAlgorithm::P256, random).map_err(Error::Identity)?;
        let text = key
            .to_pem(Protection::FileMode, random)
            .map_err(Error::Identity)?;
        self.storage
            .write(&path, text.as_bytes(), durable::SECRET)?;
        Ok(key)
    }

    /// Prepares the folder: makes it, and removes what writes that were cut off have left.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn tidy(&self) -> Result<(), Error> {
        self.storage.make_dir(&self.folder)?;
        Ok(self.storage.remove_leftovers(&self.folder)?)
    }

    pub(super) fn set_pending(&self, identity: &Identity) -> Result<(), Error> {
        self.write("pending.pem", identity)
    }

    /// Gives a new identity its place, with one rename.
    pub(super) fn install(&self, identity: &Identity) -> Result<(), Error> {
        self.write("current.pem", identity)
    }

    /// Forgets the key that waits and its certificate.
    pub(super) fn clear_pending(&self) -> Result<(), Error> {
        // The key first: alone, it would be taken for a new one.
        for name in ["pending.key", "pending.pem"] {
            self.remove(name)?;
        }
        Ok(())
    }

    /// What is remembered of attempts. A file that is damaged remembers nothing.
    pub fn attempt(&self) -> Attempt {
        let bytes = self
            .storage
            .read(&self.folder.join("attempt.json"), MAX_ATTEMPT);
        let bytes = bytes.ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Remembers it.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn set_attempt(&self, attempt: Attempt) -> Result<(), Error> {
        if attempt == Attempt::default() {
            return self.remove("attempt.json");
        }
        let path = self.folder.join("attempt.json");
        let text = serde_json::to_vec(&attempt).map_err(|e| StoreError::Damaged {
            path: path.clone(),
            why: e.to_string(),
        })?;
        Ok(self.storage.write(&path, &text, durable::PUBLIC)?)
    }

    fn write(&self, name: &str, identity: &Identity) -> Result<(), Error> {
        let text = identity.bundle().map_err(Error::Identity)?;
        let path = self.folder.join(name);
        Ok(self
            .storage
            .write(&path, text.as_bytes(), durable::SECRET)?)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        if path.exists() {
            self.storage.remove(&path)?;
        }
        Ok(())
    }
}

fn load(path: &Path) -> Result<Option<Identity>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    Identity::load_bundle(path)
        .map(Some)
        .map_err(Error::Identity)
}
