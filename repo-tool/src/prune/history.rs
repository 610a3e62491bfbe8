//! Since when nothing leads to a file: read from the snapshots that are still there.

use std::collections::BTreeMap;
use std::path::Path;

use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Snapshot, Targets};
use metadata_schema::time::Timestamp;

use crate::assemble::metadata_name;
use crate::error::Result;
use crate::inventory::{Inventory, parse};
use crate::remote::{FolderRemote, Remote as _};
use crate::walk::{Folder, Source as _};

/// By path, when the first snapshot was issued that does not lead to the file any more.
#[derive(Debug, Default)]
pub(super) struct History {
    since: BTreeMap<String, Timestamp>,
}

impl History {
    /// Reads the old snapshots in a published folder, and the roles that they list.
    pub(super) fn read(published: &Path) -> Result<Self> {
        let folder = Folder::new(published);
        let limits = Limits::default();
        let mut numbers: Vec<Version> = FolderRemote::new(published)
            .list()?
            .into_iter()
            .flat_map(BTreeMap::into_keys)
            .filter_map(|path| {
                let name = path
                    .strip_prefix("metadata/")?
                    .strip_suffix(".snapshot.json")?;
                Version::new(name.parse().ok()?)
            })
            .collect();
        numbers.sort_unstable();
        // From the newest to the oldest: the first that leads to a file is the last that did, and the one after it was
        // the first that did not.
        let mut history = Self::default();
        let mut after: Option<Timestamp> = None;
        for number in numbers.into_iter().rev() {
            let role = RoleName::snapshot();
            let name = metadata_name(&role, number);
            let bytes = folder.metadata(&name, limits.snapshot_length)?;
            // What cannot be read says nothing about the past.
            let snapshot = bytes.and_then(|bytes| parse::<Snapshot>(&role, &bytes).ok());
            let Some(snapshot) = snapshot else {
                continue;
            };
            if let Some(after) = after {
                history.note(format!("metadata/{name}"), after);
                for (name, listed) in &snapshot.meta {
                    let role = match name.strip_suffix(".json").unwrap_or(name) {
                        "targets" => RoleName::targets(),
                        stem => RoleName::delegated(stem)?,
                    };
                    history.note_role(&folder, &role, listed.version, after)?;
                }
            }
            after = snapshot.common.issued.or(after);
        }
        Ok(history)
    }

    /// Since when nothing leads to the file; none if no old snapshot ever did.
    pub(super) fn since(&self, path: &str) -> Option<Timestamp> {
        self.since.get(path).copied()
    }

    fn note_role(
        &mut self,
        folder: &Folder,
        role: &RoleName,
        version: Version,
        after: Timestamp,
    ) -> Result<()> {
        let name = metadata_name(role, version);
        let path = format!("metadata/{name}");
        if self.since.contains_key(&path) {
            return Ok(());
        }
        let bytes = folder.metadata(&name, Limits::default().targets_length)?;
        if let Some(targets) = bytes.and_then(|bytes| parse::<Targets>(role, &bytes).ok()) {
            let mut named = Inventory::default();
            named.add_targets(&targets);
            for path in named.items.into_keys() {
                self.note(path, after);
            }
        }
        self.note(path, after);
        Ok(())
    }

    fn note(&mut self, path: String, after: Timestamp) {
        self.since.entry(path).or_insert(after);
    }
}
