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
pub struct RootWalk {
    gate: SharedGate,
    root: Verified<Root>,
    rotated: bool,
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
            rotated: false,
        })
    }

    /// The root that is trusted so far.
    pub fn root(&self) -> &Verified<Root> {
        &self.root
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
        self.rotated |= retired(&self.root.timestamp, &by_current.timestamp)
            || retired(&self.root.snapshot, &by_current.snapshot);
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
        let Self { root, rotated, .. } = self;
        root.recount(&root.authority(&root.root), &*gate, When::At(now))?;
        Ok(ConfirmedRoot {
            gate,
            now,
            root,
            rotated,
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
    rotated: bool,
}

impl ConfirmedRoot {
    /// The root.
    pub fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// Whether the walk took a timestamp or snapshot key out of force: see [`AtRoot::online_keys_rotated`].
    pub fn online_keys_rotated(&self) -> bool {
        self.rotated
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
            rotated,
        } = self;
        not_expired(&RoleName::root(), &*root, now)?;
        Ok(AtRoot {
            gate,
            now,
            root: Arc::new(root),
            rotated,
        })
    }
}

/// Whether a key of `old` is no longer in force: then whoever stole it may have pushed versions far ahead.
fn retired(old: &RoleKeys, new: &RoleKeys) -> bool {
    old.key_ids.iter().any(|id| !new.key_ids.contains(id))
}
