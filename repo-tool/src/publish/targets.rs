//! Target files on their way to where they are served from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::digest::Length;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::TargetFile;

use crate::assemble::target_file_path;
use crate::digests;
use crate::error::{Error, Result};
use crate::repository::{Repository, State};

/// Up to so many files are made to last one by one, and more of them all at once with whatever else waits to be written there: a
/// synchronisation for each of ten thousand files takes a minute.
const ONE_BY_ONE: usize = 16;

impl Repository {
    /// Moves the target files that staged roles name to where they are served from. What earlier drafts left is not
    /// published. The bytes of each reach the disk before its name does.
    pub(super) fn move_targets(&self, state: &State, checked: bool) -> Result<Vec<String>> {
        let targets = RoleName::targets();
        let top = state.staged.targets.iter().map(|role| (&targets, role));
        let named = state.staged.delegated.iter().chain(top);
        let named =
            named.flat_map(|(role, targets)| targets.targets.iter().map(move |t| (role, t)));
        // By path below the targets: two roles may name the same file.
        let mut moves = BTreeMap::new();
        for (role, (path, file)) in named {
            let relative = target_file_path(&TargetPath::new(path)?, &file.hashes);
            let from = self.layout.staged_targets().join(&relative);
            if !from.exists() && !from.is_symlink() {
                continue;
            }
            let expected = checked.then_some((role, file));
            is_what_was_staged(&from, expected)?;
            let to = self.layout.targets().join(&relative);
            moves.insert(relative, (from, to));
        }
        self.make_last(&moves)?;
        let mut folders = BTreeSet::new();
        for (from, to) in moves.values() {
            if let Some(folder) = to.parent() {
                durable::create_dir_durable(folder, 0o755)?;
                folders.insert(folder.to_owned());
            }
            self.move_file(from, to)?;
        }
        for folder in folders {
            durable::sync_folder(&folder)?;
        }
        Ok(moves.into_keys().collect())
    }

    fn make_last(&self, moves: &BTreeMap<String, (PathBuf, PathBuf)>) -> Result<()> {
        if moves.len() > ONE_BY_ONE {
            let folder = self.layout.staged_targets();
            return File::open(&folder)
                .and_then(|handle| Ok(rustix::fs::syncfs(handle)?))
                .map_err(|e| Error::io("sync", &folder, e));
        }
        for (from, _) in moves.values() {
            File::open(from)
                .and_then(|file| file.sync_all())
                .map_err(|e| Error::io("sync", from, e))?;
        }
        Ok(())
    }

    fn move_file(&self, from: &Path, to: &Path) -> Result<()> {
        match fs::rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                let bytes = durable::read_bounded(from, self.settings.max_image_bytes)?;
                durable::write(to, &bytes, durable::PUBLIC)?;
                Ok(durable::remove_durable(from)?)
            }
            other => other.map_err(|e| Error::io("move into place", to, e)),
        }
    }
}

/// A file, and the one that the metadata names.
fn is_what_was_staged(from: &Path, expected: Option<(&RoleName, &TargetFile)>) -> Result<()> {
    let metadata = from
        .symlink_metadata()
        .map_err(|e| Error::io("look at", from, e))?;
    if !metadata.is_file() {
        let why = io::Error::other("it is a link or a folder, expected a file");
        return Err(Error::io("publish", from, why));
    }
    match expected {
        Some((role, file)) => {
            digests::check_file(from, role, Length::Exactly(file.length), &file.hashes)
        }
        None => Ok(()),
    }
}
