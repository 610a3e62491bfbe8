//! Which signers count: the question goes to `device-pki`, as on a device.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use device_pki::{Crl, Gate, Thresholds, TrustAnchor};
use metadata_schema::gate::{Holder, SignerGate as _, When};
use metadata_schema::key::{KeyId, PublicKey};
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
    check_people(gate, role, &people, signers.threshold, When::At(now))
}

/// A name, a key, and the certificates that bind it.
pub(crate) type Person<'a> = (String, &'a PublicKey, &'a [String]);

/// As [`check_signers`], for people from wherever.
pub(crate) fn check_people(
    gate: &Gate,
    role: &RoleName,
    people: &[Person<'_>],
    threshold: NonZeroU32,
    when: When,
) -> Result<()> {
    let lock_out = |why: String| {
        Err(Error::LockOut {
            role: role.clone(),
            why,
        })
    };
    let mut holders: BTreeMap<Holder, &KeyId> = BTreeMap::new();
    for (name, key, chain) in people {
        let holder = gate
            .bound(key, role, chain, when)
            .map_err(|refusal| Error::NotBound {
                holder: name.clone(),
                role: role.clone(),
                reason: refusal.0,
            })?;
        if let Some(other) = holders.insert(holder, key.id()) {
            let what = if other == key.id() {
                "the same key"
            } else {
                "two keys"
            };
            return lock_out(format!(
                "{name} is named twice, with {what}, and counts once"
            ));
        }
    }
    let people = u32::try_from(holders.len()).unwrap_or(u32::MAX);
    if threshold.get() > people {
        return lock_out(format!("threshold {threshold}, but only {people} people"));
    }
    let minimum = gate.requirement(role).holders;
    if minimum > people {
        return lock_out(format!(
            "devices ask for {minimum} people, there are {people}"
        ));
    }
    Ok(())
}
