//! A keepers' folder, open for work.

use std::path::{Path, PathBuf};

use device_pki::{Crl, TrustAnchor, durable};
use metadata_schema::bins;
use metadata_schema::digest::Hashes;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{Common, Root, TargetFile, Targets};
use metadata_schema::time::Timestamp;
use std::sync::Arc;

use crate::assemble::target_file_path;
use crate::error::{Error, Result};
use crate::layout::{Layout, PKI_ROLE};
use crate::lock::Lock;
use crate::published::Published;
use crate::settings::Settings;
use crate::staged::Staged;
use crate::trust;

/// Longest PEM file of a trust anchor.
const ANCHOR_LIMIT: u64 = 64 * 1024;

/// A keepers' folder: where releases are made, signed and published from.
///
/// Its methods stand in the modules of the crate, one for each thing that a release manager does: [`crate::init`],
/// [`crate::products`], [`crate::release`], [`crate::crls`], [`crate::rotation`], [`crate::sign`], [`crate::status`],
/// [`crate::show`], [`crate::publish`], [`crate::refresh`].
#[derive(Debug)]
pub struct Repository {
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
    pub(crate) anchor: TrustAnchor,
}

impl Repository {
    /// Opens the repository that [`Repository::init`] made in `folder`.
    ///
    /// # Errors
    /// If there is none, or its settings or its anchor cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = Layout::settings(folder);
        if !path.is_file() {
            return Err(Error::NotARepository {
                path: folder.to_owned(),
            });
        }
        let settings = Settings::read(&path)?;
        let layout = Layout::new(folder, &settings);
        let anchor = read_anchor(&layout.anchor())?;
        Ok(Self {
            layout,
            settings,
            anchor,
        })
    }

    /// The same repository, for somebody whose name the audit log is to have.
    #[must_use]
    pub fn by(mut self, operator: Option<String>) -> Self {
        self.layout = self.layout.by(operator);
        self
    }

    /// Paths of its files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its settings, as `repo.toml` has them.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The root CA that its devices trust.
    pub fn anchor(&self) -> &TrustAnchor {
        &self.anchor
    }

    pub(crate) fn lock(&self) -> Result<Lock> {
        Lock::take(&self.layout)
    }

    pub(crate) fn state(&self) -> Result<State> {
        Ok(State {
            published: Published::read(&self.layout.metadata())?,
            staged: Staged::read(&self.layout)?,
        })
    }

    /// The file of a target, wherever it stands: staged or published.
    pub(crate) fn target(&self, path: &TargetPath, hashes: &Hashes) -> Option<PathBuf> {
        let file = target_file_path(path, hashes);
        [self.layout.staged_targets(), self.layout.targets()]
            .into_iter()
            .map(|folder| folder.join(&file))
            .find(|path| path.is_file())
    }

    /// The bytes of a small target that the metadata names: length and digest are checked.
    pub(crate) fn read_target(
        &self,
        role: &RoleName,
        path: &TargetPath,
        file: &TargetFile,
        limit: u64,
    ) -> Result<Vec<u8>> {
        let found = self
            .target(path, &file.hashes)
            .ok_or_else(|| Error::Missing {
                path: path.as_str().into(),
                needed_by: format!("{role} metadata"),
            })?;
        let bytes = durable::read_bounded(&found, limit)?;
        crate::assemble::check_bytes(file, &bytes).map_err(|source| Error::Content {
            path: found,
            role: role.clone(),
            source,
        })?;
        Ok(bytes)
    }

    /// The revocation lists that are in force after the staged event.
    pub(crate) fn crls(&self, state: &State) -> Result<Vec<Crl>> {
        let role = RoleName::delegated(PKI_ROLE)?;
        let mut crls = Vec::new();
        for (path, file) in state.delegated(&role)?.iter().flat_map(|pki| &pki.targets) {
            crls.push(self.list(&role, path, file)?);
        }
        Ok(crls)
    }

    /// One revocation list, by its target path.
    pub(crate) fn list(&self, role: &RoleName, path: &str, file: &TargetFile) -> Result<Crl> {
        let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
        let bytes = self.read_target(role, &TargetPath::new(path)?, file, limit)?;
        Ok(Crl::from_der(path, &bytes)?)
    }

    /// Counts signers as the devices of this repository do.
    pub(crate) fn gate(&self, state: &State) -> Result<Arc<device_pki::binding::Gate>> {
        Ok(trust::gate(
            &self.anchor,
            self.crls(state)?,
            &self.settings.device_minimum,
        ))
    }
}

/// Reads a root CA certificate in PEM.
pub(crate) fn read_anchor(path: &Path) -> Result<TrustAnchor> {
    Ok(TrustAnchor::from_pem(&durable::read_bounded(
        path,
        ANCHOR_LIMIT,
    )?)?)
}

/// What is published, and what is staged upon it.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) published: Published,
    pub(crate) staged: Staged,
}

impl State {
    /// The root that will be in force: the staged one, or else the published one.
    pub(crate) fn root(&self) -> Option<&Root> {
        self.staged.root.as_ref().or(self.published.root.as_ref())
    }

    /// The targets that will be in force.
    pub(crate) fn targets(&self) -> Option<&Targets> {
        self.staged
            .targets
            .as_ref()
            .or(self.published.targets.as_ref())
    }

    /// The delegated role that will be in force; none if there is no such role.
    pub(crate) fn delegated(&self, role: &RoleName) -> Result<Option<&Targets>> {
        match self.staged.delegated.get(role) {
            Some(staged) => Ok(Some(staged)),
            None => self.published.delegated(role),
        }
    }

    /// The role that delegates to `role`, as it will be in force; none if nobody does.
    pub(crate) fn delegator(&self, role: &RoleName) -> Result<Option<&Targets>> {
        let delegates = |targets: &&Targets| {
            let delegations = targets.delegations.as_ref();
            delegations.is_some_and(|delegations| delegations.role(role).is_some())
        };
        if let Some(targets) = self.targets().filter(delegates) {
            return Ok(Some(targets));
        }
        let product = bins::product_of(role);
        // Bins say by their names whose they are. Whatever else there is, other tools have made: it nests as it likes.
        let others = self.staged.delegated.keys();
        let others = others.chain(self.published.delegated_roles());
        let nested = others.filter(|other| bins::product_of(other).is_none());
        for name in product.iter().chain(nested) {
            if let Some(targets) = self.delegated(name)?.filter(delegates) {
                return Ok(Some(targets));
            }
        }
        Ok(None)
    }

    /// The version that is published of a role.
    pub(crate) fn published_version(&self, role: &RoleName) -> Option<Version> {
        let published = &self.published;
        match role.as_str() {
            "root" => published.root.as_ref().map(|root| root.common.version),
            "targets" => published
                .targets
                .as_ref()
                .map(|targets| targets.common.version),
            "snapshot" => published
                .snapshot
                .as_ref()
                .map(|snapshot| snapshot.common.version),
            "timestamp" => published
                .timestamp
                .as_ref()
                .map(|timestamp| timestamp.common.version),
            _ => published.delegated_version(role),
        }
    }

    /// Version, issue and expiry of the next file of a role: computed, never typed.
    pub(crate) fn next(
        &self,
        role: &RoleName,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Common> {
        let version = match self.published_version(role) {
            None => Version::FIRST,
            Some(published) => {
                published
                    .next()
                    .ok_or_else(|| metadata_schema::MetadataError::LastVersion {
                        role: role.clone(),
                    })?
            }
        };
        Ok(Common::new(
            version,
            now,
            settings.expiry_days.expiry(role, now),
        ))
    }

    /// The root, which every repository has after `init`.
    pub(crate) fn needed_root(&self, repository: &Repository) -> Result<&Root> {
        self.root().ok_or_else(|| missing(repository, "root"))
    }

    /// The targets, which every repository has after `init`.
    pub(crate) fn needed_targets(&self, repository: &Repository) -> Result<&Targets> {
        self.targets().ok_or_else(|| missing(repository, "targets"))
    }
}

fn missing(repository: &Repository, role: &str) -> Error {
    Error::Missing {
        path: repository.layout.staged().join(format!("{role}.json")),
        needed_by: "this repository, which has nothing published yet,".to_owned(),
    }
}
