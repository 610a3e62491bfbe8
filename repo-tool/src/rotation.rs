//! Changing who signs: a new root version with other people, and new versions of what is about to expire.

use std::num::NonZeroU32;

use metadata_schema::gate::{Certificates, When};
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::keyholder::{Keyholder, holder_name};
use crate::repository::{Repository, State};
use crate::staged::stage;
use crate::trust;

/// A top-level role that people sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopRole {
    /// `root`
    Root,
    /// `targets`
    Targets,
}

impl TopRole {
    /// The name of the role.
    pub fn name(self) -> RoleName {
        match self {
            Self::Root => RoleName::root(),
            Self::Targets => RoleName::targets(),
        }
    }
}

/// A change of the people who sign.
#[derive(Clone, Debug)]
pub struct RootChange {
    /// Which roles are changed.
    pub roles: Vec<TopRole>,
    /// People who join.
    pub add: Vec<Keyholder>,
    /// People who leave: by name as in their certificate, key id, or the beginning of it (8 digits or more).
    pub remove: Vec<String>,
    /// A new threshold.
    pub threshold: Option<NonZeroU32>,
}

impl Repository {
    /// Stages the next root with other signers. It is published when a threshold of the current root's keyholders and one
    /// of the new root's have signed. If the signers of targets change, its next version is staged, too.
    ///
    /// # Errors
    /// If somebody who is to leave is not there, or the result would lock the keepers out.
    pub fn rotate_root(&self, change: &RootChange, now: Timestamp) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let mut root = state.needed_root(self)?.clone();
        let leaving = leaving(&root, &change.remove)?;
        for person in &change.add {
            root.keys
                .insert(person.key().id().clone(), person.key().clone());
            root.certificates
                .insert(person.key().id().clone(), person.pem_chain());
        }
        for role in &change.roles {
            let keys = match role {
                TopRole::Root => &mut root.root,
                TopRole::Targets => &mut root.targets,
            };
            keys.key_ids.retain(|id| !leaving.contains(id));
            keys.key_ids
                .extend(change.add.iter().map(|person| person.key().id().clone()));
            keys.threshold = change.threshold.unwrap_or(keys.threshold);
        }
        drop_unused(&mut root);
        let gate = self.gate(&state)?;
        check(&gate, &RoleName::root(), &root.root, &root, now)?;
        check(&gate, &RoleName::targets(), &root.targets, &root, now)?;
        root.common = state.next(&RoleName::root(), &self.settings, now)?;
        stage(&self.layout, &RoleName::root(), &root)?;
        let before = state.published.root.as_ref();
        if before.is_some_and(|old| old.targets != root.targets) {
            self.stage_again(&state, &RoleName::targets(), now)?;
        }
        Ok(())
    }

    /// Stages the next version of roles that people sign, with the same content and a later expiry.
    ///
    /// # Errors
    /// If there is no such role.
    pub fn renew(&self, roles: &[RoleName], now: Timestamp) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.state()?;
        for role in roles {
            self.stage_again(&state, role, now)?;
        }
        Ok(())
    }

    fn stage_again(&self, state: &State, role: &RoleName, now: Timestamp) -> Result<()> {
        let common = state.next(role, &self.settings, now)?;
        if role.as_str() == "root" {
            let root = Root {
                common,
                ..state.needed_root(self)?.clone()
            };
            stage(&self.layout, role, &root)?;
            return Ok(());
        }
        let content = match role.as_str() {
            "targets" => Some(state.needed_targets(self)?),
            _ => state.delegated(role)?,
        };
        let content = content.ok_or_else(|| Error::NoSuchProduct {
            product: role.to_string(),
        })?;
        stage(
            &self.layout,
            role,
            &Targets {
                common,
                ..content.clone()
            },
        )?;
        Ok(())
    }
}

/// The keys of people who leave.
fn leaving(root: &Root, names: &[String]) -> Result<Vec<KeyId>> {
    let mut leaving = Vec::new();
    for name in names {
        let is_meant = |id: &&KeyId| {
            (name.len() >= 8 && id.as_str().starts_with(name.as_str()))
                || holder_name(&root.certificates, id) == *name
        };
        let signers = root.root.key_ids.iter().chain(&root.targets.key_ids);
        let found: Vec<KeyId> = signers.filter(is_meant).cloned().collect();
        if found.is_empty() {
            let expected = "the name or key id of somebody who signs root or targets";
            return Err(Error::argument("remove", name, expected));
        }
        leaving.extend(found);
    }
    Ok(leaving)
}

fn drop_unused(root: &mut Root) {
    let used: Vec<KeyId> = [&root.root, &root.targets, &root.snapshot, &root.timestamp]
        .into_iter()
        .flat_map(|role| role.key_ids.iter().cloned())
        .collect();
    root.keys.retain(|id, _| used.contains(id));
    let mut certificates = Certificates::default();
    for (id, chain) in root.certificates.iter().filter(|(id, _)| used.contains(id)) {
        certificates.insert(id.clone(), chain.to_vec());
    }
    root.certificates = certificates;
}

/// The same questions as to the signers of a new repository, to keys that the metadata carries.
fn check(
    gate: &device_pki::Gate,
    role: &RoleName,
    keys: &RoleKeys,
    root: &Root,
    now: Timestamp,
) -> Result<()> {
    let mut people = Vec::new();
    for id in &keys.key_ids {
        let Some(key) = root.keys.get(id) else {
            continue;
        };
        people.push((
            holder_name(&root.certificates, id),
            key,
            root.certificates.chain(id),
        ));
    }
    trust::check_people(gate, role, &people, keys.threshold, When::At(now))
}
