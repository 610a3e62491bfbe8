//! The keys of snapshot, timestamp and `pki`, which sign without a person.
//!
//! By default each is a file of its own, `online/ROLE.key`. `[online]` in `repo.toml` names other places: a token, a variable of
//! the environment (for CI), another file. Where several are named, the one whose key the metadata lists signs: so a key can be
//! moved, old and new side by side until the change is published ([`crate::rotation`]).

use device_pki::{KeySource, SigningKey};
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Role as _, Root, Targets};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::repository::{Repository, State};
use crate::sign::is_online;

/// Where the online keys are, by role; nothing for the files in `online/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnlineKeys {
    /// Of snapshot.
    #[serde(with = "sources", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "sources::OneOrMore")]
    pub snapshot: Vec<KeySource>,
    /// Of timestamp.
    #[serde(with = "sources", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "sources::OneOrMore")]
    pub timestamp: Vec<KeySource>,
    /// Of the role that publishes revocation lists.
    #[serde(with = "sources", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "sources::OneOrMore")]
    pub pki: Vec<KeySource>,
}

impl OnlineKeys {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn named(&self, role: &RoleName) -> &[KeySource] {
        match role.as_str() {
            "snapshot" => &self.snapshot,
            "timestamp" => &self.timestamp,
            PKI_ROLE => &self.pki,
            _ => &[],
        }
    }
}

impl Repository {
    /// The online key of snapshot, timestamp or `pki` that the published metadata lists.
    ///
    /// # Errors
    /// If there is none, or it cannot be opened.
    pub fn online_key(&self, role: &RoleName) -> Result<Box<dyn SigningKey>> {
        self.online_signer(&self.state()?, role)
    }

    /// The online key that signs `role` for what is staged in `state` upon what is published.
    pub(crate) fn online_signer(
        &self,
        state: &State,
        role: &RoleName,
    ) -> Result<Box<dyn SigningKey>> {
        let listed = online_ids(state.root(), state.targets(), role);
        let mut tried = Vec::new();
        let mut failed = None;
        for source in self.online_sources(role) {
            match source.open_unattended() {
                Ok(key) if listed.contains(key.public_key().id()) => return Ok(key),
                Ok(key) => tried.push(format!("{source} (key {})", key.public_key().id().short())),
                // The one that is meant may be the next.
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        match (failed, tried.is_empty()) {
            (Some(error), _) => Err(error.into()),
            (None, _) => Err(Error::OnlineKey {
                role: role.clone(),
                listed: listed
                    .iter()
                    .map(KeyId::short)
                    .collect::<Vec<_>>()
                    .join(", "),
                tried: tried.join(", "),
            }),
        }
    }

    /// Where the key of a role may be, in the order of asking.
    pub(crate) fn online_sources(&self, role: &RoleName) -> Vec<KeySource> {
        let named = self.settings.online.named(role);
        if !named.is_empty() {
            let folder = self.layout.folder();
            return named
                .iter()
                .map(|source| source.clone().below(folder))
                .collect();
        }
        let files = [
            self.layout.online_key(role),
            self.layout.next_online_key(role),
        ];
        let there = |path: &std::path::PathBuf| path.is_file();
        let next = files.get(1).filter(|path| there(path));
        files
            .first()
            .into_iter()
            .chain(next)
            .map(|path| KeySource::File(path.clone()))
            .collect()
    }
}

impl State {
    /// Whether what is staged names another key for an online role.
    pub(crate) fn has_new_key(&self, role: &RoleName) -> bool {
        let published = &self.published;
        let now = online_ids(published.root.as_ref(), published.targets.as_ref(), role);
        is_online(role) && now != online_ids(self.root(), self.targets(), role)
    }
}

impl Repository {
    /// Gives a staged `pki` the number after the published one: `refresh` may have renewed it since. No person has signed it,
    /// and what it must keep of the published one is asked for afterwards.
    pub(crate) fn renumber_pki(&self, state: &mut State, now: Timestamp) -> Result<()> {
        let role = RoleName::delegated(PKI_ROLE)?;
        let next = state.next(&role, &self.settings, now)?;
        let staged = state.staged.delegated.get_mut(&role);
        let Some(pki) = staged.filter(|pki| pki.common.version < next.version) else {
            return Ok(());
        };
        pki.common = next;
        let signed = pki.to_json();
        if let Some(envelope) = state.staged.roles.get_mut(&role) {
            envelope.signed = signed;
        }
        Ok(())
    }
}

/// The keys that the metadata lists for an online role.
pub(crate) fn online_ids(
    root: Option<&Root>,
    targets: Option<&Targets>,
    role: &RoleName,
) -> Vec<KeyId> {
    let keys = match role.as_str() {
        "snapshot" => root.map(|root| &root.snapshot),
        "timestamp" => root.map(|root| &root.timestamp),
        _ => targets
            .and_then(|targets| targets.delegations.as_ref()?.role(role))
            .map(|delegated| &delegated.keys),
    };
    keys.map(|keys| keys.key_ids.iter().cloned().collect())
        .unwrap_or_default()
}

/// One source or several, as text.
mod sources {
    use super::{Deserialize, Deserializer, JsonSchema, KeySource, Serialize, Serializer};

    /// What `repo.toml` says: one key source, or several.
    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    pub(super) enum OneOrMore {
        One(String),
        More(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(
        sources: &[KeySource],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = sources.iter().map(ToString::to_string).collect();
        texts.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<KeySource>, D::Error> {
        let texts = match OneOrMore::deserialize(from)? {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        let parsed = texts.iter().map(|text| text.parse());
        parsed
            .collect::<device_pki::Result<_>>()
            .map_err(serde::de::Error::custom)
    }
}
