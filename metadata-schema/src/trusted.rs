//! The client workflow of TUF 1.0.34, section 5, as types: each holds what has been proven so far, and makes the next.
//!
//! ```text
//! RootWalk --confirm--> ConfirmedRoot --in_force--> AtRoot --timestamp--> AtTimestamp --snapshot--> AtSnapshot --targets--> AtTargets
//! ```
//!
//! Files come in as bytes; fetching and storing them is the caller's part, and so is the order of storing: a file may be
//! stored as soon as the step that takes it has returned. A local copy enters through a `recall_` function: it is verified
//! against the *current* keys and then serves for rollback checks.

mod carried;
mod root_walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carried::Carried;
pub use root_walk::{ConfirmedRoot, Retired, RootWalk};

use crate::digest::Length;
use crate::envelope::{Unverified, Verified};
use crate::error::MetadataError;
use crate::gate::{SignerGate, When};
use crate::json::{Json, ShapeError, shortened};
use crate::name::{RoleName, Version};
use crate::roles::{MetaFile, ROLE_MEMBER, Role, RoleKeys, Root, Snapshot, Targets, Timestamp};
use crate::threshold::Authority;
use crate::time::ReferenceTime;

/// A gate that can be shared between the steps.
pub type SharedGate = Arc<dyn SignerGate + Send + Sync>;

/// Root is current: verified by itself at the reference time, and not expired.
#[derive(Clone)]
pub struct AtRoot {
    gate: SharedGate,
    now: ReferenceTime,
    root: Arc<Verified<Root>>,
    retired: Retired,
    /// The statement of the bundle that the rest comes from.
    carried: Option<Arc<Carried>>,
}

/// Timestamp is current.
#[derive(Clone)]
pub struct AtTimestamp {
    at: AtRoot,
    timestamp: Arc<Verified<Timestamp>>,
    freshness: Freshness,
}

/// Whether a timestamp brought anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// A newer version: store it.
    New,
    /// The version that was trusted already: the local copy stays in force.
    Unchanged,
    /// A version older than the trusted one, which only a bundle may bring: the local copies of timestamp and snapshot stay as
    /// they are.
    Older,
}

/// Snapshot is current.
#[derive(Clone)]
pub struct AtSnapshot {
    at: AtTimestamp,
    snapshot: Arc<Verified<Snapshot>>,
}

/// The top-level targets are current. Delegated roles join as searches need them: see [`crate::search`].
#[derive(Clone)]
pub struct AtTargets {
    at: AtSnapshot,
    targets: Arc<Verified<Targets>>,
    delegated: BTreeMap<RoleName, Arc<Verified<Targets>>>,
    /// Delegator and role: the loaded role's signatures were counted by the loaded delegator, under the present gate.
    counted: BTreeSet<(RoleName, RoleName)>,
}

impl AtRoot {
    /// The current root.
    pub fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// The reference time of this refresh.
    pub fn now(&self) -> ReferenceTime {
        self.now
    }

    /// Of which roles the walk that led here took a key out of force.
    pub fn retired(&self) -> Retired {
        self.retired
    }

    /// Verifies a local timestamp against the current keys (expiry does not matter: it is for rollback checks).
    ///
    /// # Errors
    /// If it is not a timestamp, or not signed by the current keys.
    pub fn recall_timestamp(&self, bytes: &[u8]) -> Result<Verified<Timestamp>, MetadataError> {
        self.verify(&RoleName::timestamp(), &self.root.timestamp, bytes)
    }

    /// Verifies a local snapshot against the current keys (expiry does not matter: it is for rollback checks).
    ///
    /// # Errors
    /// If it is not a snapshot, or not signed by the current keys.
    pub fn recall_snapshot(&self, bytes: &[u8]) -> Result<Verified<Snapshot>, MetadataError> {
        self.verify(&RoleName::snapshot(), &self.root.snapshot, bytes)
    }

    /// Takes the downloaded timestamp (5.4), or that of a bundle: see [`AtRoot::with_bundle`].
    ///
    /// # Errors
    /// If it is not signed by a threshold (5.4.2), older than `local` (5.4.3), or expired (5.4.4); with a bundle, instead of the
    /// latter two, if it is not the one that the bundle names.
    pub fn timestamp(
        &self,
        local: Option<Verified<Timestamp>>,
        bytes: &[u8],
    ) -> Result<(AtTimestamp, Freshness), MetadataError> {
        let role = RoleName::timestamp();
        let new = self.recall_timestamp(bytes)?;
        if let Some(bundle) = self.bundle() {
            let freshness = carried::timestamp(bundle, local.as_deref(), &new, bytes)?;
            return Ok((self.at_timestamp(new, freshness), freshness));
        }
        let (timestamp, freshness) = match local {
            Some(local) => {
                no_rollback(&role, local.common.version, new.common.version)?;
                if new.common.version == local.common.version {
                    // 5.4.3.1: the same version is not replaced, so that its content cannot be exchanged.
                    (local, Freshness::Unchanged)
                } else {
                    no_rollback(
                        &RoleName::snapshot(),
                        local.snapshot.version,
                        new.snapshot.version,
                    )?;
                    (new, Freshness::New)
                }
            }
            None => (new, Freshness::New),
        };
        self.not_expired(&role, &*timestamp)?;
        Ok((self.at_timestamp(timestamp, freshness), freshness))
    }

    fn at_timestamp(&self, timestamp: Verified<Timestamp>, freshness: Freshness) -> AtTimestamp {
        AtTimestamp {
            at: self.clone(),
            timestamp: Arc::new(timestamp),
            freshness,
        }
    }

    fn verify<T: Role>(
        &self,
        name: &RoleName,
        keys: &RoleKeys,
        bytes: &[u8],
    ) -> Result<Verified<T>, MetadataError> {
        Unverified::read(name, bytes)?.verify(
            &self.root.authority(keys),
            &*self.gate,
            When::At(self.now),
        )
    }

    fn not_expired(&self, role: &RoleName, metadata: &impl Role) -> Result<(), MetadataError> {
        if self.stands_in_for(role) {
            return Ok(());
        }
        not_expired(role, metadata, self.now)
    }
}

impl AtTimestamp {
    /// The current timestamp.
    pub fn timestamp(&self) -> &Verified<Timestamp> {
        &self.timestamp
    }

    /// What the timestamp says of the snapshot to fetch.
    pub fn snapshot_file(&self) -> &MetaFile {
        &self.timestamp.snapshot
    }

    /// Goes on with the snapshot that is trusted already, if the timestamp still names it; `bytes` is its file. It has been
    /// verified against the current keys, and is not verified again.
    ///
    /// # Errors
    /// If the timestamp names another file (5.5.2, 5.5.4), or it is expired (5.5.6).
    pub fn keep_snapshot(
        &self,
        local: &Arc<Verified<Snapshot>>,
        bytes: &[u8],
    ) -> Result<AtSnapshot, MetadataError> {
        let role = RoleName::snapshot();
        announced(&role, &self.timestamp.snapshot, bytes)?;
        let expected = self.timestamp.snapshot.version;
        same_version(&role, expected, local.common.version)?;
        self.at_snapshot(Arc::clone(local))
    }

    /// Takes the snapshot, downloaded or local (5.5); `local` is the one trusted so far, for rollback checks.
    ///
    /// # Errors
    /// If it is not the file that the timestamp names (5.5.2, 5.5.4), not signed by a threshold (5.5.3), lists an older
    /// version than `local` or lists less (5.5.5), or is expired (5.5.6).
    pub fn snapshot(
        &self,
        local: Option<&Verified<Snapshot>>,
        bytes: &[u8],
    ) -> Result<AtSnapshot, MetadataError> {
        let role = RoleName::snapshot();
        announced(&role, &self.timestamp.snapshot, bytes)?;
        let new = self.at.recall_snapshot(bytes)?;
        same_version(&role, self.timestamp.snapshot.version, new.common.version)?;
        for (name, trusted) in local.iter().flat_map(|local| &local.meta) {
            // 5.5.5 is about targets metadata; repositories of old also listed root.
            let Some(role) = targets_role(name) else {
                continue;
            };
            // What machines sign anew every few days is older in an older bundle; nothing else may be.
            if self.freshness == Freshness::Older && self.at.stands_in_for(&role) {
                continue;
            }
            match new.meta.get(name) {
                Some(file) => no_rollback(&role, trusted.version, file.version)?,
                None => {
                    return Err(MetadataError::Vanished {
                        role,
                        trusted: trusted.version,
                    });
                }
            }
        }
        self.at_snapshot(Arc::new(new))
    }

    fn at_snapshot(&self, snapshot: Arc<Verified<Snapshot>>) -> Result<AtSnapshot, MetadataError> {
        self.at.not_expired(&RoleName::snapshot(), &**snapshot)?;
        Ok(AtSnapshot {
            at: self.clone(),
            snapshot,
        })
    }
}

impl AtSnapshot {
    /// The current snapshot.
    pub fn snapshot(&self) -> &Verified<Snapshot> {
        &self.snapshot
    }

    /// What the snapshot says of the top-level targets to fetch.
    ///
    /// # Errors
    /// If it says nothing.
    pub fn targets_file(&self) -> Result<&MetaFile, MetadataError> {
        self.listed(&RoleName::targets())
    }

    pub(crate) fn listed(&self, role: &RoleName) -> Result<&MetaFile, MetadataError> {
        let missing = || MetadataError::NotListed {
            role: role.clone(),
            listing: RoleName::snapshot(),
        };
        self.snapshot.file(role).ok_or_else(missing)
    }

    /// Takes the top-level targets, downloaded or local (5.6).
    ///
    /// # Errors
    /// If they are not the file that the snapshot names (5.6.2, 5.6.4), not signed by a threshold (5.6.3), or expired
    /// (5.6.5).
    pub fn targets(&self, bytes: &[u8]) -> Result<AtTargets, MetadataError> {
        let root = &self.at.at.root;
        let targets =
            self.take_targets(&RoleName::targets(), &root.authority(&root.targets), bytes)?;
        Ok(AtTargets {
            at: self.clone(),
            targets: Arc::new(targets),
            delegated: BTreeMap::new(),
            counted: BTreeSet::new(),
        })
    }

    fn take_targets(
        &self,
        role: &RoleName,
        authority: &Authority<'_>,
        bytes: &[u8],
    ) -> Result<Verified<Targets>, MetadataError> {
        let file = self.listed(role)?;
        announced(role, file, bytes)?;
        let at = &self.at.at;
        let new: Verified<Targets> =
            Unverified::read(role, bytes)?.verify(authority, &*at.gate, When::At(at.now))?;
        same_version(role, file.version, new.common.version)?;
        for_this_role(role, &new)?;
        at.not_expired(role, &*new)?;
        Ok(new)
    }
}

impl AtTargets {
    /// The state before the targets: root, timestamp and snapshot.
    pub fn snapshot(&self) -> &AtSnapshot {
        &self.at
    }

    /// The current timestamp.
    pub fn timestamp(&self) -> &Verified<Timestamp> {
        &self.at.at.timestamp
    }

    /// The current root.
    pub fn root(&self) -> &Verified<Root> {
        &self.at.at.at.root
    }

    /// The top-level targets.
    pub fn targets(&self) -> &Verified<Targets> {
        &self.targets
    }

    /// Delegated roles that searches have loaded so far.
    pub fn delegated(&self) -> impl Iterator<Item = &Verified<Targets>> {
        self.delegated.values().map(|targets| &**targets)
    }

    /// A role that is loaded: `targets`, or a delegated one.
    pub fn role(&self, name: &RoleName) -> Option<&Verified<Targets>> {
        if name.as_str() == "targets" {
            Some(&self.targets)
        } else {
            self.delegated.get(name).map(|t| &**t)
        }
    }

    /// The same state under another gate, for instance one that knows newer revocation lists: root and the top-level
    /// targets are counted again; delegated roles are, too, when a search next comes through them.
    ///
    /// # Errors
    /// If root or targets lose their threshold.
    pub fn under(mut self, gate: SharedGate) -> Result<Self, MetadataError> {
        let root = Arc::clone(&self.at.at.at.root);
        let when = When::At(self.at.at.at.now);
        root.recount(&root.authority(&root.root), &*gate, when)?;
        self.targets
            .recount(&root.authority(&root.targets), &*gate, when)?;
        self.at.at.at.gate = gate;
        self.counted.clear();
        Ok(self)
    }

    /// Takes the file of a delegated role on behalf of `delegator` (5.6.7).
    pub(crate) fn take_delegated(
        &mut self,
        delegator: &RoleName,
        role: &RoleName,
        bytes: &[u8],
    ) -> Result<(), MetadataError> {
        let targets = {
            let authority = self.authority(delegator, role)?;
            self.at.take_targets(role, &authority, bytes)?
        };
        self.delegated.insert(role.clone(), Arc::new(targets));
        // What another copy of the role was counted by, or delegated, is void.
        self.counted.retain(|(by, of)| by != role && of != role);
        self.counted.insert((delegator.clone(), role.clone()));
        Ok(())
    }

    /// Counts a loaded role's signatures by `delegator`: a role that was loaded for one delegator proves nothing for
    /// another, nor under another gate. What was counted once need not be counted again: neither the delegator nor the role,
    /// nor the gate nor the time is another by then.
    pub(crate) fn recount_delegated(
        &mut self,
        delegator: &RoleName,
        role: &RoleName,
    ) -> Result<(), MetadataError> {
        let pair = (delegator.clone(), role.clone());
        if self.counted.contains(&pair) {
            return Ok(());
        }
        let authority = self.authority(delegator, role)?;
        let at = &self.at.at.at;
        match self.delegated.get(role) {
            Some(targets) => targets.recount(&authority, &*at.gate, When::At(at.now))?,
            None => return Err(MetadataError::NotAskedFor { role: role.clone() }),
        };
        self.counted.insert(pair);
        Ok(())
    }

    fn authority<'a>(
        &'a self,
        delegator: &RoleName,
        role: &RoleName,
    ) -> Result<Authority<'a>, MetadataError> {
        let unknown = || MetadataError::NotListed {
            role: role.clone(),
            listing: delegator.clone(),
        };
        let parent = self.role(delegator).ok_or_else(unknown)?;
        let delegations = parent.delegations.as_ref().ok_or_else(unknown)?;
        let delegated = delegations.role(role).ok_or_else(unknown)?;
        Ok(Authority {
            keys: &delegations.keys,
            role: &delegated.keys,
            certificates: &parent.certificates,
        })
    }
}

fn not_expired(
    role: &RoleName,
    metadata: &impl Role,
    now: ReferenceTime,
) -> Result<(), MetadataError> {
    let common = metadata.common();
    if common.expires > now {
        return Ok(());
    }
    Err(MetadataError::Expired {
        role: role.clone(),
        version: common.version,
        expires: common.expires,
        now,
    })
}

fn no_rollback(role: &RoleName, trusted: Version, found: Version) -> Result<(), MetadataError> {
    if found >= trusted {
        return Ok(());
    }
    Err(MetadataError::Rollback {
        role: role.clone(),
        trusted,
        found,
    })
}

fn same_version(role: &RoleName, expected: Version, found: Version) -> Result<(), MetadataError> {
    if found == expected {
        return Ok(());
    }
    Err(MetadataError::Version {
        role: role.clone(),
        expected,
        found,
    })
}

/// The targets role whose file a snapshot lists under `name`; none for the file of another role, and for a name under which no
/// role is ever looked up: it must not shut devices out for as long as they remember it.
fn targets_role(name: &str) -> Option<RoleName> {
    match name.strip_suffix(".json")? {
        "targets" => Some(RoleName::targets()),
        stem => RoleName::delegated(stem).ok(),
    }
}

/// A targets file that says which role it is for is of that role.
fn for_this_role(role: &RoleName, targets: &Targets) -> Result<(), MetadataError> {
    match targets.extra.get(ROLE_MEMBER) {
        None => Ok(()),
        Some(Json::String(name)) if name == role.as_str() => Ok(()),
        Some(other) => {
            let found = match other {
                Json::String(name) => format!("{:?}", shortened(name)),
                other => other.kind().to_owned(),
            };
            let at = format!("signed.{ROLE_MEMBER}");
            let source = ShapeError::new(&at, format!("{:?}", role.as_str()), found);
            Err(MetadataError::Shape {
                role: role.clone(),
                source,
            })
        }
    }
}

/// A file is the one that the metadata above it names: length and digests, where it names them.
fn announced(role: &RoleName, file: &MetaFile, bytes: &[u8]) -> Result<(), MetadataError> {
    let length = file
        .length
        .map_or(Length::AtMost(u64::MAX), Length::Exactly);
    let checked = match &file.hashes {
        Some(hashes) => hashes.check(length, bytes),
        None => length.check(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
    };
    checked.map_err(|source| MetadataError::Content {
        role: role.clone(),
        source,
    })
}
