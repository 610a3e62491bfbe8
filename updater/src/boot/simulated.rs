//! A boot loader in a file: for tests, for the demo, and to try a configuration without hardware.
//!
//! [`Simulated`] is the updater's side. [`power_on`] is the boot loader's: it takes the first slot that is good or has starts
//! left, and notes what it has started. Only starts of a trial are counted: a committed slot must not wear out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_pki::disk::Disk;
use serde::{Deserialize, Serialize};

use super::running::in_full;
use super::{BootControl, BootStatus, TRIES};
use crate::error::BootError;
use crate::slot::{SlotName, StagedSlot};

/// Longest file, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;

/// What the boot loader thinks of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mark {
    /// It was committed: it starts as often as anybody likes.
    Good,
    /// It is on trial, with so many starts left.
    Trial(u32),
    /// It does not start.
    Unbootable,
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The slot that is tried first.
    pub first: SlotName,
    /// What is thought of each slot.
    pub marks: BTreeMap<SlotName, Mark>,
    /// The slot that runs.
    pub booted: SlotName,
    /// Starts so far.
    pub starts: u64,
}

impl Environment {
    /// As it leaves the factory: slot A runs, slot B is empty.
    pub fn factory() -> Self {
        Self {
            first: SlotName::A,
            marks: [(SlotName::A, Mark::Good), (SlotName::B, Mark::Unbootable)].into(),
            booted: SlotName::A,
            starts: 0,
        }
    }

    fn next(&self) -> Option<SlotName> {
        [self.first, self.first.other()]
            .into_iter()
            .find(|slot| match self.marks.get(slot) {
                Some(Mark::Good) => true,
                Some(Mark::Trial(left)) => *left > 0,
                Some(Mark::Unbootable) | None => false,
            })
    }

    fn mark(&mut self, slot: SlotName, mark: Mark) {
        self.marks.insert(slot, mark);
    }
}

/// The updater's side.
#[derive(Clone, Debug)]
pub struct Simulated {
    path: PathBuf,
    disk: Disk,
}

impl Simulated {
    /// The boot loader whose state is in the file at `path`.
    pub fn new(path: &Path) -> Self {
        Self::on(Disk::default(), path)
    }

    /// The same on this disk.
    pub fn on(disk: Disk, path: &Path) -> Self {
        let path = path.to_owned();
        Self { path, disk }
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
            repair: "restore the boot loader's environment; `updater simulate init` makes one for a simulated device",
        };
        let bytes = self.disk.read_bounded(&self.path, MAX_LENGTH);
        let bytes = bytes.map_err(|e| unreadable(in_full(&e)))?;
        serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))
    }

    fn save(&self, environment: &Environment) -> Result<(), BootError> {
        let unwritable = |why: String| BootError::Unwritable {
            path: self.path.clone(),
            why,
        };
        let text = serde_json::to_vec_pretty(environment).map_err(|e| unwritable(e.to_string()))?;
        let written = self.disk.write(&self.path, &text, 0o600);
        written.map_err(|e| unwritable(in_full(&e)))
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
            environment.mark(slot, Mark::Unbootable);
            environment.first = slot.other();
        })
    }

    fn arm(&mut self, staged: &StagedSlot) -> Result<(), BootError> {
        self.change(|environment| {
            // What runs is what is gone back to: it stays good, however often it has to start.
            environment.mark(environment.booted, Mark::Good);
            environment.mark(staged.name(), Mark::Trial(TRIES));
            environment.first = staged.name();
        })
    }

    fn commit(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.load()?.booted != slot {
            return Err(BootError::NotRunning { slot });
        }
        self.change(|environment| {
            environment.mark(slot, Mark::Good);
            environment.first = slot;
        })
    }

    fn give_up(&mut self, slot: SlotName) -> Result<(), BootError> {
        self.change(|environment| {
            environment.mark(slot, Mark::Unbootable);
            environment.mark(slot.other(), Mark::Good);
            environment.first = slot.other();
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
        if let Some(Mark::Trial(left)) = environment.marks.get_mut(&slot) {
            *left = left.saturating_sub(1);
        }
        environment.booted = slot;
        environment.starts = environment.starts.saturating_add(1);
    })?;
    Ok(slot)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::slot::SlotGroup;

    fn installed() -> (tempfile::TempDir, PathBuf, Simulated) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boot.json");
        let boot = Simulated::install(&path).unwrap();
        (folder, path, boot)
    }

    fn staged(slot: SlotName) -> StagedSlot {
        let group = SlotGroup::new(BTreeMap::new());
        StagedSlot::again(&group, slot, &BTreeMap::new()).unwrap()
    }

    fn starts(path: &Path, count: usize) -> Vec<SlotName> {
        (0..count).map(|_| power_on(path).unwrap()).collect()
    }

    #[test]
    fn a_good_slot_starts_as_often_as_anybody_likes() {
        use SlotName::{A, B};
        let (_folder, path, mut boot) = installed();
        assert_eq!(starts(&path, 10), [A; 10]);
        boot.mark_unbootable(B).unwrap();
        assert_eq!(starts(&path, 10), [A; 10]);
        boot.arm(&staged(B)).unwrap();
        assert_eq!(power_on(&path).unwrap(), B);
        boot.commit(B).unwrap();
        assert_eq!(starts(&path, 10), [B; 10]);
    }

    #[test]
    fn a_trial_has_a_few_starts_and_then_the_old_slot_runs_for_good() {
        use SlotName::{A, B};
        let (_folder, path, mut boot) = installed();
        boot.arm(&staged(B)).unwrap();
        boot.arm(&staged(B)).unwrap();
        assert_eq!(starts(&path, 5), [B, B, B, A, A]);
    }

    #[test]
    fn what_was_given_up_does_not_start_and_what_runs_is_not_taken_away() {
        use SlotName::{A, B};
        let (_folder, path, mut boot) = installed();
        boot.arm(&staged(B)).unwrap();
        assert_eq!(power_on(&path).unwrap(), B);
        assert!(matches!(
            boot.mark_unbootable(B),
            Err(BootError::Running { slot: B })
        ));
        assert!(matches!(
            boot.commit(A),
            Err(BootError::NotRunning { slot: A })
        ));
        boot.give_up(B).unwrap();
        boot.give_up(B).unwrap();
        assert_eq!(starts(&path, 2), [A, A]);
        assert_eq!(boot.status().unwrap().next, Some(A));
    }

    #[test]
    fn a_damaged_state_is_an_error_that_names_the_file() {
        let (_folder, path, boot) = installed();
        std::fs::write(&path, b"{").unwrap();
        let error = boot.status().unwrap_err().to_string();
        assert!(error.contains("boot.json"), "{error}");
    }
}
