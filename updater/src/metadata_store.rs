//! Trusted metadata on the device: one file per role under its unversioned name, written whole or not at all.
//!
//! ```text
//! metadata/root.json                    the current root: confirmed, see `refresh`
//! metadata/root_history/N.root.json     steps of a walk from there that has not come to its end
//! metadata/{timestamp,snapshot,targets}.json, metadata/ROLE.json
//! metadata/crls/SKI.crl                 revocation lists, the newest of each issuer
//! metadata/offer.manifest               the manifest of the device's channel, so that an idle poll need not fetch it
//! ```

mod crls;
mod place;

use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::name::{RoleName, Version};

use crate::error::StoreError;
use crate::storage::Storage;

/// Longest file that is read back: longer than any limit for what is downloaded.
const MAX_LENGTH: u64 = 64 * 1024 * 1024;
/// The folder of steps.
const HISTORY: &str = "root_history";
/// The folder of revocation lists.
const CRLS: &str = "crls";
/// The manifest; its name is no role's, for theirs end in `.json`.
const MANIFEST: &str = "offer.manifest";

/// The folder of trusted metadata.
#[derive(Clone, Debug)]
pub struct MetadataStore {
    folder: PathBuf,
    storage: Storage,
}

impl MetadataStore {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or has lost its root: then the rollback floor is not what it was.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_on(folder, Storage::default())
    }

    /// [`MetadataStore::open`] on a storage that may fail.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(folder: &Path, storage: Storage) -> Result<Self, StoreError> {
        Self::recover(folder, &storage)?;
        for folder in [folder, &folder.join(HISTORY), &folder.join(CRLS)] {
            storage.make_dir(folder)?;
        }
        Self::begun(folder)?;
        let folder = folder.to_owned();
        Ok(Self { folder, storage })
    }

    /// Makes the folder anew and empty, whatever was there.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn open_new(folder: &Path, storage: Storage) -> Result<Self, StoreError> {
        storage.remove_dir(folder)?;
        Self::open_on(folder, storage)
    }

    /// Whether the folder holds trusted metadata.
    ///
    /// # Errors
    /// If it has lost its root: then the rollback floor is not what it was.
    pub fn begun(folder: &Path) -> Result<bool, StoreError> {
        let store = Self::at(folder);
        let there = |role: &RoleName| store.path(role).exists();
        // The root is stored before any other role.
        if !there(&RoleName::root()) && there(&RoleName::timestamp()) {
            return Err(StoreError::Damaged {
                path: store.path(&RoleName::root()),
                why: "it is missing, although there is a trusted timestamp".to_owned(),
            });
        }
        Ok(there(&RoleName::root()))
    }

    /// The folder as it is, to look at: nothing is made or checked.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            storage: Storage::default(),
        }
    }

    /// The same on this storage.
    #[must_use]
    pub fn on(self, storage: Storage) -> Self {
        Self { storage, ..self }
    }

    /// Removes what writes that were cut off have left. Nobody else may be at work in the folder.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn tidy(&self) -> Result<(), StoreError> {
        for folder in [
            &self.folder,
            &self.folder.join(HISTORY),
            &self.folder.join(CRLS),
        ] {
            self.storage.remove_leftovers(folder)?;
        }
        Ok(())
    }

    /// The file of a role, if it is there.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn load(&self, role: &RoleName) -> Result<Option<Vec<u8>>, StoreError> {
        self.storage.read(&self.path(role), MAX_LENGTH)
    }

    /// Stores the file of a role.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save(&self, role: &RoleName, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&self.path(role), bytes)
    }

    /// Deletes the file of a role.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn remove(&self, role: &RoleName) -> Result<(), StoreError> {
        self.storage.remove(&self.path(role))
    }

    /// Stores the current root; the walk that led to it, or to an earlier one, is over.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_root(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.save(&RoleName::root(), bytes)?;
        self.forget_walk()
    }

    /// A step of the walk that is under way.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn load_step(&self, version: Version) -> Result<Option<Vec<u8>>, StoreError> {
        self.storage.read(&self.step(version), MAX_LENGTH)
    }

    /// Stores a step of the walk that is under way.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_step(&self, version: Version, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&self.step(version), bytes)
    }

    /// Deletes all steps.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn forget_walk(&self) -> Result<(), StoreError> {
        self.storage.empty_dir(&self.folder.join(HISTORY))
    }

    /// The manifest that was fetched last; none as well if it cannot be read, for it can be fetched again.
    pub fn load_manifest(&self) -> Option<Vec<u8>> {
        self.storage
            .read(&self.folder.join(MANIFEST), MAX_LENGTH)
            .ok()
            .flatten()
    }

    /// Stores the manifest.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_manifest(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&self.folder.join(MANIFEST), bytes)
    }

    /// Where the file of a role stands.
    pub fn path(&self, role: &RoleName) -> PathBuf {
        self.folder.join(format!("{}.json", role.file_stem()))
    }

    fn step(&self, version: Version) -> PathBuf {
        self.folder
            .join(HISTORY)
            .join(format!("{version}.root.json"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        self.storage.write(path, bytes, durable::PUBLIC)
    }
}
