//! The one threshold check of the workspace.

use std::collections::BTreeMap;

use crate::envelope::{Envelope, Evidence, Signature};
use crate::error::ThresholdError;
use crate::gate::{Certificates, Holder, Signer, SignerGate, When};
use crate::key::{KeyId, PublicKey};
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
    /// Keys whose signatures count, and their holders.
    pub counted: Vec<(KeyId, Holder)>,
    /// Authorised keys whose signatures are there and do not count, and why.
    pub refused: Vec<(KeyId, String)>,
    /// Signatures that are needed.
    pub needed: u32,
}

impl Tally {
    /// Whether enough signatures count.
    pub fn reached(&self) -> bool {
        u32::try_from(self.counted.len()).unwrap_or(u32::MAX) >= self.needed
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
    } = tally;
    let holders = counted.into_iter().map(|(_, holder)| holder);
    if reached {
        return Ok(holders.collect());
    }
    let counted = holders.map(|holder| holder.0).collect();
    Err(ThresholdError {
        role: role.clone(),
        needed,
        counted,
        refused,
    })
}

/// TUF 1.0.34, section 5.3.4: each key contributes one signature. Two entries for one key id count once, so do two key
/// objects with the same key material, and so do two keys of one holder: a threshold is about people.
fn tally_of(
    role: &RoleName,
    payload: &[u8],
    signatures: &[Signature],
    authority: &Authority<'_>,
    gate: &dyn SignerGate,
    when: When,
) -> Tally {
    let mut counted: Vec<(&PublicKey, Holder)> = Vec::new();
    let mut refused = Vec::new();
    for id in &authority.role.key_ids {
        let Some(key) = authority.keys.get(id) else {
            continue;
        };
        // Several entries for one key: the first good one decides, and no more are verified than are needed for that.
        let mut proven = None;
        for signature in signatures.iter().filter(|s| s.key == *id) {
            proven = Some(key.verify(payload, &signature.bytes));
            if matches!(proven, Some(Ok(()))) {
                break;
            }
        }
        let admitted = match proven {
            None => continue,
            Some(Err(why)) => Err(why),
            Some(Ok(())) if counted.iter().any(|(other, _)| other.same_material(key)) => {
                Err("the same key has counted under another id".to_owned())
            }
            Some(Ok(())) => {
                let signer = Signer {
                    key,
                    role,
                    chain: authority.certificates.chain(id),
                    when,
                };
                gate.admit(&signer).map_err(|refusal| refusal.0)
            }
        };
        match admitted {
            Ok(holder) if counted.iter().any(|(_, other)| *other == holder) => {
                refused.push((
                    id.clone(),
                    format!("{} has signed with another key", holder.0),
                ));
            }
            Ok(holder) => counted.push((key, holder)),
            Err(why) => refused.push((id.clone(), why)),
        }
    }
    let counted = counted
        .into_iter()
        .map(|(key, holder)| (key.id().clone(), holder))
        .collect();
    let needed = authority
        .role
        .threshold
        .get()
        .max(gate.minimum_threshold(role));
    Tally {
        counted,
        refused,
        needed,
    }
}
