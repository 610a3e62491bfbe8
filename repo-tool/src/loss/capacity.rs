//! What can still be signed, and what a thief can.

use std::collections::BTreeMap;

use device_pki::Gate;
use metadata_schema::gate::{Holder, SignerGate as _, When};
use metadata_schema::name::RoleName;
use metadata_schema::threshold::Authority;

use super::{Facts, Missing, RoleLoss};
use crate::keyholder::holder_name;

/// People of a role, sorted by what they can do with their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Hands {
    pub(super) needed: u32,
    /// Who can sign.
    pub(super) able: BTreeMap<Holder, String>,
    /// Whose keys somebody else has.
    pub(super) stolen: BTreeMap<Holder, String>,
    pub(super) lost: Vec<String>,
    pub(super) unbound: Vec<String>,
}

impl Hands {
    pub(super) fn can_sign(&self) -> bool {
        enough(self.able.len(), self.needed)
    }

    pub(super) fn thief_can_sign(&self) -> bool {
        enough(self.stolen.len(), self.needed)
    }
}

fn enough(people: usize, needed: u32) -> bool {
    u32::try_from(people).unwrap_or(u32::MAX) >= needed
}

/// Sorts the people of a role. A person with two keys, of whom one is gone, can still sign.
pub(super) fn hands(
    gate: &Gate,
    missing: &Missing,
    role: &RoleName,
    by: &Authority<'_>,
    when: When,
) -> Hands {
    let minimum = gate.requirement(role).holders;
    let mut hands = Hands {
        needed: by.role.threshold.get().max(minimum),
        ..Hands::default()
    };
    for id in &by.role.key_ids {
        let Some(key) = by.keys.get(id) else {
            continue;
        };
        let name = holder_name(by.certificates, id);
        let fate = missing.fate(id).unwrap_or_default();
        if fate.lost {
            hands.lost.push(name.clone());
        }
        match gate.bound(key, role, by.certificates.chain(id), when) {
            Ok(holder) => {
                if fate.stolen {
                    hands.stolen.insert(holder, name);
                } else if !fate.lost {
                    hands.able.insert(holder, name);
                }
            }
            Err(refusal) => hands.unbound.push(format!("{name}: {}", refusal.0)),
        }
    }
    hands
}

/// A role that people sign.
pub(super) fn of_people(facts: &Facts, missing: &Missing, role: &RoleName) -> RoleLoss {
    let by = facts.authority(role);
    let hands = by.map_or_else(Hands::default, |by| {
        hands(&facts.gate, missing, role, &by, When::At(facts.now))
    });
    RoleLoss {
        role: role.to_string(),
        needed: hands.needed,
        can_sign: hands.can_sign(),
        thief_can_sign: hands.thief_can_sign(),
        able: hands.able.into_values().collect(),
        lost: hands.lost,
        stolen: hands.stolen.into_values().collect(),
        unbound: hands.unbound,
        expires: facts.expiry(role.as_str()),
    }
}

/// A role that a machine signs.
pub(super) fn of_machine(facts: &Facts, missing: &Missing, role: &str) -> RoleLoss {
    let fate = missing.machines.get(role).copied().unwrap_or_default();
    let name = || vec![format!("the online key of {role}")];
    let only = |is: bool| if is { name() } else { Vec::new() };
    RoleLoss {
        role: role.to_owned(),
        needed: 1,
        // A copy in a thief's hands does not take the key from the machine.
        can_sign: !fate.lost,
        thief_can_sign: fate.stolen,
        able: only(!fate.lost),
        lost: only(fate.lost),
        stolen: only(fate.stolen),
        unbound: Vec::new(),
        expires: facts.expiry(role),
    }
}
