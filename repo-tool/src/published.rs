//! What is published now, read for further work on it.
//!
//! Not a device's view: signatures are not counted here. Whatever is made from it passes [`crate::walk`] before it is
//! published. A delegated role is read when it is asked for, once: a repository may have a thousand of them, of which a
//! command needs three.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use device_pki::durable;
use metadata_schema::MetadataError;
use metadata_schema::digest::Length;
use metadata_schema::envelope::Envelope;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{MetaFile, Role, Root, Snapshot, Targets, Timestamp};

use crate::assemble::metadata_name;
use crate::error::{Error, Result};

/// The published metadata, as far as there is any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub(crate) root: Option<Root>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) targets: Option<Targets>,
    delegated: BTreeMap<RoleName, Listed>,
}

/// A delegated role that the snapshot lists, read when it is asked for.
#[derive(Clone, Debug)]
struct Listed {
    file: MetaFile,
    path: PathBuf,
    content: OnceLock<Targets>,
}

impl Published {
    /// Reads what is published in the folder `metadata`: the top-level roles, and which delegated ones there are.
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
                let listed = Listed {
                    file: listed.clone(),
                    path: file(&role, listed.version),
                    content: OnceLock::new(),
                };
                published.delegated.insert(role, listed);
            }
        }
        published.timestamp = Some(timestamp);
        published.snapshot = Some(snapshot);
        Ok(published)
    }

    /// A delegated role; none if the snapshot does not list it.
    pub(crate) fn delegated(&self, role: &RoleName) -> Result<Option<&Targets>> {
        let Some(listed) = self.delegated.get(role) else {
            return Ok(None);
        };
        if let Some(content) = listed.content.get() {
            return Ok(Some(content));
        }
        let content = listed.read(role)?;
        Ok(Some(listed.content.get_or_init(|| content)))
    }

    /// The version of a delegated role, by the snapshot: the role itself is not read.
    pub(crate) fn delegated_version(&self, role: &RoleName) -> Option<Version> {
        self.delegated.get(role).map(|listed| listed.file.version)
    }

    /// The delegated roles that the snapshot lists.
    pub(crate) fn delegated_roles(&self) -> impl Iterator<Item = &RoleName> {
        self.delegated.keys()
    }
}

impl Listed {
    /// Reads the file and asks whether it is the one that the snapshot lists.
    fn read(&self, role: &RoleName) -> Result<Targets> {
        let limit = self.file.most(Limits::default().targets_length);
        let bytes = durable::read_bounded(&self.path, limit)?;
        if let Some(hashes) = &self.file.hashes {
            let length = self
                .file
                .length
                .map_or(Length::AtMost(limit), Length::Exactly);
            hashes.check(length, &bytes).map_err(|source| {
                Error::in_file(&self.path)(MetadataError::Content {
                    role: role.clone(),
                    source,
                })
            })?;
        }
        let envelope = Envelope::read(role, &bytes).map_err(Error::in_file(&self.path))?;
        let targets: Targets = parse(role, &self.path, envelope.signed)?;
        let (expected, found) = (self.file.version, targets.common.version);
        if expected == found {
            return Ok(targets);
        }
        Err(Error::in_file(&self.path)(MetadataError::Version {
            role: role.clone(),
            expected,
            found,
        }))
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
        let source = MetadataError::Shape {
            role: role.clone(),
            source,
        };
        Error::in_file(path)(source)
    })
}
