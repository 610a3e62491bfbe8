//! A published folder, read file by file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::envelope::Envelope;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp};

use crate::assemble::{check_bytes, metadata_name, target_file_path};
use crate::describe::SmallFiles;
use crate::error::{Error, Result};
use crate::layout::published_in;
use crate::published::{parse, read_role};

/// Most files of metadata that are listed: years of a large repository.
const MAX_FILES: usize = 1_000_000;

/// A published repository in a folder. Reads what is asked for, and counts no signature.
#[derive(Clone, Debug)]
pub struct Archive {
    metadata: PathBuf,
    targets: PathBuf,
}

/// One state of a repository: what a device saw that met this snapshot.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) root: Root,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) snapshot: Snapshot,
    pub(super) targets: Targets,
}

impl Archive {
    /// The published folder `path`, or that of the keepers' folder `path`.
    ///
    /// # Errors
    /// If it has no folder `metadata`.
    pub fn open(path: &Path) -> Result<Self> {
        let published = published_in(path);
        let metadata = published.join("metadata");
        if !metadata.is_dir() {
            return Err(Error::NotPublished { path: published });
        }
        Ok(Self {
            metadata,
            targets: published.join("targets"),
        })
    }

    /// The state that the timestamp names, or that of an earlier snapshot.
    pub(super) fn state(&self, snapshot: Option<Version>) -> Result<State> {
        let limits = Limits::default();
        let (timestamp, version) = if let Some(version) = snapshot {
            (None, version)
        } else {
            let role = RoleName::timestamp();
            let timestamp: Timestamp = self.read(&role, Version::FIRST, limits.timestamp_length)?;
            let version = timestamp.snapshot.version;
            (Some(timestamp), version)
        };
        let role = RoleName::snapshot();
        let snapshot: Snapshot = self.read(&role, version, limits.snapshot_length)?;
        let role = RoleName::targets();
        let listed = snapshot
            .file(&role)
            .ok_or_else(|| self.missing(&role, Version::FIRST))?;
        let targets = self.read(&role, listed.version, limits.targets_length)?;
        let root = self.root_of(&snapshot)?;
        Ok(State {
            root,
            timestamp,
            snapshot,
            targets,
        })
    }

    /// The last root, or, for a snapshot of the past, the last that was issued before it.
    fn root_of(&self, snapshot: &Snapshot) -> Result<Root> {
        let role = RoleName::root();
        let versions = self.versions()?.remove(&role).unwrap_or_default();
        let limit = Limits::default().root_length;
        for version in versions.iter().rev() {
            let root: Root = self.read(&role, *version, limit)?;
            let later = match (root.common.issued, snapshot.common.issued) {
                (Some(root), Some(snapshot)) => root > snapshot,
                _ => false,
            };
            if !later || *version == Version::FIRST {
                return Ok(root);
            }
        }
        Err(self.missing(&role, Version::FIRST))
    }

    /// A delegated role as a state lists it; none if that state does not list it.
    pub(super) fn delegated(&self, state: &State, role: &RoleName) -> Result<Option<Targets>> {
        let Some(MetaFile { version, .. }) = state.snapshot.file(role) else {
            return Ok(None);
        };
        self.read(role, *version, Limits::default().targets_length)
            .map(Some)
    }

    /// All versions of all roles that stand in the folder, in order; the timestamp, which has no number, is left out.
    pub(super) fn versions(&self) -> Result<BTreeMap<RoleName, Vec<Version>>> {
        let failed = |e| Error::io("list", &self.metadata, e);
        let mut versions: BTreeMap<RoleName, Vec<Version>> = BTreeMap::new();
        for entry in fs::read_dir(&self.metadata)
            .map_err(failed)?
            .take(MAX_FILES)
        {
            let name = entry.map_err(failed)?.file_name();
            if let Some((role, version)) = name.to_str().and_then(numbered) {
                versions.entry(role).or_default().push(version);
            }
        }
        for list in versions.values_mut() {
            list.sort();
        }
        Ok(versions)
    }

    /// One version of a role.
    pub(super) fn read<T: Role>(&self, role: &RoleName, version: Version, limit: u64) -> Result<T> {
        let path = self.metadata.join(metadata_name(role, version));
        if !path.is_file() {
            return Err(self.missing(role, version));
        }
        read_role(role, &path, limit)
    }

    /// One version of a role with its signatures and its length in bytes.
    pub(super) fn signed<T: Role>(
        &self,
        role: &RoleName,
        version: Version,
    ) -> Result<(T, Envelope, usize)> {
        let path = self.metadata.join(metadata_name(role, version));
        let bytes = durable::read_bounded(&path, Limits::default().targets_length)?;
        let envelope = Envelope::read(role, &bytes).map_err(Error::in_file(&path))?;
        let content = parse(role, &path, envelope.signed.clone())?;
        Ok((content, envelope, bytes.len()))
    }

    fn missing(&self, role: &RoleName, version: Version) -> Error {
        Error::MissingMetadata {
            name: self
                .metadata
                .join(metadata_name(role, version))
                .display()
                .to_string(),
        }
    }
}

impl SmallFiles for Archive {
    /// What was withdrawn long ago may have been removed.
    fn small(
        &self,
        role: &RoleName,
        path: &str,
        file: &TargetFile,
        limit: u64,
    ) -> Result<Option<Vec<u8>>> {
        let relative = target_file_path(&TargetPath::new(path)?, &file.hashes);
        let found = self.targets.join(relative);
        if !found.is_file() {
            return Ok(None);
        }
        let bytes = durable::read_bounded(&found, limit)?;
        check_bytes(file, &bytes).map_err(|source| Error::Content {
            path: found,
            role: role.clone(),
            source,
        })?;
        Ok(Some(bytes))
    }
}

/// `N.ROLE.json`: the role's name may have dots, and stands percent-encoded.
fn numbered(name: &str) -> Option<(RoleName, Version)> {
    let (number, stem) = name.strip_suffix(".json")?.split_once('.')?;
    let version = Version::new(number.parse().ok()?)?;
    let role = match stem {
        "root" => RoleName::root(),
        "targets" => RoleName::targets(),
        "snapshot" => RoleName::snapshot(),
        stem => RoleName::from_file_stem(stem)?,
    };
    Some((role, version))
}
