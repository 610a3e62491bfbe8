//! New keys for the roles that machines sign, and new versions of what is about to expire.

use schemars::JsonSchema;
use std::num::NonZeroU32;

use device_pki::{Entropy, KeyAlgorithm, KeyPair, KeySource, Protection, SigningKey, durable};
use metadata_schema::bins::Bins;
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::online::online_ids;
use crate::repository::{Repository, State};
use crate::shelf::bins_of;
use crate::signers::drop_unused;
use crate::staged::stage;

/// An online role whose key changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct OnlineRotation {
    /// The role.
    pub role: String,
    /// Where the new key is.
    pub source: String,
    /// Its id.
    pub key: String,
}

/// The roles that machines sign.
///
/// # Errors
/// Never.
pub fn online_roles() -> Result<[RoleName; 3]> {
    Ok([
        RoleName::snapshot(),
        RoleName::timestamp(),
        RoleName::delegated(PKI_ROLE)?,
    ])
}

impl Repository {
    /// Stages new keys for roles that machines sign: root names those of snapshot and timestamp, targets that of `pki`. The new
    /// key is made in `online/`, or is the first that `[online]` in `repo.toml` names. The old one signs until the change is
    /// published. To do it once more before that changes nothing.
    ///
    /// # Errors
    /// If the key that `[online]` names first is the one that signs already, or it cannot be opened.
    pub fn rotate_online(
        &self,
        roles: &[RoleName],
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<OnlineRotation>> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let mut root = state.needed_root(self)?.clone();
        let mut targets = state.needed_targets(self)?.clone();
        let mut rotated = Vec::new();
        for role in roles {
            let (source, key) = self.new_online(&state, role, entropy)?;
            let only = RoleKeys::new([key.id().clone()], NonZeroU32::MIN);
            rotated.push(OnlineRotation {
                role: role.to_string(),
                source: source.to_string(),
                key: key.id().to_string(),
            });
            let place = match role.as_str() {
                "snapshot" => &mut root.snapshot,
                "timestamp" => &mut root.timestamp,
                _ => {
                    let delegations = targets.delegations.get_or_insert_default();
                    delegations.keys.insert(key.id().clone(), key.clone());
                    let found = delegations
                        .roles
                        .iter_mut()
                        .find(|found| found.name == *role);
                    let found = found.ok_or_else(|| no_online_role(role))?;
                    found.keys = only;
                    continue;
                }
            };
            *place = only;
            root.keys.insert(key.id().clone(), key);
        }
        drop_unused(&mut root, &mut targets);
        if root != *state.needed_root(self)? {
            root.common = state.next(&RoleName::root(), &self.settings, now)?;
            stage(&self.layout, &RoleName::root(), &root)?;
        }
        if targets != *state.needed_targets(self)? {
            targets.common = state.next(&RoleName::targets(), &self.settings, now)?;
            stage(&self.layout, &RoleName::targets(), &targets)?;
            self.stage_again(&state, &RoleName::delegated(PKI_ROLE)?, now)?;
        }
        Ok(rotated)
    }

    /// The key that a role is to be signed with from now on.
    fn new_online(
        &self,
        state: &State,
        role: &RoleName,
        entropy: &mut dyn Entropy,
    ) -> Result<(KeySource, PublicKey)> {
        if !online_roles()?.contains(role) {
            return Err(no_online_role(role));
        }
        let folder = self.layout.folder();
        let source = match self.settings.online.named(role).first() {
            Some(source) => source.clone().below(folder),
            None => {
                let path = self.layout.next_online_key(role);
                if !path.is_file() {
                    let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy)?;
                    key.save(&path, Protection::FileMode, entropy)?;
                }
                KeySource::File(path)
            }
        };
        let key = source.open_unattended()?.public_key().clone();
        // Staged already is not signing already.
        let published = &state.published;
        let signing = online_ids(published.root.as_ref(), published.targets.as_ref(), role);
        if signing.contains(key.id()) {
            return Err(Error::argument(
                "online key",
                &source.to_string(),
                "a new key, named first in [online] of repo.toml: this one signs already",
            ));
        }
        Ok((source, key))
    }

    /// Once new keys are in force, they take the old ones' place in `online/`.
    pub(crate) fn settle_online(&self, state: &State) -> Result<()> {
        for role in online_roles()? {
            let next = self.layout.next_online_key(&role);
            if !self.settings.online.named(&role).is_empty() || !next.is_file() {
                continue;
            }
            let key = KeyPair::load(&next, None)?.into_tuf_signer()?;
            if online_ids(state.root(), state.targets(), &role).contains(key.public_key().id()) {
                let place = self.layout.online_key(&role);
                std::fs::rename(&next, &place)
                    .map_err(|e| Error::io("move into place", &place, e))?;
                if let Some(folder) = place.parent() {
                    durable::sync_folder(folder)?;
                }
            }
        }
        Ok(())
    }

    /// Stages the next version of roles that people sign, with the same content and a later expiry; of a product, its bins
    /// as well.
    ///
    /// # Errors
    /// If there is no such role.
    pub fn renew(&self, roles: &[RoleName], now: Timestamp) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.state()?;
        for role in roles {
            self.stage_again(&state, role, now)?;
            let bins = bins_of(&state, role)?;
            for number in 0..bins.map_or(0, Bins::count) {
                if let Some(bins) = bins {
                    self.stage_again(&state, &bins.role(role, number)?, now)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn stage_again(&self, state: &State, role: &RoleName, now: Timestamp) -> Result<()> {
        let common = state.next(role, &self.settings, now)?;
        if role.as_str() == "root" {
            let root = Root {
                common,
                ..state.needed_root(self)?.clone()
            };
            stage(&self.layout, role, &root)?;
            return Ok(());
        }
        let content = match role.as_str() {
            "targets" => Some(state.needed_targets(self)?),
            _ => state.delegated(role)?,
        };
        let content = content.ok_or_else(|| Error::NoSuchProduct {
            product: role.to_string(),
        })?;
        stage(
            &self.layout,
            role,
            &Targets {
                common,
                ..content.clone()
            },
        )?;
        Ok(())
    }
}

fn no_online_role(role: &RoleName) -> Error {
    let expected = "snapshot, timestamp or pki: the roles that machines sign";
    Error::argument("role", role.as_str(), expected)
}
