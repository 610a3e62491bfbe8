//! The one threshold check of the workspace.

use std::collections::BTreeMap;

use crate::envelope::Evidence;
use crate::error::ThresholdError;
use crate::gate::{Certificates, Holder, Signer, SignerGate, When};
use crate::key::{KeyId, PublicKey};
use crate::name::RoleName;
use crate::roles::RoleKeys;

/// Who may sign for a role, by the metadata that delegates to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority<'a> {
    pub(crate) keys: &'a BTreeMap<KeyId, PublicKey>,
    pub(crate) role: &'a RoleKeys,
    pub(crate) certificates: &'a Certificates,
}

/// Counts the signatures of a file towards the threshold of its role, and names who signed.
///
/// TUF 1.0.34, section 5.3.4: each key contributes one signature. Two entries for one key id count once, so do two key
/// objects with the same key material, and so do two keys of one holder: a threshold is about people.
pub(crate) fn count(
    role: &RoleName,
    evidence: &Evidence,
    authority: &Authority<'_>,
    gate: &dyn SignerGate,
    when: When,
) -> Result<Vec<Holder>, ThresholdError> {
    let mut counted: Vec<(&PublicKey, Holder)> = Vec::new();
    let mut refused = Vec::new();
    for id in &authority.role.key_ids {
        let Some(key) = authority.keys.get(id) else {
            continue;
        };
        // Several entries for one key: the first good one decides, and no more are verified than are needed for that.
        let mut proven = None;
        for signature in evidence.signatures.iter().filter(|s| s.key == *id) {
            proven = Some(key.verify(&evidence.payload, &signature.bytes));
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
    let needed = authority
        .role
        .threshold
        .get()
        .max(gate.minimum_threshold(role));
    let holders: Vec<Holder> = counted.into_iter().map(|(_, holder)| holder).collect();
    if u32::try_from(holders.len()).unwrap_or(u32::MAX) >= needed {
        return Ok(holders);
    }
    let counted = holders.into_iter().map(|holder| holder.0).collect();
    Err(ThresholdError {
        role: role.clone(),
        needed,
        counted,
        refused,
    })
}
