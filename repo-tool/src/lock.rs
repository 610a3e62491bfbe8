//! One process at a time changes a repository.

use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::layout::Layout;

/// How often a lock that is taken is tried again.
const PATIENCE: u32 = 10;
/// How long to wait before that.
const PAUSE: Duration = Duration::from_millis(20);

/// Held while a repository is changed. The operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
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
        let mut patience = PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                // Whoever starts a program has a child for a moment that holds what its parent has open.
                Err(TryLockError::WouldBlock) if patience > 0 => {
                    patience = patience.saturating_sub(1);
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked {
                        path: layout.folder().to_owned(),
                    });
                }
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
            }
        }
    }
}
