//! A boot loader in a file: for tests, for the demo, and to try a configuration without hardware.
//!
//! [`Simulated`] is the updater's side. [`power_on`] is the boot loader's: it takes the first slot of the order that has tries
//! left, takes one away, and notes what it has started, as U-Boot scripts in RAUC's convention do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_pki::durable;
use serde::{Deserialize, Serialize};

use super::{BootControl, BootStatus};
use crate::error::BootError;
use crate::slot::{SlotName, StagedSlot};
use crate::state_store::read;

/// Starts that an armed or committed slot gets before the boot loader takes the next one.
pub const TRIES: u32 = 3;

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Slots in the order in which they are tried.
    pub order: Vec<SlotName>,
    /// Starts that each slot has left.
    pub tries_left: BTreeMap<SlotName, u32>,
    /// The slot that runs.
    pub booted: SlotName,
    /// Starts so far.
    pub starts: u64,
}

impl Environment {
    /// As it leaves the factory: slot A runs, slot B is empty.
    pub fn factory() -> Self {
        let tries_left = [(SlotName::A, TRIES), (SlotName::B, 0)].into();
        Self {
            order: vec![SlotName::A, SlotName::B],
            tries_left,
            booted: SlotName::A,
            starts: 0,
        }
    }

    fn next(&self) -> Option<SlotName> {
        self.order
            .iter()
            .copied()
            .find(|slot| self.tries_left.get(slot).is_some_and(|left| *left > 0))
    }

    fn prefer(&mut self, slot: SlotName) {
        self.order = vec![slot, slot.other()];
        self.tries_left.insert(slot, TRIES);
    }
}

/// The updater's side.
#[derive(Clone, Debug)]
pub struct Simulated {
    path: PathBuf,
}

impl Simulated {
    /// The boot loader whose state is in the file at `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Writes the state of a device that leaves the factory.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn install(path: &Path) -> Result<Self, BootError> {
        let boot = Self::new(path);
        boot.save(&Environment::factory())?;
        Ok(boot)
    }

    /// The state.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(&self) -> Result<Environment, BootError> {
        let unreadable = |why: String| BootError::Unreadable {
            path: self.path.clone(),
            why,
        };
        let bytes = read(&self.path, 64 * 1024).map_err(|e| unreadable(e.to_string()))?;
        let bytes = bytes.ok_or_else(|| unreadable("it is not there".to_owned()))?;
        serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))
    }

    fn save(&self, environment: &Environment) -> Result<(), BootError> {
        let unwritable = |why: String| BootError::Unwritable {
            path: self.path.clone(),
            why,
        };
        let text = serde_json::to_vec_pretty(environment).map_err(|e| unwritable(e.to_string()))?;
        durable::write(&self.path, &text, 0o600).map_err(|e| unwritable(e.to_string()))
    }

    fn change(&self, change: impl FnOnce(&mut Environment)) -> Result<(), BootError> {
        let before = self.load()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            Ok(())
        } else {
            self.save(&after)
        }
    }
}

impl BootControl for Simulated {
    fn status(&self) -> Result<BootStatus, BootError> {
        let environment = self.load()?;
        Ok(BootStatus {
            boot: environment.starts.to_string(),
            booted: environment.booted,
            next: environment.next(),
        })
    }

    fn mark_unbootable(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.load()?.booted == slot {
            return Err(BootError::Running { slot });
        }
        self.change(|environment| {
            environment.tries_left.insert(slot, 0);
            environment.order = vec![slot.other(), slot];
        })
    }

    fn arm(&mut self, staged: &StagedSlot) -> Result<(), BootError> {
        self.change(|environment| environment.prefer(staged.name()))
    }

    fn commit(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.load()?.booted != slot {
            return Err(BootError::NotRunning { slot });
        }
        self.change(|environment| environment.prefer(slot))
    }

    fn give_up(&mut self, slot: SlotName) -> Result<(), BootError> {
        self.change(|environment| {
            environment.tries_left.insert(slot, 0);
            environment.prefer(slot.other());
        })
    }
}

/// The boot loader's side: starts the device, and says from which slot.
///
/// # Errors
/// If its state cannot be read or written, or no slot has tries left.
pub fn power_on(path: &Path) -> Result<SlotName, BootError> {
    let boot = Simulated::new(path);
    let slot = boot.load()?.next().ok_or(BootError::NothingBootable)?;
    boot.change(|environment| {
        if let Some(left) = environment.tries_left.get_mut(&slot) {
            *left = left.saturating_sub(1);
        }
        environment.booted = slot;
        environment.starts = environment.starts.saturating_add(1);
    })?;
    Ok(slot)
}
