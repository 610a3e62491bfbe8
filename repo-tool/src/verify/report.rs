//! What was verified.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Verified;
use metadata_schema::name::RoleName;
use metadata_schema::release::ReleaseManifest;
use metadata_schema::roles::Role;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;
use serde::Serialize;

use super::dates;

/// Everything that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Root, timestamp, snapshot, targets, then the delegated roles.
    pub roles: Vec<RoleReport>,
    /// CAs whose revocation lists the repository publishes.
    pub crls: Vec<String>,
    /// Releases.
    pub releases: Vec<ReleaseReport>,
    /// Delegated roles that no probe could come to, and which were not read.
    pub unreachable: Vec<String>,
}

/// A role that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleReport {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// Who signed it, and counted.
    pub holders: Vec<String>,
    /// Target files of it that were read.
    pub files: u64,
}

/// A release that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseReport {
    /// The product.
    pub product: String,
    /// The channel.
    pub channel: String,
    /// Version of the firmware.
    pub version: String,
    /// Its anti-rollback number.
    pub security_version: u64,
    /// Its payloads.
    pub payloads: Vec<PayloadReport>,
}

/// A payload that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PayloadReport {
    /// The slot class of its image.
    pub slot: String,
    /// Its target path.
    pub path: String,
    /// The image that a delta starts from.
    pub from_image: Option<Sha256Digest>,
    /// Its length.
    pub bytes: u64,
}

impl Report {
    pub(super) fn new(at: &AtTargets, crls: Vec<String>, unreachable: &[RoleName]) -> Self {
        let roles = vec![
            RoleReport::of(at.root(), &RoleName::root()),
            RoleReport::of(at.timestamp(), &RoleName::timestamp()),
            RoleReport::of(at.snapshot().snapshot(), &RoleName::snapshot()),
            RoleReport::of(at.targets(), &RoleName::targets()),
        ];
        let unreachable = unreachable.iter().map(ToString::to_string).collect();
        Self {
            roles,
            crls,
            releases: Vec::new(),
            unreachable,
        }
    }
}

impl RoleReport {
    pub(super) fn of<T: Role>(role: &Verified<T>, name: &RoleName) -> Self {
        let (version, expires) = dates(&**role);
        let holders = role
            .holders()
            .iter()
            .map(|holder| holder.0.clone())
            .collect();
        Self {
            role: name.to_string(),
            version,
            expires,
            holders,
            files: 0,
        }
    }
}

impl ReleaseReport {
    pub(super) fn of(manifest: &ReleaseManifest) -> Self {
        Self {
            product: manifest.product.to_string(),
            channel: manifest.channel.to_string(),
            version: manifest.version.to_string(),
            security_version: manifest.security_version,
            payloads: Vec::new(),
        }
    }
}
