//! Whose keys are gone: names and key ids, and what they mean.

use std::collections::{BTreeMap, BTreeSet};

use metadata_schema::key::KeyId;
use metadata_schema::threshold::Authority;

use super::{Facts, Loss, anchor_name};
use crate::error::{Error, Result};
use crate::keyholder::holder_name;
use crate::signers::keys_of;

/// The roles that machines sign.
const MACHINES: [&str; 3] = ["snapshot", "timestamp", "pki"];

/// What became of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) lost: bool,
    pub(crate) stolen: bool,
}

/// The keys that are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    /// People's keys.
    pub(crate) keys: BTreeMap<KeyId, Fate>,
    /// Keys of machines, by role.
    pub(crate) machines: BTreeMap<&'static str, Fate>,
    /// CAs by name; stolen.
    pub(crate) cas: BTreeSet<String>,
}

impl Missing {
    /// Finds what the names mean, in the roots of all times and in targets.
    pub(crate) fn read(facts: &Facts, loss: &Loss) -> Result<Self> {
        let mut missing = Self::default();
        let lost = loss.lost.iter().map(|name| (name, false));
        let stolen = loss.stolen.iter().map(|name| (name, true));
        for (name, stolen) in lost.chain(stolen) {
            missing.add(facts, name, stolen)?;
        }
        if missing.keys.is_empty() && missing.machines.is_empty() && missing.cas.is_empty() {
            let expected = "somebody whose key is lost or stolen";
            return Err(Error::argument("loss", "", expected));
        }
        Ok(missing)
    }

    fn add(&mut self, facts: &Facts, name: &str, stolen: bool) -> Result<()> {
        let mark = |fate: &mut Fate| {
            if stolen {
                fate.stolen = true;
            } else {
                fate.lost = true;
            }
        };
        if let Some(role) = MACHINES.into_iter().find(|role| *role == name) {
            mark(self.machines.entry(role).or_default());
            return Ok(());
        }
        if name == anchor_name(&facts.anchor) || facts.issuers.iter().any(|ca| ca == name) {
            self.cas.insert(name.to_owned());
            return Ok(());
        }
        let mut found = BTreeSet::new();
        for (root, _) in &facts.roots {
            for role in [&root.root, &root.targets] {
                let by = Authority {
                    keys: &root.keys,
                    role,
                    certificates: &root.certificates,
                };
                found.extend(keys_of(&by, name));
            }
        }
        for role in facts.people_roles() {
            found.extend(
                facts
                    .authority(&role)
                    .iter()
                    .flat_map(|by| keys_of(by, name)),
            );
        }
        if found.is_empty() {
            let expected = "somebody who signs (name or key id), snapshot, timestamp, pki, or the name of a CA";
            return Err(Error::argument("key", name, expected));
        }
        for key in found {
            mark(self.keys.entry(key).or_default());
        }
        Ok(())
    }

    pub(crate) fn fate(&self, key: &KeyId) -> Option<Fate> {
        self.keys.get(key).copied()
    }

    pub(crate) fn has_stolen(&self, machine: &str) -> bool {
        self.machines.get(machine).is_some_and(|fate| fate.stolen)
    }

    /// The people of a role whose keys are gone, by name, with what became of them.
    pub(crate) fn people(&self, by: &Authority<'_>) -> BTreeMap<String, Fate> {
        let mut people: BTreeMap<String, Fate> = BTreeMap::new();
        for id in &by.role.key_ids {
            if let Some(fate) = self.fate(id) {
                let person = people.entry(holder_name(by.certificates, id)).or_default();
                person.lost |= fate.lost;
                person.stolen |= fate.stolen;
            }
        }
        people
    }
}
