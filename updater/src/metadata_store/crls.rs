//! The revocation lists of the store.

use std::path::{Path, PathBuf};

use device_pki::Crl;

use super::{CRLS, MAX_LENGTH, MetadataStore};
use crate::error::StoreError;

impl MetadataStore {
    /// All revocation lists, by the name they are stored under.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn load_crls(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, StoreError> {
        let mut crls = Vec::new();
        for path in self.crl_paths()? {
            if let Some(bytes) = self.storage.read(&path, MAX_LENGTH)? {
                crls.push((path, bytes));
            }
        }
        Ok(crls)
    }

    /// Takes over the revocation lists of another folder, as far as they are ones: what is damaged there is left.
    ///
    /// # Errors
    /// If the storage fails here.
    pub fn take_crls_of(&self, folder: &Path) -> Result<(), StoreError> {
        for path in Self::at(folder).crl_paths().unwrap_or_default() {
            let what = path.display().to_string();
            let list = self.storage.read(&path, MAX_LENGTH).and_then(|bytes| {
                let bytes = bytes.unwrap_or_default();
                Crl::from_der(&what, &bytes).map_err(StoreError::Storage)?;
                Ok(bytes)
            });
            match (list, path.file_name()) {
                (Ok(bytes), Some(name)) => {
                    self.write(&self.folder.join(CRLS).join(name), &bytes)?;
                }
                (Err(why), _) => tracing::warn!(%what, %why, "this revocation list is left behind"),
                (Ok(_), None) => {}
            }
        }
        Ok(())
    }

    fn crl_paths(&self) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.folder.join(CRLS);
        let unreadable = |e: std::io::Error| StoreError::Damaged {
            path: folder.clone(),
            why: e.to_string(),
        };
        let mut paths = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(paths),
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "crl") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// The stored revocation list of the issuer with this subject key identifier, in hex.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn load_crl(&self, ski: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.storage.read(&self.crl(ski), MAX_LENGTH)
    }

    /// Stores a revocation list.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn save_crl(&self, ski: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&self.crl(ski), bytes)
    }

    fn crl(&self, ski: &str) -> PathBuf {
        self.folder.join(CRLS).join(format!("{ski}.crl"))
    }
}
