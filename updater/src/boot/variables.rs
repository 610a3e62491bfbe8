//! Boot loaders whose state is a handful of variables: U-Boot in two conventions, and GRUB.
//!
//! What is to be set is pure ([`Convention`]); where it is kept is a [`Store`]. All variables of a change are set at once, and those
//! that are so already are not written: a store in flash must not wear out by being asked.

mod convention;

use std::collections::BTreeMap;
use std::path::Path;

use super::grub::Block;
use super::running::{Running, unreadable};
use super::u_boot::Environment;
use super::{BootControl, BootStatus};
use crate::error::BootError;
use crate::slot::{SlotName, StagedSlot};
use convention::Convention;
pub(super) use convention::{Kind, is_name};

/// Names and values; what is not set is empty.
pub(super) type Values = BTreeMap<String, String>;

/// What tools print: `NAME=VALUE`, one to a line; other lines are passed over.
pub(super) fn values(text: &str) -> Values {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Where variables are kept.
#[derive(Debug)]
pub(super) enum Store {
    UBoot(Environment),
    Grub(Block),
}

impl Store {
    /// The values of `names`; those that are not set may be missing.
    fn read(&self, names: &[&str]) -> Result<Values, BootError> {
        match self {
            Self::UBoot(store) => store.read(names),
            Self::Grub(store) => store.read(),
        }
    }

    /// Sets all of them or none; they last when this returns.
    fn write(&self, changes: &Values) -> Result<(), BootError> {
        match self {
            Self::UBoot(store) => store.write(changes),
            Self::Grub(store) => store.write(changes),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::UBoot(store) => &store.config,
            Self::Grub(store) => &store.path,
        }
    }

    fn repair(&self) -> &'static str {
        match self {
            Self::UBoot(_) => {
                "set the variables as docs/INTEGRATION.md says for the factory: `fw_setenv -s factory.env`"
            }
            Self::Grub(_) => {
                "set the variables as docs/INTEGRATION.md says for the factory, with `grub-editenv`"
            }
        }
    }
}

/// A boot loader of that sort.
#[derive(Debug)]
pub(super) struct Variables {
    running: Running,
    store: Store,
    convention: Convention,
}

impl Variables {
    pub(super) fn new(
        running: Running,
        store: Store,
        kind: Kind,
        slots: [String; 2],
        names: &Values,
    ) -> Result<Self, String> {
        Ok(Self {
            running,
            store,
            convention: Convention::new(kind, slots, names)?,
        })
    }

    fn read(&self) -> Result<Values, BootError> {
        self.store.read(&self.convention.names())
    }

    fn next(&self, values: &Values) -> Result<Option<SlotName>, BootError> {
        let next = self.convention.next(values);
        next.map_err(|found| unreadable(self.store.path(), found, self.store.repair()))
    }

    fn change(&self, change: impl Fn(&Convention, &Values) -> Values) -> Result<(), BootError> {
        let before = self.read()?;
        // What is not understood is not changed either: somebody else may have a use for it.
        self.next(&before)?;
        let differs = |values: &Values, name: &str, value: &str| {
            values.get(name).map_or("", String::as_str) != value
        };
        let mut changes = change(&self.convention, &before);
        changes.retain(|name, value| differs(&before, name, value));
        if changes.is_empty() {
            return Ok(());
        }
        self.store.write(&changes)?;
        let after = self.read()?;
        match changes
            .iter()
            .find(|(name, value)| differs(&after, name, value))
        {
            None => Ok(()),
            Some((name, value)) => Err(BootError::Unwritable {
                path: self.store.path().to_owned(),
                why: format!("{name} is not {value:?} after it was set"),
            }),
        }
    }
}

impl BootControl for Variables {
    fn status(&self) -> Result<BootStatus, BootError> {
        Ok(BootStatus {
            boot: self.running.boot()?,
            booted: self.running.slot()?,
            next: self.next(&self.read()?)?,
        })
    }

    fn mark_unbootable(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.running.slot()? == slot {
            return Err(BootError::Running { slot });
        }
        self.change(|convention, _| convention.without(slot))
    }

    fn arm(&mut self, staged: &StagedSlot) -> Result<(), BootError> {
        let slot = staged.name();
        if self.running.slot()? == slot {
            return Err(BootError::Running { slot });
        }
        self.change(|convention, _| convention.armed(slot))
    }

    fn commit(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.running.slot()? != slot {
            return Err(BootError::NotRunning { slot });
        }
        self.change(|convention, values| convention.committed(slot, values))
    }

    fn give_up(&mut self, slot: SlotName) -> Result<(), BootError> {
        self.change(|convention, _| convention.without(slot))
    }
}
