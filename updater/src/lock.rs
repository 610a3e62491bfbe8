//! One updater at a time works on a state folder.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;

use crate::error::{Error, StoreError};

/// Held while a state folder is worked on. The operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the state folder `state`, and writes who holds it there, for `updater cancel`.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another updater holds it; [`StoreError::Damaged`] if its file cannot be written.
    pub(crate) fn take(state: &Path) -> Result<Self, Error> {
        let path = state.join("lock");
        let failed = |e: std::io::Error| StoreError::Damaged {
            path: path.clone(),
            why: e.to_string(),
        };
        let mut options = File::options();
        let opened = options.create(true).write(true).truncate(false).open(&path);
        let file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                let mut taken = Self { file };
                taken.file.set_len(0).map_err(failed)?;
                write!(taken.file, "{}", std::process::id()).map_err(failed)?;
                Ok(taken)
            }
            Err(TryLockError::WouldBlock) => Err(Error::Locked { lock: path }),
            Err(TryLockError::Error(e)) => Err(failed(e).into()),
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
