//! What a signer saw last: a small file of their own, outside of any repository. It tells a copy that was rolled back, or
//! whose anchor was exchanged, from the one that they know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::key::KeyId;
use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::baseline::Baseline;
use crate::error::{Error, Result};

/// Longest file.
const LIMIT: u64 = 4 << 20;
/// Most repositories that are remembered; the one that was seen longest ago is forgotten first.
const MAX_REPOSITORIES: usize = 100;

/// What somebody has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    repositories: Vec<Seen>,
}

/// A repository as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// When.
    at: Timestamp,
    /// In which folders.
    folders: BTreeSet<PathBuf>,
    /// With which keys the person signed in it.
    keys: BTreeSet<String>,
    /// SHA-256 of the anchor, in hex.
    anchor: String,
    /// Digest of the first root, in hex.
    first_root: Option<String>,
    /// Versions and digests by role.
    roles: BTreeMap<String, (u64, String)>,
}

impl Memory {
    /// Reads the file; an empty memory if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = durable::read_bounded(path, LIMIT)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Remembered {
            what: format!("{} cannot be read: {error}", path.display()),
        })
    }

    /// Writes the file, readable by its owner only.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            durable::create_dir_durable(folder, 0o700)?;
        }
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Error::Remembered {
            what: format!("{} cannot be written: {error}", path.display()),
        })?;
        Ok(durable::write(path, &bytes, durable::SECRET)?)
    }

    /// Whether what is published in `folder` may follow upon what was seen before, for somebody who is about to sign with
    /// `key`, if with any.
    ///
    /// # Errors
    /// [`Error::Remembered`]: another anchor, another repository in the same folder, an older state, or another file of the
    /// same version.
    pub fn check(&self, folder: &Path, key: Option<&KeyId>, now: &Baseline) -> Result<()> {
        let refuse = |what: String| Err(Error::Remembered { what });
        let anchor = now.anchor.to_string();
        let first_root = now.first_root.as_ref().map(Sha256Digest::to_string);
        for seen in &self.repositories {
            let on = day(seen.at);
            let same = seen.first_root.is_some() && seen.first_root == first_root;
            let here = seen.folders.contains(folder);
            let by_key = key.is_some_and(|key| seen.keys.contains(key.as_str()));
            if seen.anchor != anchor && (same || here || by_key) {
                let where_ = if by_key {
                    "you signed with this key"
                } else {
                    "you looked"
                };
                return refuse(format!(
                    "the anchor is another: when {where_} on {on}, it had sha256 {}, now it has {anchor}",
                    seen.anchor
                ));
            }
            if here && !same && seen.first_root.is_some() {
                return refuse(match &first_root {
                    None => format!("nothing is published in this folder; on {on} there was"),
                    Some(_) => format!(
                        "this folder held another repository on {on}: the first root is another"
                    ),
                });
            }
            if same {
                older(seen, now)?;
            }
        }
        Ok(())
    }

    /// Notes what was seen, and with which key it is signed.
    pub fn remember(&mut self, folder: &Path, key: Option<&KeyId>, now: &Baseline, at: Timestamp) {
        let first_root = now.first_root.as_ref().map(Sha256Digest::to_string);
        let anchor = now.anchor.to_string();
        let place = self.repositories.iter().position(|seen| {
            let begun = seen.first_root.is_none() && seen.folders.contains(folder);
            seen.anchor == anchor
                && (seen.first_root == first_root && first_root.is_some() || begun)
        });
        let mut seen = place.map_or_else(
            || Seen {
                at,
                folders: BTreeSet::new(),
                keys: BTreeSet::new(),
                anchor: anchor.clone(),
                first_root: None,
                roles: BTreeMap::new(),
            },
            |place| self.repositories.remove(place),
        );
        seen.at = seen.at.max(at);
        seen.first_root = first_root;
        seen.roles.clone_from(&now.roles);
        seen.folders.insert(folder.to_owned());
        seen.folders
            .retain(|known| known == folder || known.exists());
        seen.keys.extend(key.map(|key| key.as_str().to_owned()));
        self.repositories.push(seen);
        if self.repositories.len() > MAX_REPOSITORIES {
            self.repositories.sort_by_key(|seen| seen.at);
            self.repositories.remove(0);
        }
    }

    /// Forgets what was seen in a folder, of the repository that is there now, and of the key.
    pub fn forget(&mut self, folder: &Path, key: Option<&KeyId>, now: &Baseline) {
        let first_root = now.first_root.as_ref().map(Sha256Digest::to_string);
        self.repositories.retain_mut(|seen| {
            if let Some(key) = key {
                seen.keys.remove(key.as_str());
            }
            let same = first_root.is_some() && seen.first_root == first_root;
            !same && !seen.folders.contains(folder)
        });
    }
}

/// No role may be older than it was, or another file of the same version.
fn older(seen: &Seen, now: &Baseline) -> Result<()> {
    for (role, (version, digest)) in &seen.roles {
        let found = now.roles.get(role);
        let what = match found {
            // A role may be taken out, by whoever delegates it: in a later version of that.
            None if now.roles.get("targets") != seen.roles.get("targets") => continue,
            None => format!("{role} v{version} is gone"),
            Some((now, _)) if now > version => continue,
            Some((now, _)) if now < version => format!("{role} v{now}, you saw v{version}"),
            Some((_, other)) if other == digest => continue,
            Some(_) => format!("{role} v{version} is another file than the one you saw"),
        };
        return Err(Error::Remembered {
            what: format!(
                "what is published here is older than on {}: {what}",
                day(seen.at)
            ),
        });
    }
    Ok(())
}

/// The date alone.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}
