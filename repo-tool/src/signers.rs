//! Who signs a role, and how many must: people join, leave, and come with a new key or certificate; thresholds change.
//!
//! Root and targets are changed in a new root, which is published when a threshold of the old root's signers and one of the new
//! root's have signed; products in a new version of targets. What is published and would no longer be signed by enough of those
//! who remain is staged again in the same event, so that no device is cut off.

mod named;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use device_pki::{Gate, durable};
use metadata_schema::bins;
use metadata_schema::envelope::Envelope;
use metadata_schema::gate::{Certificates, When};
use metadata_schema::key::{KeyId, PublicKey};
use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{RoleKeys, Root, Targets};
use metadata_schema::threshold::{Authority, tally};
use metadata_schema::time::Timestamp;

use crate::assemble::metadata_name;
use crate::error::{Error, Result};
use crate::keyholder::{Keyholder, holder_name};
use crate::layout::PKI_ROLE;
use crate::repository::{Repository, State};
use crate::staged::stage;
use crate::trust;

pub use named::{ListedRole, ListedSigner};
pub(crate) use named::{drop_unused, keys_of};

/// A change of the people who sign.
#[derive(Clone, Debug, Default)]
pub struct SignerChange {
    /// Which roles are changed: root, targets, or a product's. If none is named: every role that those who leave or are replaced
    /// sign.
    pub roles: Vec<RoleName>,
    /// People who join.
    pub add: Vec<Keyholder>,
    /// People who leave: by name as in their certificate, key id, or the beginning of it (8 digits or more).
    pub remove: Vec<String>,
    /// People, named likewise, and who takes their place: often they themselves with a new key or a new certificate.
    pub replace: Vec<(String, Keyholder)>,
    /// A new threshold.
    pub threshold: Option<NonZeroU32>,
}

/// Root and targets, as they are being changed.
struct Draft<'a> {
    root: Root,
    targets: Targets,
    /// What is published: who is named may have left it in this event already.
    published: Option<(&'a Root, &'a Targets)>,
}

impl Repository {
    /// Stages the roles that change if other people sign.
    ///
    /// # Errors
    /// If somebody is not there who is to leave, or the result would lock the keepers out: all reasons at once.
    pub fn change_signers(&self, change: &SignerChange, now: Timestamp) -> Result<()> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let mut draft = Draft {
            root: state.needed_root(self)?.clone(),
            targets: state.needed_targets(self)?.clone(),
            published: state
                .published
                .root
                .as_ref()
                .zip(state.published.targets.as_ref()),
        };
        let roles = roles_of(change, &draft)?;
        for role in &roles {
            draft.change(role, change)?;
        }
        drop_unused(&mut draft.root, &mut draft.targets);
        let gate = self.gate(&state)?;
        let mut problems = Vec::new();
        for role in &roles {
            problems.extend(draft.problems(role, change, &gate, now)?);
        }
        Error::all(problems)?;
        self.stage_draft(&state, draft, &gate, now)
    }

    /// Stages what differs from what is in force, and whatever no longer holds under it.
    fn stage_draft(
        &self,
        state: &State,
        draft: Draft<'_>,
        gate: &Gate,
        now: Timestamp,
    ) -> Result<()> {
        let (root_role, targets_role) = (RoleName::root(), RoleName::targets());
        let Draft {
            mut root,
            mut targets,
            ..
        } = draft;
        if root != *state.needed_root(self)? {
            root.common = state.next(&root_role, &self.settings, now)?;
            stage(&self.layout, &root_role, &root)?;
        }
        if targets != *state.needed_targets(self)? {
            targets.common = state.next(&targets_role, &self.settings, now)?;
            stage(&self.layout, &targets_role, &targets)?;
        }
        let mut state = self.state()?;
        for role in signed_roles(&targets) {
            if self.bins_follow(&state, &targets, &role, now)? {
                state = self.state()?;
            }
            let bins = bins_of(&state, &role)?;
            for role in std::iter::once(role).chain(bins) {
                let is_new = state.published_version(&role).is_none();
                if !is_new && !self.holds(&state, &role, gate, now)? {
                    self.stage_again(&state, &role, now)?;
                }
            }
        }
        Ok(())
    }

    /// The bins of a product are signed by those who sign the product: its own delegations follow. Says whether they changed.
    fn bins_follow(
        &self,
        state: &State,
        targets: &Targets,
        product: &RoleName,
        now: Timestamp,
    ) -> Result<bool> {
        if bins_of(state, product)?.is_empty() {
            return Ok(false);
        }
        let above = targets.delegations.as_ref();
        let signed = above.and_then(|above| Some((&above.keys, &above.role(product)?.keys)));
        let (Some((keys, by)), Some(old)) = (signed, state.delegated(product)?) else {
            return Ok(false);
        };
        let mut new = old.clone();
        if let Some(delegations) = &mut new.delegations {
            let is_bin = |role: &RoleName| bins::product_of(role).as_ref() == Some(product);
            for bin in delegations
                .roles
                .iter_mut()
                .filter(|role| is_bin(&role.name))
            {
                bin.keys = by.clone();
            }
            for (id, key) in keys.iter().filter(|(id, _)| by.key_ids.contains(id)) {
                delegations.keys.insert(id.clone(), key.clone());
            }
        }
        for id in &by.key_ids {
            let chain = targets.certificates.chain(id).to_vec();
            new.certificates.insert(id.clone(), chain);
        }
        named::drop_unused_of(&mut new);
        if new == *old {
            return Ok(false);
        }
        new.common = state.next(product, &self.settings, now)?;
        stage(&self.layout, product, &new)
    }

    /// Whether enough of those who will be authorised have signed what is published of a role.
    pub(crate) fn holds(
        &self,
        state: &State,
        role: &RoleName,
        gate: &Gate,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(version) = state.published_version(role) else {
            return Ok(false);
        };
        let path = self.layout.metadata().join(metadata_name(role, version));
        let bytes = durable::read_bounded(&path, Limits::default().targets_length)?;
        let envelope = Envelope::read(role, &bytes).map_err(Error::in_file(&path))?;
        let root = state.needed_root(self)?;
        let delegator = state.delegator(role)?;
        let targets = delegator.map_or_else(|| state.needed_targets(self), Ok)?;
        let held = authority(root, targets, role)
            .is_some_and(|by| tally(role, &envelope, &by, gate, When::At(now)).reached());
        Ok(held)
    }
}

/// Targets and the products' roles.
pub(crate) fn signed_roles(targets: &Targets) -> Vec<RoleName> {
    let delegated = targets.delegations.iter().flat_map(|d| &d.roles);
    let names = delegated.map(|role| role.name.clone());
    std::iter::once(RoleName::targets())
        .chain(names.filter(|name| name.as_str() != PKI_ROLE))
        .collect()
}

/// The bins that a product delegates to.
fn bins_of(state: &State, product: &RoleName) -> Result<Vec<RoleName>> {
    let delegations = state
        .delegated(product)?
        .and_then(|role| role.delegations.as_ref());
    let roles = delegations
        .into_iter()
        .flat_map(|delegations| &delegations.roles);
    Ok(roles
        .map(|role| role.name.clone())
        .filter(|role| bins::product_of(role).as_ref() == Some(product))
        .collect())
}

/// Who may sign a role that people sign.
pub(crate) fn authority<'a>(
    root: &'a Root,
    targets: &'a Targets,
    role: &RoleName,
) -> Option<Authority<'a>> {
    let by_root = |keys: &'a RoleKeys| Authority {
        keys: &root.keys,
        role: keys,
        certificates: &root.certificates,
    };
    match role.as_str() {
        "root" => Some(by_root(&root.root)),
        "targets" => Some(by_root(&root.targets)),
        _ => {
            let delegations = targets.delegations.as_ref()?;
            Some(Authority {
                keys: &delegations.keys,
                role: &delegations.role(role)?.keys,
                certificates: &targets.certificates,
            })
        }
    }
}

/// The roles that a change is about.
fn roles_of(change: &SignerChange, draft: &Draft<'_>) -> Result<Vec<RoleName>> {
    let mut all = vec![RoleName::root()];
    all.extend(signed_roles(&draft.targets));
    for role in &change.roles {
        if !all.contains(role) {
            return Err(Error::NoSuchProduct {
                product: role.to_string(),
            });
        }
    }
    let leaving = || {
        change
            .remove
            .iter()
            .chain(change.replace.iter().map(|(name, _)| name))
    };
    if !change.roles.is_empty() {
        return Ok(all
            .into_iter()
            .filter(|role| change.roles.contains(role))
            .collect());
    }
    if !change.add.is_empty() || leaving().next().is_none() {
        return Err(Error::argument(
            "role",
            "",
            "a role whose signers change: root, targets or a product",
        ));
    }
    for name in leaving() {
        if !all.iter().any(|role| draft.knows(role, name)) {
            return Err(Error::argument(
                "signer",
                name,
                "the name or key id of somebody who signs here (`repo-tool signers list`)",
            ));
        }
    }
    all.retain(|role| leaving().any(|name| draft.knows(role, name)));
    Ok(all)
}

impl Draft<'_> {
    /// Whether somebody of this name signs a role, or did until this event.
    fn knows(&self, role: &RoleName, name: &str) -> bool {
        let published = self.published.iter().copied();
        published
            .chain([(&self.root, &self.targets)])
            .filter_map(|(root, targets)| authority(root, targets, role))
            .any(|by| !keys_of(&by, name).is_empty())
    }

    /// Changes the signers of one role.
    fn change(&mut self, role: &RoleName, change: &SignerChange) -> Result<()> {
        let by = authority(&self.root, &self.targets, role).ok_or_else(|| missing(role))?;
        let mut keys = by.role.clone();
        let mut joining: Vec<&Keyholder> = change.add.iter().collect();
        // Without roles that are named, some of the people may sign other roles only. Who has left in this event has done so.
        let absent = |name: &str| {
            if self.knows(role, name) || change.roles.is_empty() {
                return Ok(());
            }
            Err(Error::NotThere {
                name: name.to_owned(),
                role: role.clone(),
                people: named::people(&by),
            })
        };
        for name in &change.remove {
            absent(name)?;
            let leaving = keys_of(&by, name);
            keys.key_ids.retain(|id| !leaving.contains(id));
        }
        for (name, successor) in &change.replace {
            absent(name)?;
            let leaving = keys_of(&by, name);
            keys.key_ids.retain(|id| !leaving.contains(id));
            if self.knows(role, name) {
                joining.push(successor);
            }
        }
        keys.key_ids
            .extend(joining.iter().map(|person| person.key().id().clone()));
        keys.threshold = change.threshold.unwrap_or(keys.threshold);
        let (known, certificates, place) = self.parts(role).ok_or_else(|| missing(role))?;
        for person in joining {
            known.insert(person.key().id().clone(), person.key().clone());
            certificates.insert(person.key().id().clone(), person.pem_chain());
        }
        *place = keys;
        Ok(())
    }

    /// Where the keys, the certificates and the signers of a role stand.
    #[allow(clippy::type_complexity, reason = "three places of one document")]
    fn parts(
        &mut self,
        role: &RoleName,
    ) -> Option<(
        &mut BTreeMap<KeyId, PublicKey>,
        &mut Certificates,
        &mut RoleKeys,
    )> {
        let Self { root, targets, .. } = self;
        Some(match role.as_str() {
            "root" => (&mut root.keys, &mut root.certificates, &mut root.root),
            "targets" => (&mut root.keys, &mut root.certificates, &mut root.targets),
            _ => {
                let delegations = targets.delegations.as_mut()?;
                let place = delegations
                    .roles
                    .iter_mut()
                    .find(|found| found.name == *role)?;
                (
                    &mut delegations.keys,
                    &mut targets.certificates,
                    &mut place.keys,
                )
            }
        })
    }

    /// What would lock the keepers of a role out.
    fn problems(
        &self,
        role: &RoleName,
        change: &SignerChange,
        gate: &Gate,
        now: Timestamp,
    ) -> Result<Vec<Error>> {
        let by = authority(&self.root, &self.targets, role).ok_or_else(|| missing(role))?;
        let people: Vec<trust::Person<'_>> = by
            .role
            .key_ids
            .iter()
            .filter_map(|id| {
                let name = holder_name(by.certificates, id);
                Some((name, by.keys.get(id)?, by.certificates.chain(id)))
            })
            .collect();
        let threshold = by.role.threshold;
        let new = |key: &PublicKey| {
            let successors = change.replace.iter().map(|(_, successor)| successor);
            let mut joining = change.add.iter().chain(successors);
            joining.any(|person| person.key().id() == key.id())
        };
        let when = When::At(now);
        Ok(trust::problems_of(
            gate, role, &people, threshold, when, &new,
        ))
    }
}

fn missing(role: &RoleName) -> Error {
    Error::NoSuchProduct {
        product: role.to_string(),
    }
}
