//! What was verified.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Envelope;
use metadata_schema::gate::When;
use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;
use metadata_schema::release::ReleaseManifest;
use metadata_schema::roles::{Common, Root};
use metadata_schema::threshold::{Authority, tally};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::assemble::metadata_name;
use crate::error::Result;
use crate::keyholder::holder_name;
use crate::schema::words::{Sha256, Time};
use crate::walk::{self, Arrived, Source};

/// Everything that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleReport {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// Whose signatures count.
    pub signers: Vec<String>,
    /// Target files of it that were read.
    pub files: u64,
}

/// A release that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PayloadReport {
    /// The slot class of its image.
    pub slot: String,
    /// Its target path.
    pub path: String,
    /// The image that a delta starts from.
    #[schemars(with = "Option<Sha256>")]
    pub from_image: Option<Sha256Digest>,
    /// Its length.
    pub bytes: u64,
}

impl Report {
    /// Who signed what, counted under the revocation lists.
    pub(super) fn of(arrived: &Arrived, source: &dyn Source, now: Timestamp) -> Result<Self> {
        let at = &arrived.at;
        let root: &Root = at.root();
        let of_root = |role| Authority {
            keys: &root.keys,
            role,
            certificates: &root.certificates,
        };
        let timestamp = at.timestamp();
        let snapshot = at.snapshot().snapshot();
        let mut entries = vec![
            (RoleName::root(), &root.common, Some(of_root(&root.root))),
            (
                RoleName::timestamp(),
                &timestamp.common,
                Some(of_root(&root.timestamp)),
            ),
            (
                RoleName::snapshot(),
                &snapshot.common,
                Some(of_root(&root.snapshot)),
            ),
            (
                RoleName::targets(),
                &at.targets().common,
                Some(of_root(&root.targets)),
            ),
        ];
        for name in &arrived.roles {
            let Some(targets) = at.role(name) else {
                continue;
            };
            let authority = walk::delegation(at, name).and_then(|(delegator, delegated)| {
                Some(Authority {
                    keys: &delegator.delegations.as_ref()?.keys,
                    role: &delegated.keys,
                    certificates: &delegator.certificates,
                })
            });
            entries.push((name.clone(), &targets.common, authority));
        }
        let mut roles = Vec::new();
        for (name, common, authority) in entries {
            let signers = match authority {
                Some(authority) => signers(arrived, source, &name, common, authority, now)?,
                None => Vec::new(),
            };
            roles.push(RoleReport {
                role: name.to_string(),
                version: common.version.number(),
                expires: common.expires,
                signers,
                files: 0,
            });
        }
        Ok(Self {
            roles,
            crls: arrived
                .crls
                .iter()
                .map(|crl| crl.issuer().to_owned())
                .collect(),
            releases: Vec::new(),
            unreachable: arrived
                .unreachable
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
    }

    pub(super) fn count_file(&mut self, role: &RoleName) {
        for entry in self
            .roles
            .iter_mut()
            .filter(|entry| entry.role == role.as_str())
        {
            entry.files = entry.files.saturating_add(1);
        }
    }
}

fn signers(
    arrived: &Arrived,
    source: &dyn Source,
    name: &RoleName,
    common: &Common,
    authority: Authority<'_>,
    now: Timestamp,
) -> Result<Vec<String>> {
    let limit = Limits::default().targets_length;
    let Some(bytes) = source.metadata(&metadata_name(name, common.version), limit)? else {
        return Ok(Vec::new());
    };
    let envelope = Envelope::read(name, &bytes)?;
    let counted = tally(name, &envelope, &authority, &*arrived.gate, When::At(now)).counted;
    let names = counted
        .iter()
        .map(|(key, _)| holder_name(authority.certificates, key));
    Ok(names.collect())
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
