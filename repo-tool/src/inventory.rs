//! Which files a published state consists of, and in which order they come into being.
//!
//! Read from metadata alone, without counting signatures: whoever sends or removes files by it has verified the state, or
//! compares it with one that is.

use schemars::JsonSchema;
use std::collections::BTreeMap;

use metadata_schema::digest::{Hashes, Length, Sha256Digest};
use metadata_schema::envelope::Envelope;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{MetaFile, Role, Snapshot, Targets, Timestamp};
use metadata_schema::{MetadataError, time};

use crate::assemble::{length_of, metadata_name, target_file_path};
use crate::error::{Error, Result};

/// When a file is sent: what is named comes before what names it, so that whoever reads meanwhile sees the old state or
/// the new one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// Payloads, manifests, revocation lists.
    Targets,
    /// Targets metadata and what it delegates to.
    Roles,
    /// Snapshot.
    Snapshot,
    /// Roots.
    Root,
    /// The timestamp: from now on the new state is the one.
    Timestamp,
}

/// A file of a published state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its path below the published folder.
    pub(crate) path: String,
    /// When it is sent.
    pub(crate) phase: Phase,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// Its digests.
    pub(crate) hashes: Hashes,
}

impl Item {
    pub(crate) fn of_bytes(path: String, phase: Phase, bytes: &[u8]) -> Self {
        Self {
            path,
            phase,
            length: length_of(bytes),
            hashes: Hashes::sha256(Sha256Digest::of(bytes)),
        }
    }

    pub(crate) fn exactly(&self) -> Length {
        Length::Exactly(self.length)
    }
}

/// A published state: its files by path, and the numbers that order states.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) versions: BTreeMap<RoleName, Version>,
    pub(crate) expires: Option<time::Timestamp>,
    pub(crate) timestamp: Vec<u8>,
}

/// Reads a metadata file by name; none if there is none.
pub(crate) type Read<'a> = &'a dyn Fn(&str, u64) -> Result<Option<Vec<u8>>>;

impl Inventory {
    /// The state that the timestamp leads to; none if there is no timestamp.
    pub(crate) fn read(read: Read<'_>) -> Result<Option<Self>> {
        let limits = Limits::default();
        let role = RoleName::timestamp();
        let name = metadata_name(&role, Version::FIRST);
        let Some(bytes) = read(&name, limits.timestamp_length)? else {
            return Ok(None);
        };
        let timestamp: Timestamp = parse(&role, &bytes)?;
        let mut state = Self::of_timestamp(&bytes)?;
        let role = RoleName::snapshot();
        let bytes = needed(read, &role, &timestamp.snapshot, limits.snapshot_length)?;
        let snapshot: Snapshot = parse(&role, &bytes)?;
        state.put(&role, snapshot.common.version, Phase::Snapshot, &bytes);
        for (name, listed) in &snapshot.meta {
            let role = match name.strip_suffix(".json").unwrap_or(name) {
                "targets" => RoleName::targets(),
                stem => RoleName::delegated(stem)?,
            };
            let bytes = needed(read, &role, listed, limits.targets_length)?;
            let targets: Targets = parse(&role, &bytes)?;
            state.put(&role, listed.version, Phase::Roles, &bytes);
            state.add_targets(&targets);
        }
        Ok(Some(state))
    }

    /// The number of a state, of which nothing else is known.
    pub(crate) fn of_timestamp(bytes: &[u8]) -> Result<Self> {
        let role = RoleName::timestamp();
        let timestamp: Timestamp = parse(&role, bytes)?;
        let mut state = Self {
            expires: Some(timestamp.common.expires),
            timestamp: bytes.to_vec(),
            ..Self::default()
        };
        state.put(&role, timestamp.common.version, Phase::Timestamp, bytes);
        Ok(state)
    }

    /// The same with every root from the first on.
    pub(crate) fn read_with_roots(read: Read<'_>) -> Result<Option<Self>> {
        let Some(mut state) = Self::read(read)? else {
            return Ok(None);
        };
        let role = RoleName::root();
        let limit = Limits::default().root_length;
        let mut version = Some(Version::FIRST);
        while let Some(next) = version {
            let Some(bytes) = read(&metadata_name(&role, next), limit)? else {
                break;
            };
            state.put(&role, next, Phase::Root, &bytes);
            version = next.next();
        }
        Ok(Some(state))
    }

    /// Paths that a targets role names, and their files.
    pub(crate) fn add_targets(&mut self, targets: &Targets) {
        for (path, file) in &targets.targets {
            // What is no target path is never looked up by anybody.
            let Ok(path) = TargetPath::new(path) else {
                continue;
            };
            let path = format!("targets/{}", target_file_path(&path, &file.hashes));
            let item = Item {
                path: path.clone(),
                phase: Phase::Targets,
                length: file.length,
                hashes: file.hashes.clone(),
            };
            self.items.insert(path, item);
        }
    }

    fn put(&mut self, role: &RoleName, version: Version, phase: Phase, bytes: &[u8]) {
        let path = format!("metadata/{}", metadata_name(role, version));
        let item = Item::of_bytes(path.clone(), phase, bytes);
        self.items.insert(path, item);
        self.versions.insert(role.clone(), version);
    }
}

fn needed(read: Read<'_>, role: &RoleName, listed: &MetaFile, limit: u64) -> Result<Vec<u8>> {
    let name = metadata_name(role, listed.version);
    let limit = listed.most(limit);
    let bytes = read(&name, limit)?.ok_or(Error::MissingMetadata { name })?;
    if let Some(hashes) = &listed.hashes {
        let length = listed.length.map_or(Length::AtMost(limit), Length::Exactly);
        hashes
            .check(length, &bytes)
            .map_err(|source| MetadataError::Content {
                role: role.clone(),
                source,
            })?;
    }
    Ok(bytes)
}

pub(crate) fn parse<T: Role>(role: &RoleName, bytes: &[u8]) -> Result<T> {
    let envelope = Envelope::read(role, bytes)?;
    Ok(
        T::parse(envelope.signed, "signed").map_err(|source| MetadataError::Shape {
            role: role.clone(),
            source,
        })?,
    )
}
