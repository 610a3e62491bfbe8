//! The files that a device asks for on its way, gathered as they are asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::walk::{Folder, Opened, Source};

/// A published folder that remembers what was read of it.
pub(super) struct Gathering {
    below: Folder,
    metadata: RefCell<BTreeMap<String, Vec<u8>>>,
    targets: RefCell<BTreeSet<String>>,
}

/// What was read, and nothing else: what a device finds in the bundle.
pub(super) struct Gathered {
    below: Folder,
    pub(super) metadata: BTreeMap<String, Vec<u8>>,
    pub(super) targets: BTreeSet<String>,
    /// The bundle's own statement.
    pub(super) statement: Vec<u8>,
}

impl Gathering {
    pub(super) fn of(below: Folder) -> Self {
        Self {
            below,
            metadata: RefCell::default(),
            targets: RefCell::default(),
        }
    }

    /// A metadata file that was read.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.metadata.borrow().get(name).cloned()
    }

    pub(super) fn end(self, statement: Vec<u8>) -> Gathered {
        Gathered {
            below: self.below,
            metadata: self.metadata.into_inner(),
            targets: self.targets.into_inner(),
            statement,
        }
    }
}

impl Source for Gathering {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let found = self.below.metadata(name, limit)?;
        if let Some(bytes) = &found {
            let mut metadata = self.metadata.borrow_mut();
            metadata.insert(name.to_owned(), bytes.clone());
        }
        Ok(found)
    }

    fn open(&self, file_path: &str, most: u64) -> Result<Option<Opened>> {
        let found = self.below.open(file_path, most)?;
        if found.is_some() {
            self.targets.borrow_mut().insert(file_path.to_owned());
        }
        Ok(found)
    }
}

impl Source for Gathered {
    fn metadata(&self, name: &str, _limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.metadata.get(name).cloned())
    }

    fn open(&self, file_path: &str, most: u64) -> Result<Option<Opened>> {
        if !self.targets.contains(file_path) {
            return Ok(None);
        }
        self.below.open(file_path, most)
    }

    fn statement(&self) -> Option<&[u8]> {
        Some(&self.statement)
    }
}
