//! Where everything stands in the keepers' folder.
//!
//! ```text
//! repo.toml                      policy: see Settings
//! anchor.pem                     the root CA that the devices trust
//! online/ROLE.key                keys of snapshot, timestamp and pki (mode 0600)
//! online/ROLE.next.key           the same, of a key that is staged to take its place
//! images/DIGEST                  raw images, to make deltas from
//! staged/ROLE.json               what is to be signed: the value of `signed`
//! staged/signatures/ROLE.KEY.json    one signature, one file
//! staged/targets/...             manifests, payloads and CRLs that wait to be published
//! published/metadata/, published/targets/    what devices see
//! audit.jsonl                    who did what: see [`crate::audit`]
//! audit-joined/                  logs of other copies, joined to it
//! ```

use std::path::{Path, PathBuf};

use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;

use crate::settings::Settings;

/// The delegated role that publishes certificate revocation lists.
pub const PKI_ROLE: &str = "pki";

/// Paths of a keepers' folder.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    images: PathBuf,
    published: PathBuf,
    operator: Option<String>,
}

impl Layout {
    /// The layout of `folder`.
    pub fn new(folder: &Path, settings: &Settings) -> Self {
        Self {
            folder: folder.to_owned(),
            images: folder.join(&settings.images),
            published: folder.join(&settings.published),
            operator: None,
        }
    }

    /// The same, for somebody whose name the audit log is to have.
    #[must_use]
    pub fn by(mut self, operator: Option<String>) -> Self {
        self.operator = operator;
        self
    }

    /// Who works here, as the machine says it.
    pub fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings of the repository in `folder`.
    pub fn settings(folder: &Path) -> PathBuf {
        folder.join("repo.toml")
    }

    /// The certificate that the devices trust.
    pub fn anchor(&self) -> PathBuf {
        self.folder.join("anchor.pem")
    }

    /// Whoever holds a lock on this file may change the repository.
    pub fn lock(&self) -> PathBuf {
        self.folder.join(".lock")
    }

    /// The online key of a role.
    pub fn online_key(&self, role: &RoleName) -> PathBuf {
        self.folder
            .join("online")
            .join(format!("{}.key", role.file_stem()))
    }

    /// The key that takes the place of an online key once the metadata that lists it is published.
    pub fn next_online_key(&self, role: &RoleName) -> PathBuf {
        self.folder
            .join("online")
            .join(format!("{}.next.key", role.file_stem()))
    }

    /// The certificate of a CA that no signer's chain has and whose revocation lists are published, by the hex subject key
    /// identifier that it has.
    pub fn issuer(&self, ski: &str) -> PathBuf {
        self.folder.join("issuers").join(format!("{ski}.pem"))
    }

    /// A raw image, by the hex digest that it has.
    pub fn image(&self, digest: &str) -> PathBuf {
        self.images.join(digest)
    }

    /// The event in progress.
    pub fn staged(&self) -> PathBuf {
        self.folder.join("staged")
    }

    /// What is to be signed for a role.
    pub fn staged_role(&self, role: &RoleName) -> PathBuf {
        self.staged().join(format!("{}.json", role.file_stem()))
    }

    /// Signatures of the event in progress.
    pub fn signatures(&self) -> PathBuf {
        self.staged().join("signatures")
    }

    /// The signature of one key for one role.
    pub fn signature(&self, role: &RoleName, key: &KeyId) -> PathBuf {
        self.signatures()
            .join(format!("{}.{key}.json", role.file_stem()))
    }

    /// Files that wait to be published.
    pub fn staged_targets(&self) -> PathBuf {
        self.staged().join("targets")
    }

    /// What is served.
    pub fn published(&self) -> &Path {
        &self.published
    }

    /// Published metadata.
    pub fn metadata(&self) -> PathBuf {
        self.published.join("metadata")
    }

    /// Published targets.
    pub fn targets(&self) -> PathBuf {
        self.published.join("targets")
    }

    /// The audit log.
    pub fn audit(&self) -> PathBuf {
        self.folder.join("audit.jsonl")
    }

    /// Logs of other copies that were joined to it.
    pub fn audit_joined(&self) -> PathBuf {
        self.folder.join("audit-joined")
    }
}

/// Where the published files of a keepers' folder are; any other folder is taken for published files itself.
pub(crate) fn published_in(path: &Path) -> PathBuf {
    match Settings::read(&Layout::settings(path)) {
        Ok(settings) => path.join(settings.published),
        Err(_) => path.to_owned(),
    }
}
