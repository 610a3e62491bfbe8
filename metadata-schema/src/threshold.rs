//! The one threshold check of the workspace.

use std::collections::BTreeMap;

use crate::envelope::{Envelope, Evidence, Signature};
use crate::error::ThresholdError;
use crate::gate::{Certificates, Holder, Requirement, Signer, SignerGate, When};
use crate::key::{Family, KeyId, PublicKey};
use crate::name::RoleName;
use crate::roles::RoleKeys;

/// Who may sign for a role, by the metadata that delegates to it.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// The delegator's keys.
    pub keys: &'a BTreeMap<KeyId, PublicKey>,
    /// Which of them are for the role, and how many must sign.
    pub role: &'a RoleKeys,
    /// The delegator's certificates.
    pub certificates: &'a Certificates,
}

/// What the signatures of a file come to.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Keys whose signatures count towards the threshold, and their holders, each once.
    pub counted: Vec<(KeyId, Holder)>,
    /// Authorised keys whose signatures are there and do not count, and why.
    pub refused: Vec<(KeyId, String)>,
    /// Signatures that are needed.
    pub needed: u32,
    /// Families of algorithms that a holder must have signed with, and how many holders have.
    pub families: Vec<FamilyTally>,
}

/// What the signatures of one family of algorithms come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyTally {
    /// The family.
    pub family: Family,
    /// Different holders that have signed with it.
    pub counted: u32,
    /// Different holders that must.
    pub needed: u32,
}

impl FamilyTally {
    fn reached(&self) -> bool {
        self.counted >= self.needed
    }
}

impl Tally {
    /// Whether enough signatures count.
    pub fn reached(&self) -> bool {
        u32::try_from(self.counted.len()).unwrap_or(u32::MAX) >= self.needed
            && self.families.iter().all(FamilyTally::reached)
    }
}

/// Counts the signatures of a file that is being signed. This is for tools that sign and show who is missing; a device
/// goes by [`crate::trusted`], where nothing else comes of it than verified metadata.
pub fn tally(
    role: &RoleName,
    file: &Envelope,
    authority: &Authority<'_>,
    gate: &dyn SignerGate,
    when: When,
) -> Tally {
    tally_of(
        role,
        &file.payload(),
        &file.signatures,
        authority,
        gate,
        when,
    )
}

/// Who signed a file, if enough did.
pub(crate) fn count(
    role: &RoleName,
    evidence: &Evidence,
    authority: &Authority<'_>,
    gate: &dyn SignerGate,
    when: When,
) -> Result<Vec<Holder>, ThresholdError> {
    let Evidence {
        payload,
        signatures,
    } = evidence;
    let tally = tally_of(role, payload, signatures, authority, gate, when);
    let reached = tally.reached();
    let Tally {
        counted,
        refused,
        needed,
        mut families,
    } = tally;
    let holders = counted.into_iter().map(|(_, holder)| holder);
    if reached {
        return Ok(holders.collect());
    }
    families.retain(|family| !family.reached());
    Err(ThresholdError {
        role: role.clone(),
        needed,
        counted: holders.map(|holder| holder.0).collect(),
        refused,
        families,
    })
}

/// A key whose signature is right and whose holder the gate admits.
struct Admitted<'a> {
    key: &'a PublicKey,
    family: Family,
    holder: Holder,
}

/// TUF 1.0.34, section 5.3.4: each key contributes one signature. Two key objects with the same key material count once,
/// and so do two keys of one holder: a threshold is about people.
fn tally_of(
    role: &RoleName,
    payload: &[u8],
    signatures: &[Signature],
    authority: &Authority<'_>,
    gate: &dyn SignerGate,
    when: When,
) -> Tally {
    let mut admitted: Vec<Admitted<'_>> = Vec::new();
    let mut counted = Vec::new();
    let mut refused = Vec::new();
    for id in &authority.role.key_ids {
        let Some(key) = authority.keys.get(id) else {
            continue;
        };
        let Some(signature) = signatures.iter().find(|s| s.key == *id) else {
            continue;
        };
        let signer = Signer {
            key,
            role,
            chain: authority.certificates.chain(id),
            when,
        };
        match admit(&signer, payload, signature, gate, &admitted) {
            Ok(new) => {
                if !admitted.iter().any(|other| other.holder == new.holder) {
                    counted.push((id.clone(), new.holder.clone()));
                }
                admitted.push(new);
            }
            Err(why) => refused.push((id.clone(), why)),
        }
    }
    let Requirement { holders, families } = gate.requirement(role);
    let families = families.into_iter().map(|(family, needed)| {
        let with = admitted.iter().filter(|a| a.family == family).count();
        FamilyTally {
            family,
            counted: u32::try_from(with).unwrap_or(u32::MAX),
            needed,
        }
    });
    Tally {
        counted,
        refused,
        needed: authority.role.threshold.get().max(holders),
        families: families.collect(),
    }
}

/// Whether one more signature counts, besides those that do already.
fn admit<'a>(
    signer: &Signer<'a>,
    payload: &[u8],
    signature: &Signature,
    gate: &dyn SignerGate,
    admitted: &[Admitted<'_>],
) -> Result<Admitted<'a>, String> {
    let key = signer.key;
    key.verify(payload, &signature.bytes)?;
    if admitted.iter().any(|other| other.key.same_material(key)) {
        return Err("the same key has counted under another id".to_owned());
    }
    let holder = gate.admit(signer).map_err(|refusal| refusal.0)?;
    let family = key.family().ok_or("a key of no known family")?;
    let again = |other: &Admitted<'_>| other.holder == holder && other.family == family;
    if admitted.iter().any(again) {
        return Err(format!("{} has signed with another key", holder.0));
    }
    Ok(Admitted {
        key,
        family,
        holder,
    })
}
