//! One folder of trusted metadata takes the place of another, whole.
//!
//! ```text
//! metadata      -> metadata.old      what was trusted steps aside
//! metadata.new  -> metadata          what is trusted from now on
//! metadata.old  removed
//! ```
//!
//! Each step lasts before the next begins, so a power cut leaves the old folder whole, or the new one: never a root whose rollback
//! floor and revocation lists are gone. Cut off after the first step, the old one goes back; after the second, it is removed.

use std::path::{Path, PathBuf};

use super::MetadataStore;
use crate::error::StoreError;
use crate::storage::Storage;

impl MetadataStore {
    /// Gives the folder, whole, the place of another, whatever is there.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn place(self, place: &Path) -> Result<Self, StoreError> {
        Self::recover(place, &self.storage)?;
        let aside = aside(place);
        if is_there(place) {
            self.storage.place_dir(place, &aside)?;
        }
        self.storage.place_dir(&self.folder, place)?;
        if is_there(&aside) {
            self.storage.remove_dir(&aside)?;
        }
        Ok(Self {
            folder: place.to_owned(),
            ..self
        })
    }

    /// Undoes or finishes a change of place that was cut off. Nobody else may be at work in the folder; and this comes before
    /// anything that makes it, or clears what was to take its place.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn recover(place: &Path, storage: &Storage) -> Result<(), StoreError> {
        let aside = aside(place);
        match (is_there(&aside), is_there(place)) {
            (false, _) => Ok(()),
            (true, false) => storage.place_dir(&aside, place),
            (true, true) => storage.remove_dir(&aside),
        }
    }
}

/// Where a folder stands while another takes its place.
fn aside(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".old");
    PathBuf::from(name)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
