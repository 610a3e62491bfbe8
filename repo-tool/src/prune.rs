//! Removing what no trusted metadata reaches any more.
//!
//! Devices that are in the middle of a download, or whose mirror lags, may still ask for what the last state named. So a
//! file goes only after a grace time, counted from when the first snapshot was issued that does not lead to it. When that
//! was is read from the old snapshots themselves; there is no book to be kept. Roots never go: devices that slept walk
//! over all of them.

mod history;

use std::collections::BTreeMap;

use metadata_schema::limits::Limits;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::push::TIMESTAMP;
use crate::remote::{FolderRemote, Found, Remote};
use crate::repository::Repository;
use crate::schema::words::Time;

use history::History;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// How to prune.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// For how many days a file stays that nothing leads to.
    pub grace_days: u32,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pruned {
    /// Whether it was only said what would be removed.
    pub dry_run: bool,
    /// Files that were removed, in this order.
    pub removed: Vec<RemovedFile>,
    /// Their length in all.
    pub bytes: u64,
    /// How many more nothing leads to, whose grace time has not ended.
    pub waiting: usize,
    /// When the first of them may go.
    #[schemars(with = "Option<Time>")]
    pub next: Option<Timestamp>,
}

/// A file that nothing led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RemovedFile {
    /// Where it was.
    pub place: String,
    /// Its path below the published folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Since when nothing led to it.
    #[schemars(with = "Time")]
    pub since: Timestamp,
}

impl Repository {
    /// Removes what no trusted metadata reaches: at `remote` first, if there is one, and then here, so that what is known
    /// about the past stays until it is of no more use.
    ///
    /// # Errors
    /// If `remote` has not what is published here: [`Error::RemoteDiffers`]; if files cannot be read or removed.
    pub fn prune(
        &self,
        remote: Option<&dyn Remote>,
        options: &PruneOptions,
        now: Timestamp,
    ) -> Result<Pruned> {
        let _lock = self.lock()?;
        let mut reached = self.inventory()?;
        if let Some(remote) = remote {
            same_state(remote, &reached)?;
        }
        // What is staged may name files that are there already.
        let state = self.state()?;
        let staged = state
            .staged
            .targets
            .iter()
            .chain(state.staged.delegated.values());
        staged.for_each(|targets| reached.add_targets(targets));

        let here = FolderRemote::new(self.layout.published());
        let history = History::read(self.layout.published())?;
        let mut pruned = Pruned {
            dry_run: options.dry_run,
            ..Pruned::default()
        };
        let here: &dyn Remote = &here;
        let places = remote.into_iter().chain([here]);
        for place in places {
            let Some(found) = place.list()? else {
                let why = "this server cannot list what it has";
                return Err(crate::remote::failed(place.name(), "list", "", why));
            };
            let gone = judge(&reached, &history, &found, options, now, &mut pruned);
            for (path, bytes, since) in gone {
                if !options.dry_run {
                    place.remove(&path)?;
                }
                pruned.bytes = pruned.bytes.saturating_add(bytes);
                pruned.removed.push(RemovedFile {
                    place: place.name().to_owned(),
                    path,
                    bytes,
                    since,
                });
            }
        }
        Ok(pruned)
    }
}

fn same_state(remote: &dyn Remote, ours: &Inventory) -> Result<()> {
    let there = remote.read(TIMESTAMP, Limits::default().timestamp_length)?;
    if there.is_some_and(|there| there.bytes == ours.timestamp) {
        return Ok(());
    }
    Err(Error::RemoteDiffers {
        remote: remote.name().to_owned(),
        path: TIMESTAMP.to_owned(),
    })
}

/// What goes, in the order of removal: targets before the metadata that says when they were of use.
fn judge(
    reached: &Inventory,
    history: &History,
    found: &BTreeMap<String, Found>,
    options: &PruneOptions,
    now: Timestamp,
    pruned: &mut Pruned,
) -> Vec<(String, u64, Timestamp)> {
    let grace = i64::from(options.grace_days).saturating_mul(DAY);
    let mut gone = Vec::new();
    for (path, file) in found {
        let Some(rank) = rank(path) else {
            continue;
        };
        if reached.items.contains_key(path) {
            continue;
        }
        // What no snapshot ever led to was left by something that was cut off.
        let since = history.since(path).or(file.modified).unwrap_or(now);
        let end = since.plus_seconds(grace);
        if end <= now {
            gone.push((rank, path.clone(), file.length, since));
        } else {
            pruned.waiting = pruned.waiting.saturating_add(1);
            pruned.next = Some(pruned.next.map_or(end, |next| next.min(end)));
        }
    }
    gone.sort();
    gone.into_iter()
        .map(|(_, path, bytes, since)| (path, bytes, since))
        .collect()
}

/// In which turn a file may be removed; none if it may never be: roots, and what we did not publish.
fn rank(path: &str) -> Option<u8> {
    if let Some(path) = path.strip_prefix("targets/") {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let digest = name.split_once('.')?.0;
        let is_digest =
            matches!(digest.len(), 64 | 128) && digest.bytes().all(|b| b.is_ascii_hexdigit());
        return is_digest.then_some(0);
    }
    let (version, role) = path
        .strip_prefix("metadata/")?
        .strip_suffix(".json")?
        .split_once('.')?;
    if !version.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match role {
        "root" => None,
        "snapshot" => Some(2),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_publish_is_removed_and_roots_never() {
        let digest = "0".repeat(64);
        for (path, expected) in [
            (format!("targets/a/{digest}.x.full"), Some(0)),
            (format!("targets/{digest}.x"), Some(0)),
            ("targets/readme.txt".to_owned(), None),
            ("metadata/4.targets.json".to_owned(), Some(1)),
            ("metadata/4.router-x.json".to_owned(), Some(1)),
            ("metadata/4.snapshot.json".to_owned(), Some(2)),
            ("metadata/4.root.json".to_owned(), None),
            ("metadata/timestamp.json".to_owned(), None),
            ("metadata/index.html".to_owned(), None),
            ("elsewhere".to_owned(), None),
        ] {
            assert_eq!(rank(&path), expected, "{path}");
        }
    }
}
