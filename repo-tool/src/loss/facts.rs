//! What a plan is computed from: everything that is published, read once.

use std::sync::Arc;

use device_pki::{Gate, TrustAnchor, durable};
use metadata_schema::envelope::Envelope;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Root, Targets};
use metadata_schema::threshold::Authority;
use metadata_schema::time::Timestamp;

use crate::assemble::metadata_name;
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::published::parse;
use crate::repository::Repository;
use crate::signers::{authority, signed_roles};
use crate::staged::Staged;
use crate::trust;

/// What is published, and how devices count.
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    /// Every root, the first one first, with its signatures.
    pub(crate) roots: Vec<(Root, Envelope)>,
    pub(crate) targets: Targets,
    /// When each role expires.
    pub(crate) expires: Vec<(RoleName, Timestamp)>,
    pub(crate) anchor: TrustAnchor,
    /// Under the published revocation lists.
    pub(crate) gate: Arc<Gate>,
    /// Without any, as devices walk over roots.
    pub(crate) walk: Arc<Gate>,
    /// The folder, as commands name it.
    pub(crate) folder: String,
    /// The devices' least thresholds, as commands take them.
    pub(crate) minimum: String,
    /// CAs that certified signers, by their names.
    pub(crate) issuers: Vec<String>,
}

impl Facts {
    /// The root in force.
    pub(crate) fn root(&self) -> Option<&Root> {
        self.roots.last().map(|(root, _)| root)
    }

    /// Root, targets and the products.
    pub(crate) fn people_roles(&self) -> Vec<RoleName> {
        let mut roles = vec![RoleName::root()];
        roles.extend(signed_roles(&self.targets));
        roles
    }

    /// Who may sign a role that people sign.
    pub(crate) fn authority(&self, role: &RoleName) -> Option<Authority<'_>> {
        authority(self.root()?, &self.targets, role)
    }

    /// Where a repository that begins anew would be made.
    pub(crate) fn folder_of_new(&self) -> String {
        format!("{}-2", self.folder)
    }

    pub(crate) fn expiry(&self, role: &str) -> Option<Timestamp> {
        let found = self.expires.iter().find(|(name, _)| name.as_str() == role);
        found.map(|(_, expires)| *expires)
    }
}

impl Repository {
    pub(super) fn loss_facts(&self, now: Timestamp) -> Result<Facts> {
        let mut state = self.state()?;
        state.staged = Staged::default();
        let roots = self.every_root()?;
        let targets = state.needed_targets(self)?.clone();
        let gate = self.gate(&state)?;
        let walk = trust::gate(&self.anchor, Vec::new(), &self.settings.device_minimum);
        let published = &state.published;
        let mut expires = Vec::new();
        let root = published.root.as_ref().map(|role| &role.common);
        let top = published.targets.as_ref().map(|role| &role.common);
        let snapshot = published.snapshot.as_ref().map(|role| &role.common);
        let timestamp = published.timestamp.as_ref().map(|role| &role.common);
        for (role, common) in [
            (RoleName::root(), root),
            (RoleName::targets(), top),
            (RoleName::snapshot(), snapshot),
            (RoleName::timestamp(), timestamp),
        ] {
            expires.extend(common.map(|common| (role, common.expires)));
        }
        let pki = RoleName::delegated(PKI_ROLE)?;
        let delegated = signed_roles(&targets).into_iter().chain([pki]);
        for role in delegated.filter(|role| !super::is_top(role)) {
            if let Some(content) = state.delegated(&role)? {
                expires.push((role, content.common.expires));
            }
        }
        let root = roots.last().map(|(root, _)| &root.certificates);
        let certificates = root.into_iter().chain([&targets.certificates]);
        let mut issuers: Vec<String> = certificates
            .flat_map(|certificates| gate.issuers(certificates))
            .map(|(_, issuer)| issuer.common_name().to_owned())
            .collect();
        issuers.sort();
        issuers.dedup();
        let minimum = &self.settings.device_minimum;
        Ok(Facts {
            now,
            roots,
            targets,
            expires,
            anchor: self.anchor.clone(),
            gate,
            walk,
            folder: self.layout.folder().display().to_string(),
            minimum: format!("{},{},{}", minimum.root, minimum.targets, minimum.delegated),
            issuers,
        })
    }

    /// The unbroken row of published roots.
    fn every_root(&self) -> Result<Vec<(Root, Envelope)>> {
        let role = RoleName::root();
        let limit = Limits::default().root_length;
        let mut roots = Vec::new();
        let mut next = Some(Version::FIRST);
        while let Some(version) = next {
            let path = self.layout.metadata().join(metadata_name(&role, version));
            if !path.is_file() {
                break;
            }
            let bytes = durable::read_bounded(&path, limit)?;
            let envelope = Envelope::read(&role, &bytes).map_err(Error::in_file(&path))?;
            let root = parse(&role, &path, envelope.signed.clone())?;
            roots.push((root, envelope));
            next = version.next();
        }
        if roots.is_empty() {
            return Err(Error::NotPublished {
                path: self.layout.published().to_owned(),
            });
        }
        Ok(roots)
    }
}
