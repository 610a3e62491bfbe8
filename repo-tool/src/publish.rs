//! Publishing: what is staged, if enough people signed it.
//!
//! 1. Put the signatures to the staged roles; sign `pki`, snapshot and timestamp with the online keys.
//! 2. Walk over the result as a device would, revocation lists and payload digests included.
//! 3. Write payloads, metadata, snapshot, root and, last of all, timestamp: a device sees the old state or the new one.
//! 4. Empty `staged/`.
//!
//! Whatever it is interrupted by, running it again goes on.

mod targets;

use schemars::JsonSchema;
use std::collections::BTreeMap;

use device_pki::durable;
use metadata_schema::digest::{Length, Sha256Digest};
use metadata_schema::envelope::Envelope;
use metadata_schema::json::Object;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{Role as _, Snapshot, Targets, Timestamp as TimestampRole};
use metadata_schema::time::Timestamp;

use crate::assemble::{meta_file, metadata_name, sign_role, target_file_path};
use crate::audit::{self, Action, RoleLine};
use crate::authority::{ballots, staged_version};
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::repository::{Repository, State};
use crate::sign::is_online;
use crate::staged;
use crate::walk::{self, DeviceTrust, Folder, Overlay, Scope, Source as _};

/// What was published.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Publication {
    /// Roles and their new versions, in the order of writing; empty if everything was published already.
    pub roles: Vec<(String, u64)>,
    /// Target files that were added.
    pub files: Vec<String>,
}

/// Metadata files that are ready to be written.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    order: Vec<(RoleName, Version)>,
}

impl Batch {
    pub(crate) fn add(&mut self, role: &RoleName, version: Version, envelope: &Envelope) {
        self.files
            .insert(metadata_name(role, version), envelope.to_bytes());
        self.order.push((role.clone(), version));
    }

    fn bytes(&self, role: &RoleName, version: Version) -> &[u8] {
        self.files
            .get(&metadata_name(role, version))
            .map_or(&[], Vec::as_slice)
    }
}

impl Repository {
    /// Publishes what is staged, if a device would accept it. If nothing is staged and something is published, nothing
    /// happens.
    ///
    /// # Errors
    /// As a device would refuse it: [`Error::Metadata`] for too few signatures; [`Error::NothingStaged`].
    pub fn publish(&self, now: Timestamp) -> Result<Publication> {
        self.publish_checked(now, true)
    }

    /// Publishes what is staged without asking whether a device would accept it: for test repositories that show what
    /// devices refuse. There is no command for this.
    ///
    /// # Errors
    /// If files cannot be read or written.
    pub fn publish_unchecked(&self, now: Timestamp) -> Result<Publication> {
        self.publish_checked(now, false)
    }

    fn publish_checked(&self, now: Timestamp, checked: bool) -> Result<Publication> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        forget_published(&mut state)?;
        self.renumber_pki(&mut state, now)?;
        if state.staged.is_empty() {
            if state.published.timestamp.is_none() {
                return Err(Error::NothingStaged {
                    path: self.layout.folder().to_owned(),
                });
            }
            staged::clear(&self.layout)?;
            self.settle_online(&state)?;
            return Ok(Publication::default());
        }
        if checked {
            in_order(&state)?;
            self.check_lists(&state, now)?;
        }
        let mut batch = Batch::default();
        for (role, envelope) in &state.staged.roles {
            let version = Version::new(staged_version(&state, role)).unwrap_or(Version::FIRST);
            batch.add(
                role,
                version,
                &self.with_signatures(&state, role, envelope)?,
            );
        }
        let pki = RoleName::delegated(PKI_ROLE)?;
        if checked && !state.staged.roles.contains_key(&pki) {
            self.renew_pki(&state, &mut batch, now, false)?;
        }
        self.add_online_roles(&state, &mut batch, now, true)?;
        if checked {
            self.check(&state, &batch, now)?;
        }
        let files = self.move_targets(&state, checked)?;
        let roles = self.write(&batch)?;
        self.record_publication(Some(&state), &roles, &batch, now)?;
        staged::clear(&self.layout)?;
        self.settle_online(&state)?;
        Ok(Publication { roles, files })
    }

    /// Writes a publication down: what people signed with their names, and what the online keys signed.
    pub(crate) fn record_publication(
        &self,
        event: Option<&State>,
        roles: &[(String, u64)],
        batch: &Batch,
        now: Timestamp,
    ) -> Result<()> {
        let mut lines = event.map_or_else(Vec::new, Self::event_lines);
        for (role, version) in &batch.order {
            if lines.iter().any(|line| line.role == role.as_str()) {
                continue;
            }
            let mut line = RoleLine::new(role, version.number());
            let envelope = Envelope::read(role, batch.bytes(role, *version))?;
            line.sha256 = Some(Sha256Digest::of(&envelope.payload()));
            lines.push(line);
        }
        lines.retain(|line| roles.iter().any(|(role, _)| *role == line.role));
        let action = if event.is_some() {
            Action::Publish
        } else {
            Action::Refresh
        };
        let id = event.and_then(State::event_id);
        self.record(now, audit::deed(action, id, lines))
    }

    /// The file of a staged role: signatures of keys that may sign it and did. A wrong one beside good ones would make
    /// some clients refuse the file.
    fn with_signatures(
        &self,
        state: &State,
        role: &RoleName,
        envelope: &Envelope,
    ) -> Result<Envelope> {
        if is_online(role) {
            let key = self.online_signer(state, role)?;
            return sign_role(envelope.signed.clone(), &[&*key]);
        }
        let payload = envelope.payload();
        let ballots = ballots(state, role)?;
        let mut complete = envelope.clone();
        complete.signatures.retain(|signature| {
            ballots.iter().any(|ballot| {
                let authority = ballot.authority;
                authority.role.key_ids.contains(&signature.key)
                    && authority
                        .keys
                        .get(&signature.key)
                        .is_some_and(|key| key.verify(&payload, &signature.bytes).is_ok())
            })
        });
        Ok(complete)
    }

    /// Snapshot (unless it can stay) and timestamp, for the roles in `batch` upon what is published.
    pub(crate) fn add_online_roles(
        &self,
        state: &State,
        batch: &mut Batch,
        now: Timestamp,
        new_snapshot: bool,
    ) -> Result<()> {
        let published = &state.published;
        let (name, mut listed) = (RoleName::snapshot(), None);
        if !new_snapshot && let Some(timestamp) = &published.timestamp {
            listed = Some(timestamp.snapshot.clone());
        }
        let listed = match listed {
            Some(listed) => listed,
            None => {
                let mut meta = published
                    .snapshot
                    .as_ref()
                    .map(|s| s.meta.clone())
                    .unwrap_or_default();
                for (role, version) in &batch.order {
                    if role.as_str() != "root" {
                        let file = meta_file(*version, batch.bytes(role, *version));
                        meta.insert(format!("{role}.json"), file);
                    }
                }
                let mut common = state.next(&name, &self.settings, now)?;
                common.version = self.unused_version(&name, common.version);
                let version = common.version;
                let snapshot = Snapshot {
                    common,
                    meta,
                    extra: Object::new(),
                };
                let key = self.online_signer(state, &name)?;
                batch.add(&name, version, &sign_role(snapshot.to_json(), &[&*key])?);
                meta_file(version, batch.bytes(&name, version))
            }
        };
        let name = RoleName::timestamp();
        let common = state.next(&name, &self.settings, now)?;
        let version = common.version;
        let timestamp = TimestampRole {
            common,
            snapshot: listed,
            extra: Object::new(),
        };
        let key = self.online_signer(state, &name)?;
        batch.add(&name, version, &sign_role(timestamp.to_json(), &[&*key])?);
        Ok(())
    }

    /// An interrupted run may have left a snapshot that no timestamp names. Caches may have it: its number is spent.
    fn unused_version(&self, role: &RoleName, mut version: Version) -> Version {
        while self
            .layout
            .metadata()
            .join(metadata_name(role, version))
            .exists()
        {
            match version.next() {
                Some(next) => version = next,
                None => break,
            }
        }
        version
    }

    /// Walks over the repository as it will be, as a device would.
    pub(crate) fn check(&self, state: &State, batch: &Batch, now: Timestamp) -> Result<()> {
        let source = Overlay {
            files: &batch.files,
            staged_targets: self.layout.staged_targets(),
            below: Folder::new(self.layout.published()),
        };
        let trust = DeviceTrust {
            anchor: &self.anchor,
            minimums: &self.settings.device_minimum,
            crls: &[],
            first_root: self.settings.first_root(),
        };
        let root = (RoleName::root(), trust.first_root);
        if trust.first_root != Version::FIRST && batch.order.contains(&root) {
            // Devices begin at this root; other clients come to it from those that another tool made.
            walk::plain(&source, now)?;
        }
        let scope = scope(state, batch)?;
        let mut at = walk::as_device(&source, &trust, now, &scope)?.at;
        for (role, _) in &batch.order {
            let Some(targets) = state.staged.delegated.get(role) else {
                continue;
            };
            let before = state.published.delegated(role)?;
            for (path, file) in &targets.targets {
                let path = TargetPath::new(path)?;
                let file_path = target_file_path(&path, &file.hashes);
                let opened = source.open(&file_path, file.length)?;
                let mut opened = opened.ok_or_else(|| Error::Missing {
                    path: self.layout.staged_targets().join(&file_path),
                    needed_by: format!("{role} metadata"),
                })?;
                let unchanged = before.is_some_and(|b| b.targets.get(path.as_str()) == Some(file));
                if unchanged && scope != Scope::All {
                    // Found and compared when it was published; the way to it is the same.
                    continue;
                }
                let found = walk::find(&mut at, &source, &path)?;
                if found.is_none_or(|target| target.role() != role) {
                    return Err(Error::Absent {
                        path: path.to_string(),
                    });
                }
                opened.check(role, Length::Exactly(file.length), &file.hashes)?;
            }
        }
        Ok(())
    }

    /// Writes metadata: each file at once or not at all, root second to last, timestamp last.
    pub(crate) fn write(&self, batch: &Batch) -> Result<Vec<(String, u64)>> {
        let mut order = batch.order.clone();
        order.sort_by_key(|(role, _)| match role.as_str() {
            "timestamp" => 3,
            "root" => 2,
            "snapshot" => 1,
            _ => 0,
        });
        for (role, version) in &order {
            let path = self.layout.metadata().join(metadata_name(role, *version));
            durable::write(&path, batch.bytes(role, *version), durable::PUBLIC)?;
        }
        Ok(order
            .into_iter()
            .map(|(role, version)| (role.to_string(), version.number()))
            .collect())
    }
}

/// What a device has to be led through to prove that it accepts what changes: the roles that are written, and every role
/// if it is about who may sign, or who is revoked.
fn scope(state: &State, batch: &Batch) -> Result<Scope> {
    let (staged, published) = (&state.staged, &state.published);
    let delegates_anew = |old: Option<&Targets>, new: Option<&Targets>| {
        let changes = |new: &Targets| {
            old.is_none_or(|old| {
                old.delegations != new.delegations || old.certificates != new.certificates
            })
        };
        new.is_some_and(changes)
    };
    let mut all = delegates_anew(published.targets.as_ref(), staged.targets.as_ref());
    let mut roles = Vec::new();
    for (role, _) in &batch.order {
        if role.is_top_level() {
            continue;
        }
        let (old, new) = (published.delegated(role)?, staged.delegated.get(role));
        let lists = role.as_str() == PKI_ROLE
            && new.is_some_and(|new| old.is_none_or(|old| old.targets != new.targets));
        let nests = old.is_some_and(|old| old.delegations.is_some())
            || new.is_some_and(|new| new.delegations.is_some());
        all |= lists || (nests && delegates_anew(old, new));
        roles.push(role.clone());
    }
    Ok(if all { Scope::All } else { Scope::These(roles) })
}

/// Every staged role is delegated to, and is the next version of what is published: two events that were staged at the
/// same time in two copies of the folder cannot both be published.
fn in_order(state: &State) -> Result<()> {
    for role in state.staged.roles.keys() {
        if ballots(state, role)?.is_empty() {
            return Err(Error::NoSuchProduct {
                product: role.to_string(),
            });
        }
        let staged = staged_version(state, role);
        let published = state.published_version(role).map_or(0, Version::number);
        if staged != published.saturating_add(1) {
            return Err(Error::Overtaken {
                role: role.clone(),
                staged,
                published,
            });
        }
    }
    Ok(())
}

/// After an interruption, what is staged may be published already.
fn forget_published(state: &mut State) -> Result<()> {
    let published = &state.published;
    let mut done: Vec<RoleName> = Vec::new();
    for role in state.staged.roles.keys() {
        let same = match role.as_str() {
            "root" => state.staged.root.is_some() && state.staged.root == published.root,
            "targets" => {
                state.staged.targets.is_some() && state.staged.targets == published.targets
            }
            _ => {
                let staged = state.staged.delegated.get(role);
                let version = staged.map(|staged| staged.common.version);
                !state.has_new_key(role)
                    && version == published.delegated_version(role)
                    && staged == published.delegated(role)?
            }
        };
        if same {
            done.push(role.clone());
        }
    }
    for role in done {
        state.staged.roles.remove(&role);
        match role.as_str() {
            "root" => state.staged.root = None,
            "targets" => state.staged.targets = None,
            _ => drop(state.staged.delegated.remove(&role)),
        }
    }
    Ok(())
}
