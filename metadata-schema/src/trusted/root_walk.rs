//! From the root that the device holds to the current one, version by version (5.2 and 5.3).

use std::sync::Arc;

use super::{AtRoot, SharedGate, not_expired, same_version};
use crate::envelope::{Unverified, Verified};
use crate::error::MetadataError;
use crate::gate::When;
use crate::name::{RoleName, Version};
use crate::roles::{RoleKeys, Root, Snapshot, Timestamp};
use crate::time::ReferenceTime;

/// A walk over the root versions.
///
/// Fetch the file of version [`RootWalk::next_version`] and give it to [`RootWalk::step`]; when there is none, call
/// [`RootWalk::finish`]. A caller bounds the number of steps by [`crate::limits::Limits::root_rotations`].
#[derive(Clone)]
pub struct RootWalk {
    gate: SharedGate,
    root: Verified<Root>,
    retired: Retired,
}

/// Of which roles a walk took a key out of force. Whoever stole such a key may have signed versions and times far ahead:
/// what was believed on its word is to be forgotten (5.3.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retired {
    /// A timestamp key.
    pub timestamp: bool,
    /// A snapshot key.
    pub snapshot: bool,
    /// A key of the top-level targets.
    pub targets: bool,
}

impl Retired {
    /// What a step from `old` to `new` takes out of force.
    fn between(old: &Root, new: &Root) -> Self {
        let gone = |old: &RoleKeys, new: &RoleKeys| !old.key_ids.is_subset(&new.key_ids);
        Self {
            timestamp: gone(&old.timestamp, &new.timestamp),
            snapshot: gone(&old.snapshot, &new.snapshot),
            targets: gone(&old.targets, &new.targets),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            timestamp: self.timestamp || other.timestamp,
            snapshot: self.snapshot || other.snapshot,
            targets: self.targets || other.targets,
        }
    }

    /// A timestamp or snapshot key: then the local copies of both must be deleted, to recover from a fast-forward attack.
    pub fn online(self) -> bool {
        self.timestamp || self.snapshot
    }
}

impl RootWalk {
    /// Starts from a root that is trusted because of where it comes from: the firmware image, or the device's own store
    /// (5.2). Its expiry does not matter, nor do its signers' certificates: the walk is there to replace it.
    ///
    /// # Errors
    /// If it is not root metadata, or not even signed by its own keys: then the file is damaged.
    pub fn from_trusted(bytes: &[u8], gate: SharedGate) -> Result<Self, MetadataError> {
        let root = Unverified::read(&RoleName::root(), bytes)?.verify_by_itself(
            |root: &Root| root.authority(&root.root),
            &crate::gate::PlainTuf,
            When::Walk,
        )?;
        Ok(Self {
            gate,
            root,
            retired: Retired::default(),
        })
    }

    /// Starts from a root that came over the network, for a device that has none: as far as a gate that binds keys to a trust
    /// anchor vouches for those who signed it. It must be the version that the device asked for, and signed by a threshold of
    /// its own keys. What it proves is provisional: see the end of the walk.
    ///
    /// # Errors
    /// If it is not root metadata, has another version, or lacks its own threshold.
    pub fn from_network(
        bytes: &[u8],
        version: Version,
        gate: SharedGate,
    ) -> Result<Self, MetadataError> {
        let role = RoleName::root();
        let root = Unverified::read(&role, bytes)?.verify_by_itself(
            |root: &Root| root.authority(&root.root),
            &*gate,
            When::Walk,
        )?;
        same_version(&role, version, root.common.version)?;
        Ok(Self {
            gate,
            root,
            retired: Retired::default(),
        })
    }

    /// Says that the root which the walk starts from took the place of `earlier` without a walk, as new firmware brings a
    /// newer root: keys of `earlier` that are not in force any more have been retired, too.
    #[must_use]
    pub fn in_place_of(mut self, earlier: &Root) -> Self {
        self.retired = self.retired.and(Retired::between(earlier, &self.root));
        self
    }

    /// The root that is trusted so far.
    pub fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// Of which roles the walk took a key out of force so far.
    pub fn retired(&self) -> Retired {
        self.retired
    }

    /// The version to ask for next (5.3.3).
    ///
    /// # Errors
    /// If no version can follow.
    pub fn next_version(&self) -> Result<Version, MetadataError> {
        self.root
            .common
            .version
            .next()
            .ok_or(MetadataError::LastVersion {
                role: RoleName::root(),
            })
    }

    /// Takes the next version; store the file when this has returned (5.3.4 to 5.3.8).
    ///
    /// # Errors
    /// If it is not signed by a threshold of the current root's keys and of its own, or has not the next version.
    pub fn step(&mut self, bytes: &[u8]) -> Result<(), MetadataError> {
        let role = RoleName::root();
        let expected = self.next_version()?;
        // 5.3.4: first by the keys that are trusted already, then by the new ones.
        let by_current: Verified<Root> = Unverified::read(&role, bytes)?.verify(
            &self.root.authority(&self.root.root),
            &*self.gate,
            When::Walk,
        )?;
        by_current.recount(
            &by_current.authority(&by_current.root),
            &*self.gate,
            When::Walk,
        )?;
        same_version(&role, expected, by_current.common.version)?;
        self.retired = self.retired.and(Retired::between(&self.root, &by_current));
        self.root = by_current;
        Ok(())
    }

    /// Whether the keys of the current root signed this timestamp or snapshot: tells a file of rotated keys from a damaged one.
    pub fn signs(&self, role: &RoleName, bytes: &[u8]) -> bool {
        let authority = |keys| self.root.authority(keys);
        let gate = &crate::gate::PlainTuf;
        match role.as_str() {
            "timestamp" => Unverified::<Timestamp>::read(role, bytes)
                .and_then(|file| file.verify(&authority(&self.root.timestamp), gate, When::Walk))
                .is_ok(),
            "snapshot" => Unverified::<Snapshot>::read(role, bytes)
                .and_then(|file| file.verify(&authority(&self.root.snapshot), gate, When::Walk))
                .is_ok(),
            _ => false,
        }
    }

    /// Counts the last root's own signatures again at the reference time, under the gate that holds from here on. Store the
    /// root as the current one when this has returned, whether it has expired or not.
    ///
    /// The walk goes by a gate that knows no revocation lists: a list must not keep a device from following honest roots
    /// that somebody signed before leaving. What the walk leads to has to hold under the lists, and a thief of revoked keys
    /// cannot make it hold.
    ///
    /// # Errors
    /// If the root loses its threshold.
    pub fn confirm(
        self,
        now: ReferenceTime,
        gate: SharedGate,
    ) -> Result<ConfirmedRoot, MetadataError> {
        let Self { root, retired, .. } = self;
        let holders = root.recount(&root.authority(&root.root), &*gate, When::At(now))?;
        Ok(ConfirmedRoot {
            gate,
            now,
            root: root.counted(holders),
            retired,
        })
    }

    /// [`RootWalk::confirm`] under the gate of the walk, and [`ConfirmedRoot::in_force`].
    ///
    /// # Errors
    /// If the root loses its threshold, or has expired.
    pub fn finish(self, now: ReferenceTime) -> Result<AtRoot, MetadataError> {
        let gate = Arc::clone(&self.gate);
        self.confirm(now, gate)?.in_force()
    }
}

/// The end of a walk: the newest root there is, by its own threshold.
pub struct ConfirmedRoot {
    gate: SharedGate,
    now: ReferenceTime,
    root: Verified<Root>,
    retired: Retired,
}

impl ConfirmedRoot {
    /// The root.
    pub fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// Of which roles the walk took a key out of force.
    pub fn retired(&self) -> Retired {
        self.retired
    }

    /// The root must not have expired (5.3.10).
    ///
    /// # Errors
    /// If it has.
    pub fn in_force(self) -> Result<AtRoot, MetadataError> {
        let Self {
            gate,
            now,
            root,
            retired,
        } = self;
        not_expired(&RoleName::root(), &*root, now)?;
        Ok(AtRoot {
            gate,
            now,
            root: Arc::new(root),
            retired,
            carried: None,
        })
    }
}
