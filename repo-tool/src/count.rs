//! Counts signatures the way a device does, before anything is published.
//!
//! There is one threshold check, in `metadata-schema`, and it runs inside the steps of a refresh. So a role that is to be
//! counted is put into the smallest repository that leads to it: a root, timestamp and snapshot signed by a stand-in key
//! which nothing else trusts. Nothing of that leaves this module.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use device_pki::{FileKey, KeyAlgorithm, KeyPair, SeededEntropy, SigningKey as _};
use metadata_schema::MetadataError;
use metadata_schema::envelope::Envelope;
use metadata_schema::gate::{Certificates, Holder, Refusal, Signer, SignerGate, When};
use metadata_schema::json::Object;
use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Common, MetaFile, Role as _, RoleKeys, Root, Snapshot, Timestamp};
use metadata_schema::time;
use metadata_schema::trusted::{RootWalk, SharedGate};

use crate::assemble::sign_role;
use crate::error::Result;

/// Who may sign a role, by the metadata that delegates to it.
#[derive(Clone, Copy)]
pub(crate) struct Authority<'a> {
    pub(crate) keys: &'a std::collections::BTreeMap<KeyId, PublicKey>,
    pub(crate) role: &'a RoleKeys,
    pub(crate) certificates: &'a Certificates,
}

/// What the signatures of a role come to.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    /// Keys that count.
    pub(crate) admitted: Vec<KeyId>,
    /// Keys whose signatures are there and do not count, and why.
    pub(crate) refused: Vec<(KeyId, String)>,
    /// Signatures that are needed.
    pub(crate) needed: u32,
    /// Whether they suffice.
    pub(crate) reached: bool,
}

/// Counts the signatures of `envelope`, which is the file of `role`.
pub(crate) fn count(
    role: &RoleName,
    envelope: &Envelope,
    authority: Authority<'_>,
    gate: SharedGate,
    when: When,
) -> Result<Count> {
    let stand_in = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SeededEntropy::new(b"stand-in"))?
        .into_tuf_signer()?;
    let needed = authority
        .role
        .threshold
        .get()
        .max(gate.minimum_threshold(role));
    let observed = Arc::new(Observed {
        gate,
        role: role.clone(),
        when,
        seen: Mutex::new(Vec::new()),
    });
    let verdict = refresh(
        &stand_in,
        envelope,
        authority,
        Arc::<Observed>::clone(&observed),
    );
    let seen = observed
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut admitted = Vec::new();
    let mut refused = Vec::new();
    for (key, verdict) in seen {
        match verdict {
            Ok(()) => admitted.push(key),
            Err(why) => refused.push((key, why)),
        }
    }
    let reached = match verdict {
        Err(crate::Error::Metadata(MetadataError::Threshold(error))) => {
            refused = error.refused;
            admitted.retain(|key| !refused.iter().any(|(other, _)| other == key));
            false
        }
        // The form of what was signed is checked after the signatures, and is another question.
        Ok(()) | Err(crate::Error::Metadata(_)) => true,
        Err(other) => return Err(other),
    };
    Ok(Count {
        admitted,
        refused,
        needed,
        reached,
    })
}

/// A refresh of the smallest repository around `envelope`.
fn refresh(
    stand_in: &FileKey,
    envelope: &Envelope,
    authority: Authority<'_>,
    gate: SharedGate,
) -> Result<()> {
    let now = time::Timestamp::EPOCH;
    let common = || Common::new(Version::FIRST, now, time::Timestamp::MAX);
    let online = || RoleKeys::new([stand_in.public_key().id().clone()], NonZeroU32::MIN);
    let mut keys = authority.keys.clone();
    keys.insert(
        stand_in.public_key().id().clone(),
        stand_in.public_key().clone(),
    );
    let root = Root {
        common: common(),
        keys,
        root: online(),
        timestamp: online(),
        snapshot: online(),
        targets: authority.role.clone(),
        consistent_snapshot: true,
        certificates: authority.certificates.clone(),
        other_roles: Object::new(),
        extra: Object::new(),
    };
    let listed = MetaFile::version(Version::FIRST);
    let meta = [("targets.json".to_owned(), listed.clone())].into();
    let snapshot = Snapshot {
        common: common(),
        meta,
        extra: Object::new(),
    };
    let timestamp = Timestamp {
        common: common(),
        snapshot: listed,
        extra: Object::new(),
    };
    let sign = |signed| Ok::<_, crate::Error>(sign_role(signed, &[stand_in])?.to_bytes());
    let at = RootWalk::from_trusted(&sign(root.to_json())?, gate)?.finish(now)?;
    let (at, _) = at.timestamp(None, &sign(timestamp.to_json())?)?;
    at.snapshot(None, &sign(snapshot.to_json())?)?
        .targets(&envelope.to_bytes())?;
    Ok(())
}

/// Asks the real gate about the real role, and keeps its answers.
struct Observed {
    gate: SharedGate,
    role: RoleName,
    when: When,
    seen: Mutex<Vec<(KeyId, Result<(), String>)>>,
}

/// In the smallest repository, what is counted stands in the place of targets.
fn is_subject(role: &RoleName) -> bool {
    role.as_str() == "targets"
}

impl SignerGate for Observed {
    fn admit(&self, signer: &Signer<'_>) -> Result<Holder, Refusal> {
        if !is_subject(signer.role) {
            return Ok(Holder("stand-in".to_owned()));
        }
        let mut real = *signer;
        real.role = &self.role;
        real.when = self.when;
        let answer = self.gate.admit(&real);
        let kept = answer
            .as_ref()
            .map(|_| ())
            .map_err(|refusal| refusal.0.clone());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push((signer.key.id().clone(), kept));
        answer
    }

    fn minimum_threshold(&self, role: &RoleName) -> u32 {
        if is_subject(role) {
            self.gate.minimum_threshold(&self.role)
        } else {
            1
        }
    }
}
