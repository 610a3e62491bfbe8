//! What has to hold for whatever a client trusts, judged without the client's own checks: by the list of what the publisher
//! has really signed, and by the highest versions that were ever trusted.

use std::collections::{BTreeMap, BTreeSet};

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::envelope::Envelope;
use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::{Common, MetaFile, RoleKeys, Snapshot};
use metadata_schema::time::ReferenceTime;
use metadata_schema::trusted::AtTargets;

use super::keys::public_keys;
use super::publisher::Publisher;

/// The least threshold of the client, whatever metadata says.
pub(super) fn minimum(role: &RoleName) -> u32 {
    if role.as_str() == "root" { 2 } else { 1 }
}

/// Who holds a key: keys 0 and 1 are one person's, but for the roles that machines sign.
pub(super) fn holder(role: &RoleName, key: usize) -> usize {
    let machine = matches!(role.as_str(), "timestamp" | "snapshot");
    if key == 1 && !machine { 0 } else { key }
}

/// Which of the publisher's keys this is, under whatever id.
pub(super) fn index(key: &PublicKey) -> Option<usize> {
    let bytes = key.ed25519_bytes()?;
    public_keys()
        .iter()
        .position(|known| known.ed25519_bytes() == Some(bytes))
}

/// Enough people have signed this file with keys that are for the role.
pub(super) fn authorised(
    publisher: &Publisher,
    role: &RoleName,
    keys: &BTreeMap<KeyId, PublicKey>,
    needed: &RoleKeys,
    bytes: &[u8],
) -> bool {
    let payload = Envelope::read(role, bytes)
        .expect("it was believed")
        .payload();
    let signers: BTreeSet<usize> = needed
        .key_ids
        .iter()
        .filter_map(|id| index(keys.get(id)?))
        .filter(|key| publisher.has_signed(&payload, *key))
        .map(|key| holder(role, key))
        .collect();
    let needed = needed.threshold.get().max(minimum(role));
    u32::try_from(signers.len()).is_ok_and(|signers| signers >= needed)
}

/// The file is the one that is listed: version, and what is said of length and digest.
pub(super) fn listed(file: &MetaFile, common: &Common, bytes: &[u8]) {
    assert_eq!(file.version, common.version);
    if let Some(length) = file.length {
        assert_eq!(u64::try_from(bytes.len()), Ok(length));
    }
    if let Some(Hashes {
        sha256: Some(digest),
        ..
    }) = &file.hashes
    {
        assert_eq!(*digest, Sha256Digest::of(bytes));
    }
}

pub(super) fn in_force(common: &Common, now: ReferenceTime) {
    assert!(common.expires > now);
}

/// The highest versions that were trusted.
#[derive(Default)]
pub(super) struct Floor {
    root: u64,
    timestamp: u64,
    snapshot: u64,
    /// By name of the file, as the snapshot lists it.
    roles: BTreeMap<String, u64>,
}

impl Floor {
    pub(super) fn root(&mut self, common: &Common) {
        rises(&mut self.root, common);
    }

    pub(super) fn timestamp(&mut self, common: &Common, snapshot: &MetaFile) {
        rises(&mut self.timestamp, common);
        assert!(
            snapshot.version.number() >= self.snapshot,
            "snapshot in the timestamp"
        );
    }

    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        rises(&mut self.snapshot, &snapshot.common);
        for (name, floor) in &self.roles {
            match snapshot.meta.get(name) {
                Some(file) => assert!(file.version.number() >= *floor, "{name} in the snapshot"),
                // The specification speaks of targets metadata only.
                None => assert_eq!(name, "root.json"),
            }
        }
        let listed = snapshot.meta.iter();
        self.roles = listed
            .map(|(name, file)| (name.clone(), file.version.number()))
            .collect();
    }

    /// Fast-forward recovery: what the online keys said is forgotten (5.3.11).
    pub(super) fn forget_timestamp(&mut self) {
        self.timestamp = 0;
        self.snapshot = 0;
    }

    pub(super) fn forget_snapshot(&mut self) {
        self.snapshot = 0;
        self.roles.clear();
    }
}

fn rises(floor: &mut u64, common: &Common) {
    let version = common.version.number();
    assert!(version >= *floor, "version {version} after {floor}");
    *floor = version;
}

/// The roles through which `path` may be asked about: from the top-level targets on, over delegations that match and whose
/// role's file is signed by who they say.
pub(super) fn reachable(
    publisher: &Publisher,
    set: &AtTargets,
    files: &BTreeMap<RoleName, Vec<u8>>,
    path: &TargetPath,
) -> BTreeSet<RoleName> {
    let mut found = BTreeSet::from([RoleName::targets()]);
    let mut ahead = vec![RoleName::targets()];
    while let Some(name) = ahead.pop() {
        let delegations = set.role(&name).and_then(|role| role.delegations.as_ref());
        if let Some(delegations) = delegations {
            for role in &delegations.roles {
                let signed = files.get(&role.name).is_some_and(|bytes| {
                    authorised(publisher, &role.name, &delegations.keys, &role.keys, bytes)
                });
                if signed && role.paths.contains(path) && found.insert(role.name.clone()) {
                    ahead.push(role.name.clone());
                }
            }
        }
    }
    found
}
