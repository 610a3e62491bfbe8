//! Delegations.

use std::num::NonZeroU32;

use metadata_schema::name::RoleName;
use metadata_schema::roles::{DelegatedRole, Delegations, PathSet, RoleKeys};

use super::{Document, Simulator, empty_targets};

/// A delegation to make.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// The role that is delegated to.
    pub role: String,
    /// What it may speak about.
    pub paths: PathSet,
    /// Whether the search ends there.
    pub terminating: bool,
    /// How many new keys it gets if the role is new, and how many must sign.
    pub keys: (usize, u32),
}

impl Delegation {
    /// One of one key, for these patterns; the search goes on after it.
    pub fn new(role: &str, patterns: &[&str]) -> Self {
        Self {
            role: role.to_owned(),
            paths: PathSet::Patterns(patterns.iter().map(ToString::to_string).collect()),
            terminating: false,
            keys: (1, 1),
        }
    }

    /// The same, and the search ends there.
    #[must_use]
    pub fn terminating(mut self) -> Self {
        self.terminating = true;
        self
    }

    /// The same, with so many keys of which so many must sign.
    #[must_use]
    pub fn keys(mut self, keys: usize, threshold: u32) -> Self {
        self.keys = (keys, threshold);
        self
    }
}

impl Simulator {
    /// Adds a delegation after those that the delegator has. A new role gets its own keys and no targets; a role that is there
    /// already keeps its keys, which are then authorised here, too.
    pub fn delegate(&mut self, delegator: &str, delegation: &Delegation) -> &mut Self {
        let name = RoleName::delegated(&delegation.role).unwrap();
        let (count, threshold) = delegation.keys;
        let known = self.targets.contains_key(&name);
        let role = DelegatedRole {
            name: name.clone(),
            keys: RoleKeys::new([], NonZeroU32::new(threshold).unwrap()),
            paths: delegation.paths.clone(),
            terminating: delegation.terminating,
        };
        let targets = self.targets(delegator).edit();
        let delegations = targets.delegations.get_or_insert_with(Delegations::default);
        delegations.roles.push(role);
        if known {
            for key in self.signers(&delegation.role) {
                self.authorise(delegator, &delegation.role, &key);
            }
        } else {
            let document = Document::new(empty_targets(&self.plan), Vec::new());
            self.targets.insert(name, document);
            for _ in 0..count {
                self.add_key(&delegation.role);
            }
        }
        self
    }

    /// Takes a delegation back. The role's metadata stays on the server.
    pub fn undelegate(&mut self, delegator: &str, role: &str) -> &mut Self {
        if let Some(delegations) = &mut self.targets(delegator).edit().delegations {
            delegations.roles.retain(|r| r.name.as_str() != role);
        }
        self
    }

    /// Changes what a delegator says of a role.
    pub fn edit_delegation(
        &mut self,
        delegator: &str,
        role: &str,
        change: impl FnOnce(&mut DelegatedRole),
    ) -> &mut Self {
        let delegations = self.targets(delegator).edit().delegations.as_mut();
        let mut roles = delegations.into_iter().flat_map(|d| &mut d.roles);
        change(roles.find(|r| r.name.as_str() == role).unwrap());
        self
    }
}
