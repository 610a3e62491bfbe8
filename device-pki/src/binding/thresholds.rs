//! The least that a device asks of signatures, whatever the metadata says.

use std::collections::BTreeMap;

use metadata_schema::gate::Requirement;
use metadata_schema::key::Family;
use metadata_schema::name::RoleName;

/// The least thresholds that a device accepts, and the families of signature algorithms that it insists on.
///
/// ```
/// use device_pki::{Roles, Thresholds};
/// use metadata_schema::key::Family;
/// // Of the two people or more who sign a root, one must sign with Ed25519 and one with ML-DSA: they may be one person
/// // with two keys, as long as two people sign. Who can forge one of the algorithms cannot forge a root.
/// let thresholds = Thresholds::new(2, 2, 1)
///     .requiring(&Roles::Root, Family::Ed25519, 1)
///     .requiring(&Roles::Root, Family::MlDsa, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    root: Requirement,
    targets: Requirement,
    delegated: Requirement,
    by_name: BTreeMap<RoleName, Named>,
}

/// Which roles a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roles {
    /// root
    Root,
    /// The top-level targets.
    Targets,
    /// Every delegated role but `pki`, unless there is a rule for its name.
    Delegated,
    /// One delegated role.
    Named(RoleName),
}

/// What differs for one delegated role.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Named {
    holders: Option<u32>,
    families: BTreeMap<Family, u32>,
}

impl Thresholds {
    /// Thresholds of root, of targets, and of every delegated role but `pki`, by whatever algorithms.
    pub fn new(root: u32, targets: u32, delegated: u32) -> Self {
        Self {
            root: Requirement::holders(root),
            targets: Requirement::holders(targets),
            delegated: Requirement::holders(delegated),
            by_name: BTreeMap::new(),
        }
    }

    /// Another threshold for one delegated role.
    #[must_use]
    pub fn with(mut self, role: RoleName, threshold: u32) -> Self {
        self.by_name.entry(role).or_default().holders = Some(threshold);
        self
    }

    /// So many different holders must have signed with a key of this family.
    #[must_use]
    pub fn requiring(mut self, roles: &Roles, family: Family, holders: u32) -> Self {
        let families = match roles {
            Roles::Root => &mut self.root.families,
            Roles::Targets => &mut self.targets.families,
            Roles::Delegated => &mut self.delegated.families,
            Roles::Named(name) => &mut self.by_name.entry(name.clone()).or_default().families,
        };
        families.insert(family, holders);
        self
    }

    /// What a role's signatures must come to.
    pub(super) fn of(&self, role: &RoleName) -> Requirement {
        match role.as_str() {
            "root" => self.root.clone(),
            "targets" => self.targets.clone(),
            _ if !super::needs_certificate(role) => Requirement::holders(1),
            _ => {
                let mut needed = self.delegated.clone();
                if let Some(named) = self.by_name.get(&*super::certified(role)) {
                    needed.holders = named.holders.unwrap_or(needed.holders);
                    needed.families.extend(&named.families);
                }
                needed
            }
        }
    }
}
