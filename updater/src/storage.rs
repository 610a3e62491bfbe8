//! Changes of what the updater keeps, one at a time, each whole and lasting or not made: `device_pki::durable`, with the errors of this
//! crate.
//!
//! A test can let the power fail after any number of changes, or look on at the steps that a [`Disk`] makes them of: what is there then
//! is what the next run finds.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use device_pki::disk::Disk;

use crate::error::StoreError;

/// What makes the changes.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    disk: Disk,
    /// Changes that can still be made; none says that the power does not fail.
    left: Option<Arc<AtomicU64>>,
}

impl Storage {
    /// One that makes so many changes, and from then on none: for tests of what a power cut leaves behind.
    pub fn that_fails_after(changes: u64) -> Self {
        Self {
            left: Some(Arc::new(AtomicU64::new(changes))),
            ..Self::default()
        }
    }

    /// On this disk.
    pub fn on(disk: Disk) -> Self {
        Self { disk, left: None }
    }

    /// The disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Reads a file of at most `limit` bytes; none if it is not there.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        read_on(&self.disk, path, limit)
    }

    pub(crate) fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
        self.change(path, || self.disk.write(path, bytes, mode))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.change(path, || self.disk.remove_file(path))
    }

    pub(crate) fn make_dir(&self, path: &Path) -> Result<(), StoreError> {
        if path.is_dir() {
            return Ok(());
        }
        self.change(path, || self.disk.create_dir(path, 0o700))
    }

    pub(crate) fn empty_dir(&self, path: &Path) -> Result<(), StoreError> {
        self.change(path, || self.disk.empty_dir(path))
    }

    pub(crate) fn remove_dir(&self, path: &Path) -> Result<(), StoreError> {
        self.change(path, || self.disk.remove_dir(path))
    }

    pub(crate) fn place_dir(&self, folder: &Path, place: &Path) -> Result<(), StoreError> {
        self.change(place, || self.disk.place_dir(folder, place))
    }

    pub(crate) fn remove_leftovers(&self, folder: &Path) -> Result<(), StoreError> {
        self.change(folder, || self.disk.remove_leftovers(folder))
    }

    fn change(
        &self,
        path: &Path,
        make: impl FnOnce() -> device_pki::Result<()>,
    ) -> Result<(), StoreError> {
        self.spend(path)
            .and_then(|()| make())
            .map_err(StoreError::Storage)
    }

    fn spend(&self, path: &Path) -> device_pki::Result<()> {
        let Some(left) = &self.left else {
            return Ok(());
        };
        let one_less = |left: u64| left.checked_sub(1);
        let spent = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        spent.map(drop).map_err(|_| device_pki::Error::Io {
            step: "change",
            path: path.to_owned(),
            source: io::Error::other("the power has failed"),
        })
    }
}

/// Reads a file of at most `limit` bytes from a disk; none if it is not there.
pub(crate) fn read_on(disk: &Disk, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => disk
            .read_bounded(path, limit)
            .map(Some)
            .map_err(StoreError::Storage),
    }
}
