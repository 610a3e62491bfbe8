//! systemd-boot: an entry for each slot, and the boot counting of the Boot Loader Specification.
//!
//! The state is in the names of the files, as `updater-b+2-1.conf`: two starts left, one done; systemd-boot counts by renaming. Without
//! a counter an entry is good; with none left it comes last. Among the others that with the highest `version` comes
//! first, so arming writes the entry anew, with a version above the other's and three starts, in one rename. An
//! entry that must not start is renamed to `updater-b.unbootable`, which systemd-boot does not look at.

mod entry;

use std::path::PathBuf;

use device_pki::disk::Disk;
use device_pki::durable;

use super::running::{Running, in_full, read, unreadable};
use super::{BootControl, BootStatus, TRIES};
use crate::error::BootError;
use crate::slot::{SlotName, StagedSlot};
use entry::{Entry, State, default_of, disagreement, next};

/// Longest entry, in bytes.
const MAX_ENTRY: u64 = 64 * 1024;
/// What to do if the entries make no sense.
const REPAIR: &str = "write one entry for each slot as docs/INTEGRATION.md says: the same sort-key, a version that is a number, and no \
                      `default` in loader.conf";

/// The entries.
#[derive(Debug)]
pub(super) struct SystemdBoot {
    folder: PathBuf,
    names: [String; 2],
    running: Running,
    disk: Disk,
}

impl SystemdBoot {
    pub(super) fn new(disk: Disk, folder: PathBuf, names: [String; 2], running: Running) -> Self {
        Self {
            folder,
            names,
            running,
            disk,
        }
    }

    /// All entries of both slots; more than one of a slot, if a change was cut off.
    fn entries(&self) -> Result<Vec<Entry>, BootError> {
        let failed = |why: String| unreadable(&self.folder, why, REPAIR);
        let mut entries = Vec::new();
        let listed = std::fs::read_dir(&self.folder).map_err(|e| failed(e.to_string()))?;
        for file in listed {
            let file = file.map_err(|e| failed(e.to_string()))?.file_name();
            let Some((slot, state)) = file.to_str().and_then(|f| entry::named(f, &self.names))
            else {
                continue;
            };
            let path = self.folder.join(&file);
            let bytes = read(&path, MAX_ENTRY).map_err(failed)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let read = Entry::read(slot, state, path, text);
            entries.push(read.map_err(|why| failed(format!("{}: {why}", file.display())))?);
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        for (slot, name) in [SlotName::A, SlotName::B].iter().zip(&self.names) {
            if !entries.iter().any(|entry| entry.slot == *slot) {
                return Err(failed(format!("slot {slot} has no entry ({name}.conf)")));
            }
        }
        if let Some(found) = disagreement(&entries) {
            return Err(failed(found));
        }
        let loader = self.folder.with_file_name("loader.conf");
        let text = match read(&loader, MAX_ENTRY) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) if !loader.exists() => String::new(),
            Err(why) => return Err(failed(why)),
        };
        match default_of(&text) {
            None => Ok(entries),
            Some(default) => {
                let found = format!("it has `default {default}`, whatever is counted");
                Err(unreadable(&loader, found, REPAIR))
            }
        }
    }

    /// Has the slot one entry, in this state and with this version (its own, if none is given).
    fn put(&self, slot: SlotName, state: State, version: Option<u64>) -> Result<(), BootError> {
        let failed = |e: device_pki::Error| BootError::Unwritable {
            path: self.folder.clone(),
            why: in_full(&e),
        };
        let entries = self.entries()?;
        let [a, b] = &self.names;
        let name = match slot {
            SlotName::A => a,
            SlotName::B => b,
        };
        let path = self.folder.join(state.file(name));
        let mut own: Vec<&Entry> = entries.iter().filter(|entry| entry.slot == slot).collect();
        // The one that is in its place already, or else the newest.
        own.sort_by_key(|entry| (entry.path == path, entry.version));
        let Some(source) = own.pop() else {
            return Ok(());
        };
        let version = version.unwrap_or(source.version);
        if version != source.version {
            let text = source.with_version(version);
            self.disk
                .write(&path, text.as_bytes(), durable::PUBLIC)
                .map_err(failed)?;
            if source.path != path {
                self.disk.remove_file(&source.path).map_err(failed)?;
            }
        } else if source.path != path {
            let renamed = self.disk.rename(&source.path, &path);
            renamed.map_err(|e| BootError::Unwritable {
                path: source.path.clone(),
                why: e.to_string(),
            })?;
            self.disk.sync_folder(&self.folder).map_err(failed)?;
        }
        for surplus in own.iter().filter(|entry| entry.path != path) {
            self.disk.remove_file(&surplus.path).map_err(failed)?;
        }
        Ok(())
    }

    /// `slot` does not start, and the other one does.
    fn without(&self, slot: SlotName) -> Result<(), BootError> {
        self.put(slot.other(), State::Good, None)?;
        self.put(slot, State::Unbootable, None)
    }

    /// A version above that of the other slot, or none if the slot comes first already.
    fn version_above(&self, slot: SlotName) -> Result<Option<u64>, BootError> {
        let entries = self.entries()?;
        let highest = |of: SlotName| {
            let versions = entries.iter().filter(|e| e.slot == of).map(|e| e.version);
            versions.max().unwrap_or_default()
        };
        let other = highest(slot.other());
        Ok((highest(slot) <= other).then(|| other.saturating_add(1)))
    }
}

impl BootControl for SystemdBoot {
    fn status(&self) -> Result<BootStatus, BootError> {
        Ok(BootStatus {
            boot: self.running.boot()?,
            booted: self.running.slot()?,
            next: next(&self.entries()?),
        })
    }

    fn mark_unbootable(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.running.slot()? == slot {
            return Err(BootError::Running { slot });
        }
        self.without(slot)
    }

    fn arm(&mut self, staged: &StagedSlot) -> Result<(), BootError> {
        let slot = staged.name();
        if self.running.slot()? == slot {
            return Err(BootError::Running { slot });
        }
        self.put(slot.other(), State::Good, None)?;
        let version = self.version_above(slot)?;
        self.put(
            slot,
            State::Trial {
                left: TRIES,
                done: 0,
            },
            version,
        )
    }

    fn commit(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.running.slot()? != slot {
            return Err(BootError::NotRunning { slot });
        }
        let other = slot.other();
        let counted = |entry: &Entry| entry.slot == other && entry.state.is_trial();
        if self.entries()?.iter().any(counted) {
            self.put(other, State::Unbootable, None)?;
        }
        let version = self.version_above(slot)?;
        self.put(slot, State::Good, version)
    }

    fn give_up(&mut self, slot: SlotName) -> Result<(), BootError> {
        self.without(slot)
    }
}
