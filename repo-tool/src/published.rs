//! What is published now, read for further work on it.
//!
//! Not a device's view: signatures are not counted here. Whatever is made from it passes [`crate::walk`] before it is
//! published.

use std::collections::BTreeMap;
use std::path::Path;

use device_pki::durable;
use metadata_schema::envelope::Envelope;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Role, Root, Snapshot, Targets, Timestamp};

use crate::assemble::metadata_name;
use crate::error::{Error, Result};

/// The published metadata, as far as there is any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub(crate) root: Option<Root>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) targets: Option<Targets>,
    pub(crate) delegated: BTreeMap<RoleName, Targets>,
}

impl Published {
    /// Reads what is published in the folder `metadata`.
    pub(crate) fn read(metadata: &Path) -> Result<Self> {
        let limits = Limits::default();
        let root = latest_root(metadata, &limits)?;
        let mut published = Self {
            root,
            ..Self::default()
        };
        let file = |role: &RoleName, version| metadata.join(metadata_name(role, version));
        let timestamp = file(&RoleName::timestamp(), Version::FIRST);
        if !timestamp.is_file() {
            return Ok(published);
        }
        let timestamp: Timestamp =
            read_role(&RoleName::timestamp(), &timestamp, limits.timestamp_length)?;
        let path = file(&RoleName::snapshot(), timestamp.snapshot.version);
        let snapshot: Snapshot = read_role(&RoleName::snapshot(), &path, limits.snapshot_length)?;
        for (name, listed) in &snapshot.meta {
            let stem = name.strip_suffix(".json").unwrap_or(name);
            if stem == "targets" {
                let path = file(&RoleName::targets(), listed.version);
                published.targets = Some(read_role(
                    &RoleName::targets(),
                    &path,
                    limits.targets_length,
                )?);
            } else {
                let role = RoleName::delegated(stem)?;
                let path = file(&role, listed.version);
                let targets = read_role(&role, &path, limits.targets_length)?;
                published.delegated.insert(role, targets);
            }
        }
        published.timestamp = Some(timestamp);
        published.snapshot = Some(snapshot);
        Ok(published)
    }
}

/// The last of the unbroken row of roots; none if there is not even the first.
fn latest_root(metadata: &Path, limits: &Limits) -> Result<Option<Root>> {
    let role = RoleName::root();
    let mut latest = None;
    let mut next = Some(Version::FIRST);
    while let Some(version) = next {
        let path = metadata.join(metadata_name(&role, version));
        if !path.is_file() {
            break;
        }
        latest = Some(path);
        next = version.next();
    }
    latest
        .map(|path| read_role(&role, &path, limits.root_length))
        .transpose()
}

/// Reads one signed file without counting its signatures.
pub(crate) fn read_role<T: Role>(role: &RoleName, path: &Path, limit: u64) -> Result<T> {
    let bytes = durable::read_bounded(path, limit)?;
    let envelope = Envelope::read(role, &bytes).map_err(Error::in_file(path))?;
    parse(role, path, envelope.signed)
}

/// Reads the value of `signed`.
pub(crate) fn parse<T: Role>(
    role: &RoleName,
    path: &Path,
    signed: metadata_schema::json::Json,
) -> Result<T> {
    T::parse(signed, "signed").map_err(|source| {
        let source = metadata_schema::MetadataError::Shape {
            role: role.clone(),
            source,
        };
        Error::in_file(path)(source)
    })
}
