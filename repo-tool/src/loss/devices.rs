//! Which devices can follow, by the root that they hold.

use metadata_schema::envelope::Envelope;
use metadata_schema::gate::When;
use metadata_schema::name::RoleName;
use metadata_schema::roles::Root;
use metadata_schema::threshold::{Authority, tally};
use schemars::JsonSchema;
use serde::Serialize;

use super::capacity::hands;
use super::{Facts, Missing};

/// Devices that hold one of these roots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Devices {
    /// The first of these roots.
    pub from_root: u64,
    /// The last of them.
    pub to_root: u64,
    /// Whether the published roots lead them to the present one.
    pub reach_present: bool,
    /// Whether a new root can be signed that they follow.
    pub reach_new_root: bool,
    /// Whether a thief can sign a next root that they would follow.
    pub thief_can_lead: bool,
}

/// Walks over all roots, as each device would from the one that it holds.
pub(super) fn devices(facts: &Facts, missing: &Missing) -> Vec<Devices> {
    let role = RoleName::root();
    let sorted: Vec<_> = facts
        .roots
        .iter()
        .map(|(root, _)| hands(&facts.walk, missing, &role, &of_root(root), When::Walk))
        .collect();
    let new_root = sorted.last().is_some_and(super::capacity::Hands::can_sign);
    let mut groups: Vec<Devices> = Vec::new();
    for (index, (root, _)) in facts.roots.iter().enumerate() {
        let rest = facts.roots.get(index..).unwrap_or_default();
        let pairs = rest.iter().zip(rest.iter().skip(1));
        let reach_present = pairs
            .into_iter()
            .all(|((old, _), next)| step(facts, old, next));
        let version = root.common.version.number();
        let group = Devices {
            from_root: version,
            to_root: version,
            reach_present,
            reach_new_root: reach_present && new_root,
            thief_can_lead: sorted
                .get(index)
                .is_some_and(super::capacity::Hands::thief_can_sign),
        };
        match groups.last_mut() {
            Some(last) if last.like(&group) => last.to_root = version,
            _ => groups.push(group),
        }
    }
    groups
}

/// Whether a device goes from a root to the next (TUF 1.0.34, section 5.3.4): both have a threshold of signatures on it.
fn step(facts: &Facts, old: &Root, (new, file): &(Root, Envelope)) -> bool {
    let role = RoleName::root();
    [of_root(old), of_root(new)]
        .iter()
        .all(|by| tally(&role, file, by, &*facts.walk, When::Walk).reached())
}

fn of_root(root: &Root) -> Authority<'_> {
    Authority {
        keys: &root.keys,
        role: &root.root,
        certificates: &root.certificates,
    }
}

impl Devices {
    fn like(&self, other: &Self) -> bool {
        let flags = |d: &Self| (d.reach_present, d.reach_new_root, d.thief_can_lead);
        flags(self) == flags(other)
    }
}
