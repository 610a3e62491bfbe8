//! Somebody who looks on, and writes every step down.

use std::io;
use std::sync::{Arc, Mutex};

use device_pki::disk::{Disk, Step, Watch};
use updater::storage::Storage;

use crate::disk::Made;

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Made>>);

impl Journal {
    /// A storage whose steps are written down.
    pub(crate) fn storage() -> (Storage, Arc<Self>) {
        let journal = Arc::new(Self::default());
        let disk = Disk::watched(Arc::<Self>::clone(&journal));
        (Storage::on(disk), journal)
    }

    /// How many steps were made.
    pub(crate) fn made(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What was written down.
    pub(crate) fn steps(&self) -> Vec<Made> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Watch for Journal {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        self.0.lock().unwrap().push(Made::of(step));
        Ok(())
    }
}
