//! Metadata that was carried to the device in a file, with a statement of its own for how long it may be used: `bundle.json`.
//!
//! Timestamp and snapshot expire within days, so a file that a technician carries would be refused before it arrives. The
//! statement, signed by the timestamp role, takes the place of their expiry, for the one state of the repository that it
//! names. It takes the place of nothing else: what people sign (root, targets, products) expires as ever, so whoever steals the
//! timestamp key cannot lengthen the word of anybody but machines.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{AtRoot, AtTargets, Freshness, announced, no_rollback, same_version};
use crate::envelope::Verified;
use crate::error::MetadataError;
use crate::name::RoleName;
use crate::roles::{Bundle, MetaFile, Timestamp};

/// The statement that is in force, and whose expiry it takes the place of.
#[derive(Clone)]
pub(super) struct Carried {
    bundle: Verified<Bundle>,
    machines: Vec<RoleName>,
}

impl AtRoot {
    /// Goes by the statement of a bundle: the timestamp must be the one that it names, may be older than the one that is
    /// trusted, and may have expired; so may the snapshot, and of the delegated roles `machines`, which no person signs.
    ///
    /// # Errors
    /// [`MetadataError::Bundle`] if it is not signed by a threshold of the timestamp role, or has no such form;
    /// [`MetadataError::BundleExpired`] if its time is over.
    pub fn with_bundle(self, bytes: &[u8], machines: &[RoleName]) -> Result<Self, MetadataError> {
        // A gate asks what the keys may sign for: it is the timestamp role.
        let role = RoleName::timestamp();
        let bundle: Verified<Bundle> = self
            .verify(&role, &self.root.timestamp, bytes)
            .map_err(of_the_bundle)?;
        let (expires, now) = (bundle.common.expires, self.now);
        if expires <= now {
            return Err(MetadataError::BundleExpired { expires, now });
        }
        let carried = Carried {
            bundle,
            machines: machines.to_vec(),
        };
        Ok(Self {
            carried: Some(Arc::new(carried)),
            ..self
        })
    }

    /// The statement of the bundle that everything after this comes from; none if it comes from a server.
    pub fn bundle(&self) -> Option<&Verified<Bundle>> {
        self.carried.as_deref().map(|carried| &carried.bundle)
    }

    /// Whether the statement takes the place of this role's expiry.
    pub(super) fn stands_in_for(&self, role: &RoleName) -> bool {
        self.carried.as_ref().is_some_and(|carried| {
            matches!(role.as_str(), "timestamp" | "snapshot") || carried.machines.contains(role)
        })
    }
}

impl AtTargets {
    /// The statement of the bundle that all of this comes from; none if it comes from a server.
    pub fn bundle(&self) -> Option<&Verified<Bundle>> {
        self.at.at.at.bundle()
    }
}

/// Compares a timestamp with the one that the bundle names, and with the one that is trusted: it is taken even if it is older,
/// and then it replaces nothing.
pub(super) fn timestamp(
    bundle: &Bundle,
    local: Option<&Timestamp>,
    new: &Timestamp,
    bytes: &[u8],
) -> Result<Freshness, MetadataError> {
    let role = RoleName::timestamp();
    let named: &MetaFile = &bundle.timestamp;
    announced(&role, named, bytes).map_err(of_the_bundle)?;
    same_version(&role, named.version, new.common.version).map_err(of_the_bundle)?;
    let Some(local) = local else {
        return Ok(Freshness::New);
    };
    match new.common.version.cmp(&local.common.version) {
        Ordering::Less => Ok(Freshness::Older),
        Ordering::Equal => Ok(Freshness::Unchanged),
        Ordering::Greater => {
            // It is about to be stored.
            let snapshot = RoleName::snapshot();
            no_rollback(&snapshot, local.snapshot.version, new.snapshot.version)?;
            Ok(Freshness::New)
        }
    }
}

fn of_the_bundle(source: MetadataError) -> MetadataError {
    MetadataError::Bundle {
        source: Box::new(source),
    }
}
