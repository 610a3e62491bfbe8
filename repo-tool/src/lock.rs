//! One process at a time changes a repository.

use std::fs::{File, OpenOptions, TryLockError};

use crate::error::{Error, Result};
use crate::layout::Layout;

/// Held while a repository is changed. The operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn take(layout: &Layout) -> Result<Self> {
        let path = layout.lock();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io("open", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked {
                path: layout.folder().to_owned(),
            }),
            Err(TryLockError::Error(e)) => Err(Error::io("lock", &path, e)),
        }
    }
}

impl Drop for Lock {
    /// Gives it back by word. Closing the file alone is not enough: a program that is being started at this moment
    /// holds a copy of every open file until it runs, and the lock goes with the last copy.
    fn drop(&mut self) {
        // A failure leaves what closing the file does.
        drop(self.file.unlock());
    }
}
