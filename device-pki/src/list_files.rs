//! Files of revocation lists, and how a running program takes over newer ones.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::crl::Crl;
use crate::error::{Error, Result};

/// Most lists that are loaded.
pub const MAX_LISTS: usize = 1000;

/// The files that `paths` stand for: themselves, or of a folder the files `*.crl` in it.
///
/// # Errors
/// If a folder cannot be read, or they are more than [`MAX_LISTS`].
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|e| Error::io("list", path, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| Error::io("list", path, e))?.path();
                if is_list(&entry) {
                    files.push(entry);
                }
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    if files.len() > MAX_LISTS {
        return Err(Error::TooManyLists {
            count: files.len(),
            most: MAX_LISTS,
        });
    }
    Ok(files)
}

fn is_list(path: &Path) -> bool {
    // What is being written has a name that begins with a dot.
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "crl")
}

/// Reads them all.
///
/// # Errors
/// If one cannot be read or is no list.
pub fn load(files: &[PathBuf]) -> Result<Vec<Crl>> {
    files.iter().map(|path| Crl::load(path)).collect()
}

/// Keeps lists in force that `lists` has no equal or newer one for: a file that was set back, or is gone, clears nobody.
/// Returns those that stay.
pub fn keep_newer<'a>(lists: &mut Vec<Crl>, in_force: &'a [Crl]) -> Vec<&'a Crl> {
    let mut kept: Vec<&Crl> = Vec::new();
    for old in in_force {
        let same =
            |list: &Crl| list.issuer_ski() == old.issuer_ski() && list.issuer() == old.issuer();
        // Those in force are in order, the newest first.
        if kept.iter().any(|newer| same(newer)) {
            continue;
        }
        let found = lists
            .iter()
            .filter(|list| same(list))
            .map(Crl::number)
            .max();
        if found.is_none_or(|found| found < old.number()) {
            kept.push(old);
        }
    }
    lists.extend(kept.iter().map(|list| (*list).clone()));
    kept
}

/// What tells that a file has changed: its path, time of change, and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(PathBuf, Option<SystemTime>, u64);

impl Fingerprint {
    /// The file as it is now.
    ///
    /// # Errors
    /// If it is not there.
    pub fn of(path: PathBuf) -> Result<Self> {
        let found = std::fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?;
        Ok(Self(path, found.modified().ok(), found.len()))
    }
}
