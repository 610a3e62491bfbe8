//! Which signers count: the question goes to `device-pki`, as on a device.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use device_pki::{Crl, Gate, Thresholds, TrustAnchor};
use metadata_schema::gate::{Holder, SignerGate as _, When};
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::init::Signers;
use crate::keyholder::Keyholder;
use crate::settings::Minimums;

/// A gate like that of the devices.
pub(crate) fn gate(anchor: &TrustAnchor, crls: Vec<Crl>, minimums: &Minimums) -> Arc<Gate> {
    let Minimums {
        root,
        targets,
        delegated,
    } = *minimums;
    Arc::new(Gate::new(
        anchor.clone(),
        crls,
        Thresholds::new(root, targets, delegated),
    ))
}

/// A name, a key, and the certificates that bind it.
pub(crate) type Person<'a> = (String, &'a PublicKey, &'a [String]);

/// Refuses signers who would lock the keepers out, or of whom fewer decide than it seems.
pub(crate) fn check_signers(
    gate: &Gate,
    role: &RoleName,
    signers: &Signers,
    now: Timestamp,
) -> Result<()> {
    let chains: Vec<Vec<String>> = signers.people.iter().map(Keyholder::pem_chain).collect();
    let people: Vec<_> = signers
        .people
        .iter()
        .zip(&chains)
        .map(|(person, chain)| (person.name(), person.key(), chain.as_slice()))
        .collect();
    Error::all(problems(
        gate,
        role,
        &people,
        signers.threshold,
        When::At(now),
    ))
}

/// What would lock the keepers out, or let fewer people decide than it seems: everything at once.
pub(crate) fn problems(
    gate: &Gate,
    role: &RoleName,
    people: &[Person<'_>],
    threshold: NonZeroU32,
    when: When,
) -> Vec<Error> {
    problems_of(gate, role, people, threshold, when, &|_| true)
}

/// As [`problems`], where only some of the people are `new`: those who were there before and are not bound any more, because
/// they are revoked for instance, are no reason against a change; they just do not count.
pub(crate) fn problems_of(
    gate: &Gate,
    role: &RoleName,
    people: &[Person<'_>],
    threshold: NonZeroU32,
    when: When,
    new: &dyn Fn(&PublicKey) -> bool,
) -> Vec<Error> {
    let (mut problems, mut unbound) = (Vec::new(), 0_usize);
    let lock_out = |why: String| Error::LockOut {
        role: role.clone(),
        why,
    };
    let mut holders: BTreeMap<Holder, Vec<&PublicKey>> = BTreeMap::new();
    for (name, key, chain) in people {
        match gate.bound(key, role, chain, when) {
            Ok(holder) => {
                let others = holders.entry(holder).or_default();
                // One key of each family is as it should be: a device may ask for several families.
                if let Some(other) = others.iter().find(|other| other.family() == key.family()) {
                    let same = other.id() == key.id();
                    let what = if same { "the same key" } else { "two keys" };
                    let why = format!("{name} is named twice, with {what}, and counts once");
                    problems.push(lock_out(why));
                }
                others.push(key);
            }
            Err(_) if !new(key) => {}
            Err(refusal) => {
                unbound = unbound.saturating_add(1);
                problems.push(Error::NotBound {
                    holder: name.clone(),
                    role: role.clone(),
                    reason: refusal.0,
                });
            }
        }
    }
    // Those who are not bound have their own reason already.
    let people = u32::try_from(holders.len().saturating_add(unbound)).unwrap_or(u32::MAX);
    if threshold.get() > people {
        problems.push(lock_out(format!(
            "threshold {threshold}, but only {people} people"
        )));
    }
    let minimum = gate.requirement(role).holders;
    if minimum > people {
        problems.push(lock_out(format!(
            "devices ask for {minimum} people, there are {people}"
        )));
    }
    problems
}
