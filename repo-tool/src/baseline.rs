//! What a signer compares an event with: the published state in their copy, verified from an anchor that they trust, as a
//! device would. A copy could have been made up whole; its own `anchor.pem` proves nothing to somebody who does not know it.

use std::collections::BTreeMap;

use device_pki::TrustAnchor;
use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;
use metadata_schema::roles::Role as _;
use metadata_schema::time::Timestamp;
use serde::Serialize;

use crate::assemble::metadata_name;
use crate::error::{Error, Result};
use crate::published::read_role;
use crate::repository::{Repository, State};
use crate::walk::{self, DeviceTrust, Folder, Scope};

/// The published state, verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Baseline {
    /// SHA-256 of the anchor's certificate.
    pub anchor: Sha256Digest,
    /// Subject of the anchor's certificate.
    pub anchor_subject: String,
    /// Whether that is the anchor that lies in the repository's own folder: nobody else vouches for it.
    pub own_anchor: bool,
    /// Digest of the first root; none if nothing is published yet.
    pub first_root: Option<Sha256Digest>,
    /// Versions of the published roles, and what tells their files from others of the same version.
    pub roles: BTreeMap<String, (u64, String)>,
    /// Why it could be verified only at an earlier time, and at which: the last timestamp's.
    pub earlier: Option<(Timestamp, String)>,
}

impl Repository {
    /// Verifies what is published here from `anchor`, or from the folder's own anchor if none is given. What has expired is
    /// verified at the time of the last timestamp: people have to be able to sign what ends that.
    ///
    /// # Errors
    /// [`Error::Baseline`] if it cannot be verified at that time either.
    pub fn baseline(&self, anchor: Option<&TrustAnchor>, now: Timestamp) -> Result<Baseline> {
        let state = self.state()?;
        let given = anchor.unwrap_or(&self.anchor);
        let mut baseline = Baseline {
            anchor: Sha256Digest::of(given.certificate().der()),
            anchor_subject: given.certificate().subject().to_owned(),
            own_anchor: anchor.is_none(),
            first_root: None,
            roles: BTreeMap::new(),
            earlier: None,
        };
        let own = self.anchor.certificate().der();
        if given.certificate().der() != own {
            return Err(Error::Remembered {
                what: format!(
                    "its anchor has sha256 {}, yours has {}",
                    Sha256Digest::of(own),
                    baseline.anchor
                ),
            });
        }
        // A repository that other tools began has roots that are older than any that its devices know.
        let first_root = self.settings.first_root();
        let begun = state.published.root.as_ref();
        let begun = begun.is_some_and(|root| root.common.version >= first_root);
        let Some(timestamp) = state.published.timestamp.as_ref().filter(|_| begun) else {
            return Ok(baseline);
        };
        let source = Folder::new(self.layout.published());
        let trust = DeviceTrust {
            anchor: given,
            minimums: &self.settings.device_minimum,
            crls: &[],
            first_root,
        };
        let staged = state.staged.delegated.keys();
        let published = |role: &&RoleName| state.published_version(role).is_some();
        let scope = Scope::These(staged.filter(published).cloned().collect());
        if let Err(error) = walk::as_device(&source, &trust, now, &scope) {
            let issued = timestamp.common.issued.filter(|issued| *issued < now);
            let refused = |error: Error| Error::Baseline {
                source: Box::new(error),
            };
            let Some(issued) = issued else {
                return Err(refused(error));
            };
            walk::as_device(&source, &trust, issued, &scope).map_err(refused)?;
            baseline.earlier = Some((issued, error.to_string()));
        }
        let name = metadata_name(&RoleName::root(), first_root);
        let limit = Limits::default().root_length;
        let path = self.layout.metadata().join(name);
        let first: metadata_schema::roles::Root = read_role(&RoleName::root(), &path, limit)?;
        baseline.first_root = Some(Sha256Digest::of(&first.to_json().canonical()));
        baseline.roles = listed(&state);
        Ok(baseline)
    }
}

/// Root, and what the snapshot lists.
fn listed(state: &State) -> BTreeMap<String, (u64, String)> {
    let mut roles = BTreeMap::new();
    if let Some(root) = &state.published.root {
        let digest = Sha256Digest::of(&root.to_json().canonical());
        roles.insert(
            "root".to_owned(),
            (root.common.version.number(), digest.to_string()),
        );
    }
    for (name, file) in state
        .published
        .snapshot
        .iter()
        .flat_map(|snapshot| &snapshot.meta)
    {
        let digest = file
            .hashes
            .as_ref()
            .map(Hashes::file_prefix)
            .unwrap_or_default();
        let name = name.strip_suffix(".json").unwrap_or(name);
        roles.insert(name.to_owned(), (file.version.number(), digest));
    }
    roles
}
