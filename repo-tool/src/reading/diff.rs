//! What differs between two states of a repository, or between two repositories.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::Role;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::archive::{Archive, State};
use crate::describe;
use crate::error::{Error, Result};
use crate::schema::words::Time;

/// A state to compare: `FOLDER`, as it is now, or `FOLDER@N`, as it was when snapshot N was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// A published folder, or a keepers' folder.
    pub folder: PathBuf,
    /// The snapshot; the current one if none is given.
    pub snapshot: Option<Version>,
}

impl FromStr for Side {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (folder, snapshot) = match text.rsplit_once('@') {
            Some((folder, number)) if number.chars().all(|c| c.is_ascii_digit()) => {
                let version = number.parse().ok().and_then(Version::new);
                let version =
                    version.ok_or_else(|| Error::argument("snapshot", text, "FOLDER@VERSION"))?;
                (folder, Some(version))
            }
            _ => (text, None),
        };
        Ok(Self {
            folder: folder.into(),
            snapshot,
        })
    }
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Version of the snapshot on the left.
    pub from_snapshot: u64,
    /// When that was issued.
    #[schemars(with = "Option<Time>")]
    pub from_issued: Option<Timestamp>,
    /// Version of the snapshot on the right.
    pub to_snapshot: u64,
    /// When that was issued.
    #[schemars(with = "Option<Time>")]
    pub to_issued: Option<Timestamp>,
    /// Roles that differ: root, targets, then the delegated ones.
    pub roles: Vec<RoleDifference>,
}

/// What differs in one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleDifference {
    /// The role.
    pub role: String,
    /// Its version on the left; none if it is not there.
    pub from_version: Option<u64>,
    /// Its version on the right; none if it is not there.
    pub to_version: Option<u64>,
    /// Two contents under one version: at least one of them was not published by the keepers of this repository.
    pub forked: bool,
    /// What changes from left to right, in sentences.
    pub lines: Vec<String>,
}

impl Difference {
    /// Compares two states.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn between(left: &Side, right: &Side) -> Result<Self> {
        let (old, new) = (Archive::open(&left.folder)?, Archive::open(&right.folder)?);
        let (a, b) = (old.state(left.snapshot)?, new.state(right.snapshot)?);
        let mut roles = Vec::new();
        if a.root != b.root {
            let lines = describe::root(Some(&a.root), &b.root);
            roles.push(entry(
                &RoleName::root(),
                Some(&a.root),
                Some(&b.root),
                lines,
            ));
        }
        if a.targets != b.targets {
            let role = RoleName::targets();
            let lines = describe::targets(&role, Some(&a.targets), &b.targets, &new)?;
            roles.push(entry(&role, Some(&a.targets), Some(&b.targets), lines));
        }
        for role in delegated(&a, &b)? {
            let (before, after) = (old.delegated(&a, &role)?, new.delegated(&b, &role)?);
            if before == after {
                continue;
            }
            let lines = match &after {
                Some(after) => describe::targets(&role, before.as_ref(), after, &new)?,
                None => vec!["is gone".to_owned()],
            };
            roles.push(entry(&role, before.as_ref(), after.as_ref(), lines));
        }
        Ok(Self {
            from_snapshot: a.snapshot.common.version.number(),
            from_issued: a.snapshot.common.issued,
            to_snapshot: b.snapshot.common.version.number(),
            to_issued: b.snapshot.common.issued,
            roles,
        })
    }
}

fn entry<R: Role>(
    role: &RoleName,
    old: Option<&R>,
    new: Option<&R>,
    lines: Vec<String>,
) -> RoleDifference {
    let version = |content: Option<&R>| content.map(|content| content.common().version.number());
    let (from_version, to_version) = (version(old), version(new));
    RoleDifference {
        role: role.to_string(),
        from_version,
        to_version,
        forked: from_version == to_version,
        lines,
    }
}

/// Delegated roles that the two snapshots do not list alike.
fn delegated(a: &State, b: &State) -> Result<BTreeSet<RoleName>> {
    let (old, new) = (&a.snapshot.meta, &b.snapshot.meta);
    let mut roles = BTreeSet::new();
    for name in old.keys().chain(new.keys()) {
        let stem = name.strip_suffix(".json").unwrap_or(name);
        // What lists no digest must be read to know.
        let same = old.get(name) == new.get(name)
            && old.get(name).is_some_and(|file| file.hashes.is_some());
        if stem != "targets" && !same {
            roles.insert(RoleName::delegated(stem)?);
        }
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_may_name_a_snapshot() {
        let side: Side = "a/b@12".parse().unwrap();
        assert_eq!(
            (side.folder, side.snapshot),
            ("a/b".into(), Version::new(12))
        );
        for whole in ["a@b", "user@host/x", "plain"] {
            let side: Side = whole.parse().unwrap();
            assert_eq!((side.folder, side.snapshot), (whole.into(), None));
        }
        assert!("a@0".parse::<Side>().is_err());
        assert!("a@99999999999999999999".parse::<Side>().is_err());
    }
}
