//! People by name, in the metadata that authorises them.

use schemars::JsonSchema;
use std::collections::BTreeSet;

use metadata_schema::gate::Certificates;
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Root, Targets};
use metadata_schema::threshold::Authority;
use metadata_schema::time::Timestamp;

use super::{authority, signed_roles};
use crate::error::Result;
use crate::keyholder::{certificate_of, holder_name};
use crate::repository::Repository;
use crate::schema::words::Time;

/// Fewest digits of a key id that name a key.
const SHORTEST_ID: usize = 8;

/// A role and the people who sign it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct ListedRole {
    /// The role.
    pub role: String,
    /// How many of them must sign.
    pub threshold: u32,
    /// Who they are.
    pub signers: Vec<ListedSigner>,
}

/// Somebody who signs a role.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct ListedSigner {
    /// Name, from the certificate.
    pub name: String,
    /// Id of the key.
    pub key: String,
    /// The family of its algorithm.
    pub algorithm: Option<&'static str>,
    /// Until when the certificate is valid.
    #[schemars(with = "Option<Time>")]
    pub certificate_until: Option<Timestamp>,
}

impl Repository {
    /// Who signs which role, as it will be when what is staged is published.
    ///
    /// # Errors
    /// If files of the folder cannot be read.
    pub fn signers(&self) -> Result<Vec<ListedRole>> {
        let state = self.state()?;
        let (root, targets) = (state.needed_root(self)?, state.needed_targets(self)?);
        let mut roles = vec![RoleName::root()];
        roles.extend(signed_roles(targets));
        let listed = roles.iter().filter_map(|role| {
            let by = authority(root, targets, role)?;
            let signers = by.role.key_ids.iter().map(|id| ListedSigner {
                name: holder_name(by.certificates, id),
                key: id.to_string(),
                algorithm: by.keys.get(id).and_then(|key| Some(key.family()?.name())),
                certificate_until: certificate_of(by.certificates, id).map(|c| c.not_after()),
            });
            let mut signers: Vec<ListedSigner> = signers.collect();
            signers.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
            Some(ListedRole {
                role: role.to_string(),
                threshold: by.role.threshold.get(),
                signers,
            })
        });
        Ok(listed.collect())
    }
}

/// The keys of a role that a name means: the holder's name, or the beginning of a key id.
pub(crate) fn keys_of(by: &Authority<'_>, name: &str) -> Vec<KeyId> {
    let is_meant = |id: &&KeyId| {
        (name.len() >= SHORTEST_ID && id.as_str().starts_with(name))
            || holder_name(by.certificates, id) == name
    };
    by.role.key_ids.iter().filter(is_meant).cloned().collect()
}

/// The names of those who sign a role, for a message.
pub(super) fn people(by: &Authority<'_>) -> String {
    let names: BTreeSet<String> = by
        .role
        .key_ids
        .iter()
        .map(|id| holder_name(by.certificates, id))
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Takes out keys and certificates that no role uses.
pub(crate) fn drop_unused(root: &mut Root, targets: &mut Targets) {
    let used: BTreeSet<KeyId> = [&root.root, &root.targets, &root.snapshot, &root.timestamp]
        .into_iter()
        .flat_map(|role| role.key_ids.iter().cloned())
        .collect();
    root.keys.retain(|id, _| used.contains(id));
    root.certificates = only(&root.certificates, &used);
    drop_unused_of(targets);
}

/// The same for a role that delegates.
pub(super) fn drop_unused_of(targets: &mut Targets) {
    let Some(delegations) = &mut targets.delegations else {
        return;
    };
    let used: BTreeSet<KeyId> = delegations
        .roles
        .iter()
        .flat_map(|role| role.keys.key_ids.iter().cloned())
        .collect();
    delegations.keys.retain(|id, _| used.contains(id));
    targets.certificates = only(&targets.certificates, &used);
}

fn only(certificates: &Certificates, used: &BTreeSet<KeyId>) -> Certificates {
    let mut kept = Certificates::default();
    for (id, chain) in certificates.iter().filter(|(id, _)| used.contains(id)) {
        kept.insert(id.clone(), chain.to_vec());
    }
    kept
}
