//! What has to be sent: a comparison of what is here with what is there.

use std::collections::BTreeMap;

use metadata_schema::name::{RoleName, Version};

use crate::error::{Error, Result};
use crate::inventory::{Inventory, Item, Phase};
use crate::remote::Found;

/// The one file whose content changes under its name.
pub(crate) const TIMESTAMP: &str = "metadata/timestamp.json";

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// It is there, and a published state names it: it was read back when it was sent.
    Keep,
    /// It is there with the right length, but nothing names it: a push was cut off, here or elsewhere.
    Check,
    /// It is not there, or not all of it.
    Send,
    /// Another file has its name.
    Differs,
}

/// Refuses to replace a state that is newer than ours in any role, or another state under the same number.
pub(super) fn not_behind(remote: &str, ours: &Inventory, theirs: &Inventory) -> Result<()> {
    for (role, their) in &theirs.versions {
        let our = ours
            .versions
            .get(role)
            .map_or(0, |version| version.number());
        if their.number() > our {
            return Err(ahead(remote, role, *their, our));
        }
    }
    let role = RoleName::timestamp();
    let same_number = theirs.versions.get(&role) == ours.versions.get(&role);
    if same_number && theirs.timestamp != ours.timestamp {
        return Err(Error::RemoteDiffers {
            remote: remote.to_owned(),
            path: TIMESTAMP.to_owned(),
        });
    }
    Ok(())
}

/// Refuses to go on where somebody has published, or is about to publish, a root that we do not have.
pub(super) fn no_newer_root(
    remote: &str,
    ours: &Inventory,
    found: &BTreeMap<String, Found>,
) -> Result<()> {
    let role = RoleName::root();
    let our = ours
        .versions
        .get(&role)
        .map_or(0, |version| version.number());
    let number = |path: &String| {
        let name = path.strip_prefix("metadata/")?.strip_suffix(".root.json")?;
        name.parse().ok().and_then(Version::new)
    };
    match found.keys().filter_map(number).max() {
        Some(their) if their.number() > our => Err(ahead(remote, &role, their, our)),
        _ => Ok(()),
    }
}

fn ahead(remote: &str, role: &RoleName, theirs: Version, ours: u64) -> Error {
    Error::RemoteAhead {
        remote: remote.to_owned(),
        role: role.clone(),
        theirs: theirs.number(),
        ours,
    }
}

/// What is to be done with each file of ours, in the order in which that has to happen.
pub(super) fn make<'a>(
    ours: &'a Inventory,
    theirs: &Inventory,
    found: &BTreeMap<String, Found>,
) -> Vec<(Todo, &'a Item)> {
    let latest = ours.versions.get(&RoleName::root());
    let newest_root = latest.map(|version| format!("metadata/{version}.root.json"));
    let mut plan: Vec<(Todo, &Item)> = ours
        .items
        .values()
        .map(|item| {
            let there = found.get(&item.path).map(|found| found.length);
            // Of the roots, the first and the newest are read back: they tell this repository from any other.
            let settled = item.phase == Phase::Root
                && item.path != "metadata/1.root.json"
                && Some(&item.path) != newest_root.as_ref();
            let named = theirs.items.get(&item.path);
            (todo(item, there, named, settled), item)
        })
        .collect();
    plan.sort_by_key(|(_, item)| item.phase);
    plan
}

fn todo(item: &Item, there: Option<u64>, named: Option<&Item>, settled: bool) -> Todo {
    let Some(length) = there else {
        return Todo::Send;
    };
    match item.phase {
        Phase::Timestamp => Todo::Send,
        _ if named == Some(item) && length == item.length => Todo::Keep,
        _ if named.is_some_and(|named| named.hashes != item.hashes) => Todo::Differs,
        _ if length == item.length && settled => Todo::Keep,
        _ if length == item.length => Todo::Check,
        // The name has the digest in it, so this is the beginning of the same file, or damaged.
        Phase::Targets => Todo::Send,
        _ => Todo::Differs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(phase: Phase, bytes: &[u8]) -> Item {
        Item::of_bytes("metadata/2.targets.json".to_owned(), phase, bytes)
    }

    #[test]
    fn what_is_there_decides() {
        let ours = item(Phase::Roles, b"ours");
        let other = item(Phase::Roles, b"else");
        let cases = [
            (None, None, Todo::Send),
            (Some(4), Some(&ours), Todo::Keep),
            (Some(4), Some(&other), Todo::Differs),
            (Some(4), None, Todo::Check),
            // A state names it, but it has been cut off since.
            (Some(3), Some(&ours), Todo::Differs),
            (Some(3), None, Todo::Differs),
        ];
        for (there, named, expected) in cases {
            assert_eq!(
                todo(&ours, there, named, false),
                expected,
                "{there:?} {named:?}"
            );
        }
        assert_eq!(todo(&ours, Some(4), None, true), Todo::Keep);
        let payload = item(Phase::Targets, b"payload");
        assert_eq!(todo(&payload, Some(3), None, false), Todo::Send);
        assert_eq!(todo(&payload, Some(7), None, false), Todo::Check);
        let timestamp = item(Phase::Timestamp, b"now");
        assert_eq!(
            todo(&timestamp, Some(3), Some(&timestamp), false),
            Todo::Send
        );
    }

    #[test]
    fn nothing_newer_is_replaced() {
        let state = |version: u64, bytes: &[u8]| {
            let mut state = Inventory::default();
            let version = Version::new(version).unwrap();
            state.versions.insert(RoleName::timestamp(), version);
            state.timestamp = bytes.to_vec();
            state
        };
        let ours = state(3, b"a");
        assert!(not_behind("x", &ours, &Inventory::default()).is_ok());
        assert!(not_behind("x", &ours, &state(2, b"b")).is_ok());
        assert!(not_behind("x", &ours, &state(3, b"a")).is_ok());
        let error = not_behind("x", &ours, &state(3, b"b")).unwrap_err();
        assert!(matches!(error, Error::RemoteDiffers { .. }));
        let error = not_behind("x", &ours, &state(4, b"b")).unwrap_err();
        assert!(matches!(
            error,
            Error::RemoteAhead {
                theirs: 4,
                ours: 3,
                ..
            }
        ));
        let found = |name: &str| {
            let file = Found {
                length: 1,
                modified: None,
            };
            BTreeMap::from([(name.to_owned(), file)])
        };
        assert!(no_newer_root("x", &ours, &found("metadata/1.root.json")).is_err());
        assert!(no_newer_root("x", &ours, &found("metadata/x.root.json")).is_ok());
    }
}
