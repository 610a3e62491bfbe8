//! Carrying on a repository that another tool made: tuftool, python-tuf, or whatever follows the specification.
//!
//! Its roots, its current metadata and its target files come along; the next event is staged upon them. That event has the
//! next root: signed by a threshold of the old keys, so that every TUF client follows it from its first root on, and by
//! ours, with the certificates that devices ask for. Devices that are bound to a PKI can begin at that root and no earlier:
//! the old keys have no certificates. It is `first-root` in the settings.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use device_pki::{Entropy, durable};
use metadata_schema::digest::Length;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::TargetFile;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;
use schemars::JsonSchema;
use serde::Serialize;

use crate::assemble::{metadata_name, target_file_path};
use crate::error::{Error, Result};
use crate::init::InitPlan;
use crate::progress::{OnProgress, Progress};
use crate::remote::Remote;
use crate::repository::Repository;
use crate::walk::{self, Opened, Source};

/// What was carried over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Imported {
    /// The newest root of the old tool.
    pub old_root: u64,
    /// The root that is staged: the first that devices with a trust anchor can begin at.
    pub first_root: u64,
    /// The version of the old targets.
    pub old_targets: u64,
    /// Target files that came along.
    pub files: usize,
    /// Their length in all.
    pub bytes: u64,
}

impl Repository {
    /// Makes a repository in `folder` that carries on the one at `from`, and stages its next event: as
    /// [`Repository::init`], upon what is there.
    ///
    /// # Errors
    /// As [`Repository::init`]; if a TUF client would refuse what is at `from`, or it delegates, which we do not carry on.
    pub fn import(
        folder: &Path,
        from: &dyn Remote,
        plan: &InitPlan,
        now: Timestamp,
        entropy: &mut dyn Entropy,
        progress: OnProgress<'_>,
    ) -> Result<(Self, Imported)> {
        let source = Foreign { from };
        let (at, roots) = walk::plain(&source, now)?;
        refuse_delegations(&at)?;
        let old_root = at.root().common.version;
        let first_root =
            old_root
                .next()
                .ok_or_else(|| metadata_schema::MetadataError::LastVersion {
                    role: RoleName::root(),
                })?;
        let mut plan = plan.clone();
        plan.settings.first_root = first_root.number();
        let mut imported = Imported {
            old_root: old_root.number(),
            first_root: first_root.number(),
            old_targets: at.targets().common.version.number(),
            ..Imported::default()
        };
        let carry = |repository: &Self| {
            let keep = |name: &str, bytes: &[u8]| -> Result<()> {
                let path = repository.layout.metadata().join(name);
                Ok(durable::write(&path, bytes, durable::PUBLIC)?)
            };
            for (path, file) in &at.targets().targets {
                let path = TargetPath::new(path)?;
                repository.carry_target(&source, &path, file, progress)?;
                imported.files = imported.files.saturating_add(1);
                imported.bytes = imported.bytes.saturating_add(file.length);
            }
            for (version, bytes) in (1..).filter_map(Version::new).zip(&roots) {
                keep(&metadata_name(&RoleName::root(), version), bytes)?;
            }
            for (name, bytes) in source.current(&at)? {
                keep(&name, &bytes)?;
            }
            Ok(())
        };
        let repository = Self::init_upon(folder, &plan, &BTreeMap::new(), now, entropy, carry)?;
        Ok((repository, imported))
    }

    /// Fetches one target file, whole or not at all, and compares it with what the metadata says.
    fn carry_target(
        &self,
        source: &Foreign<'_>,
        path: &TargetPath,
        file: &TargetFile,
        progress: OnProgress<'_>,
    ) -> Result<()> {
        let named = target_file_path(path, &file.hashes);
        let to = self.layout.targets().join(&named);
        let exact = Length::Exactly(file.length);
        let role = RoleName::targets();
        if to.is_file() && crate::digests::check_file(&to, &role, exact, &file.hashes).is_ok() {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        let refused = |source| Error::Content {
            path: path.as_str().into(),
            role: role.clone(),
            source,
        };
        for name in [named.as_str(), path.as_str()] {
            let mut checker = file.hashes.checker(exact);
            let mut copy = durable::Replacement::begin(&to, durable::PUBLIC)?;
            let mut done: u64 = 0;
            let found = source
                .from
                .stream(&format!("targets/{name}"), &mut |piece| {
                    checker.update(piece).map_err(refused)?;
                    copy.push(piece)?;
                    done = done.saturating_add(crate::assemble::length_of(piece));
                    progress(Progress {
                        file: path.as_str(),
                        stage: "import",
                        done,
                        total: file.length,
                    });
                    Ok(ControlFlow::Continue(()))
                })?;
            if found.is_some() {
                checker.finish().map_err(refused)?;
                return Ok(copy.finish()?);
            }
        }
        Err(Error::Missing {
            path: format!("targets/{path}").into(),
            needed_by: "the targets metadata of the repository that is imported".to_owned(),
        })
    }
}

fn refuse_delegations(at: &AtTargets) -> Result<()> {
    let delegations = at.targets().delegations.iter();
    let roles: Vec<&str> = delegations
        .flat_map(|delegations| &delegations.roles)
        .map(|role| role.name.as_str())
        .collect();
    if roles.is_empty() {
        return Ok(());
    }
    Err(Error::CannotImport {
        why: format!("its targets delegate to {}", roles.join(", ")),
    })
}

/// A published repository of another tool: with names of consistent snapshots or without.
struct Foreign<'a> {
    from: &'a dyn Remote,
}

impl Foreign<'_> {
    fn fetch(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let fetched = self.from.read(&format!("metadata/{name}"), limit)?;
        Ok(fetched.map(|fetched| fetched.bytes))
    }

    /// Timestamp, snapshot and targets, by the names of consistent snapshots.
    fn current(&self, at: &AtTargets) -> Result<Vec<(String, Vec<u8>)>> {
        let limits = Limits::default();
        let (timestamp, snapshot) = (RoleName::timestamp(), RoleName::snapshot());
        let targets = (RoleName::targets(), at.targets().common.version);
        let snapshot = (snapshot, at.snapshot().snapshot().common.version);
        // The timestamp last: it makes the others count.
        let files = [
            (targets, limits.targets_length),
            (snapshot, limits.snapshot_length),
            ((timestamp, Version::FIRST), limits.timestamp_length),
        ];
        let mut current = Vec::new();
        for ((role, version), limit) in files {
            let name = metadata_name(&role, version);
            let bytes = self.metadata(&name, limit)?;
            current.push((name.clone(), bytes.ok_or(Error::MissingMetadata { name })?));
        }
        Ok(current)
    }
}

impl Source for Foreign<'_> {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let found = self.fetch(name, limit)?;
        let (None, Some((version, plain))) = (&found, name.split_once('.')) else {
            return Ok(found);
        };
        // Roots have versions in their names everywhere, timestamps nowhere.
        if plain == "root.json" || version == "timestamp" {
            return Ok(None);
        }
        self.fetch(plain, limit)
    }

    fn open(&self, _file_path: &str, _most: u64) -> Result<Option<Opened>> {
        Ok(None)
    }
}
