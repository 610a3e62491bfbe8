//! A staged event in words: what a signer reads before signing.

mod delegations;

use std::collections::BTreeSet;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::gate::{CERTIFICATES_MEMBER, Certificates};
use metadata_schema::json::{Json, Object};
use metadata_schema::key::KeyId;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::release::{HardwareId, ReleaseManifest};
use metadata_schema::roles::{ISSUED_MEMBER, Role, RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;
use serde::Serialize;

use crate::authority::staged_version;
use crate::error::Result;
use crate::keyholder::holder_name;
use crate::layout::PKI_ROLE;
use crate::repository::{Repository, State};

/// A staged event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What changes, by role.
    pub changes: Vec<Change>,
}

/// What changes in one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The role.
    pub role: String,
    /// The version that is published; none if the role is new.
    pub from_version: Option<u64>,
    /// The version that is staged.
    pub to_version: u64,
    /// When it will expire.
    pub expires: Timestamp,
    /// SHA-256 of the bytes that are signed: two signers who read the same digest sign the same.
    pub sha256: Sha256Digest,
    /// What changes, in sentences.
    pub lines: Vec<String>,
}

impl Repository {
    /// Describes what is staged, compared with what is published.
    ///
    /// # Errors
    /// If files of the folder cannot be read.
    pub fn show(&self) -> Result<Event> {
        self.event(&self.state()?)
    }

    /// What is staged in `state`, in words.
    pub(crate) fn event(&self, state: &State) -> Result<Event> {
        let mut changes = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let (expires, lines) = self.describe(state, role)?;
            changes.push(Change {
                role: role.to_string(),
                from_version: state.published_version(role).map(Version::number),
                to_version: staged_version(state, role),
                expires,
                sha256: Sha256Digest::of(&envelope.payload()),
                lines,
            });
        }
        Ok(Event { changes })
    }

    fn describe(&self, state: &State, role: &RoleName) -> Result<(Timestamp, Vec<String>)> {
        let mut lines = Vec::new();
        if let (true, Some(root)) = (role.as_str() == "root", &state.staged.root) {
            describe_root(state.published.root.as_ref(), root, &mut lines);
            return Ok((root.common.expires, lines));
        }
        let (old, new) = if role.as_str() == "targets" {
            (
                state.published.targets.as_ref(),
                state.staged.targets.as_ref(),
            )
        } else {
            (
                state.published.delegated(role)?,
                state.staged.delegated.get(role),
            )
        };
        let Some(new) = new else {
            return Ok((Timestamp::EPOCH, lines));
        };
        let mut told = Told::default();
        delegations::describe(old, new, &mut lines);
        told.members(&lines, &["delegations"]);
        self.describe_files(role, old, new, &mut lines)?;
        told.members(&lines, &["targets"]);
        if let Some(old) = old {
            describe_certificates(&old.certificates, &new.certificates, &mut lines);
        }
        told.members(&lines, &[CERTIFICATES_MEMBER]);
        describe_rest(old.map(Role::to_json), &new.to_json(), &told, &mut lines);
        if lines.is_empty() {
            lines.push("names no files yet".to_owned());
        }
        if role.as_str() == PKI_ROLE {
            self.describe_lists(role, new, &mut lines);
        }
        Ok((new.common.expires, lines))
    }

    fn describe_files(
        &self,
        role: &RoleName,
        old: Option<&Targets>,
        new: &Targets,
        lines: &mut Vec<String>,
    ) -> Result<()> {
        let before = |path: &str| old.and_then(|old| old.targets.get(path));
        for (path, manifest) in self.manifests(role, new)? {
            if before(&path) != new.targets.get(&path) {
                describe_release(&manifest, lines);
            }
        }
        for (path, file) in &new.targets {
            let verb = match before(path) {
                None => "adds",
                Some(before) if before == file => continue,
                Some(before) if before.length == file.length && before.hashes == file.hashes => {
                    lines.push(format!(
                        "says something else of {path}, the file is the same"
                    ));
                    continue;
                }
                Some(_) => "replaces",
            };
            let digest = file.hashes.file_prefix();
            lines.push(format!(
                "{verb} {path}, {} bytes, sha256 {digest}",
                file.length
            ));
        }
        let gone = old.into_iter().flat_map(|old| old.targets.keys());
        for path in gone.filter(|path| !new.targets.contains_key(*path)) {
            lines.push(format!("removes {path}"));
        }
        Ok(())
    }

    /// Every revocation list: the machine that publishes signs for them, and each is signed by its CA.
    fn describe_lists(&self, role: &RoleName, new: &Targets, lines: &mut Vec<String>) {
        for (path, file) in &new.targets {
            lines.push(match self.list(role, path, file) {
                Ok(list) => format!(
                    "revocation list of {}: number {}, {} certificates",
                    list.issuer(),
                    list.number(),
                    list.len()
                ),
                Err(error) => format!("{path} is no revocation list: {error}"),
            });
        }
    }
}

fn describe_release(manifest: &ReleaseManifest, lines: &mut Vec<String>) {
    let ReleaseManifest {
        product,
        channel,
        version,
        security_version,
        ..
    } = manifest;
    let hardware: Vec<&str> = manifest.hardware.iter().map(HardwareId::as_str).collect();
    lines.push(format!(
        "offers {product} {version} in channel {channel}: security version {security_version}, for {}",
        hardware.join(", ")
    ));
    if let Some(requires) = &manifest.requires {
        lines.push(format!("  may be installed from {requires} on"));
    }
    for (slot, image) in &manifest.images {
        lines.push(format!(
            "  image {slot}: {} bytes, sha256 {}; full payload {} bytes, {} deltas",
            image.length,
            image.sha256,
            image.full.length,
            image.deltas.len()
        ));
    }
    if manifest.rollout.paused {
        lines.push("  PAUSED: no device installs it".to_owned());
    }
    if manifest.rollout.waves.is_empty() {
        lines.push("  for the whole fleet at once".to_owned());
    }
    for wave in &manifest.rollout.waves {
        lines.push(format!(
            "  from {} on for {} % of the fleet",
            wave.start, wave.percent
        ));
    }
    if !manifest.notes.is_empty() {
        lines.push(format!("  notes: {}", shortened(manifest.notes.trim_end())));
    }
}

fn describe_root(old: Option<&Root>, new: &Root, lines: &mut Vec<String>) {
    for name in [
        RoleName::root(),
        RoleName::targets(),
        RoleName::snapshot(),
        RoleName::timestamp(),
    ] {
        let keys = |root: &Root| root.signers(&name).cloned();
        let before = old.and_then(keys);
        if let Some(keys) = keys(new) {
            let certificates = old.map(|old| &old.certificates);
            describe_signers(
                name.as_str(),
                before.as_ref(),
                certificates,
                &keys,
                &new.certificates,
                lines,
            );
        }
    }
    if let Some(old) = old {
        for (name, before, after) in [
            ("root", &old.root, &new.root),
            ("targets", &old.targets, &new.targets),
            ("snapshot", &old.snapshot, &new.snapshot),
            ("timestamp", &old.timestamp, &new.timestamp),
        ] {
            describe_unknown(name, &before.extra, &after.extra, lines);
        }
        describe_unknown("roles", &old.other_roles, &new.other_roles, lines);
    }
    let mut told = Told::default();
    told.members(lines, &["keys", "roles"]);
    if new.consistent_snapshot != old.is_none_or(|old| old.consistent_snapshot) {
        let word = if new.consistent_snapshot { "on" } else { "off" };
        lines.push(format!(
            "consistent_snapshot is {word}: devices ask for files by other names"
        ));
    }
    told.members(lines, &["consistent_snapshot"]);
    if let Some(old) = old {
        describe_certificates(&old.certificates, &new.certificates, lines);
    }
    told.members(lines, &[CERTIFICATES_MEMBER]);
    describe_rest(old.map(Role::to_json), &new.to_json(), &told, lines);
}

/// Members of a role that something was said about.
#[derive(Default)]
struct Told {
    members: Vec<&'static str>,
    lines: usize,
}

impl Told {
    /// If there are more lines than before, they tell what changes in these members.
    fn members(&mut self, lines: &[String], members: &[&'static str]) {
        if lines.len() > self.lines {
            self.members.extend(members);
        }
        self.lines = lines.len();
    }
}

/// Whatever else differs: nothing that is signed may change in silence. Certificates that are exchanged count as well.
fn describe_rest(old: Option<Json>, new: &Json, told: &Told, lines: &mut Vec<String>) {
    let members = |json: Json| match json {
        Json::Object(members) => members,
        _ => Object::new(),
    };
    let first = old.is_none();
    let known: &[&str] = if first { &TARGETS_MEMBERS } else { &[] };
    let (old, new) = (old.map(members).unwrap_or_default(), members(new.clone()));
    let different = differing(&old, &new).into_iter().filter(|member| {
        let dated = ["version", "expires", ISSUED_MEMBER].contains(&member.as_str());
        !dated && !told.members.contains(&member.as_str()) && !known.contains(&member.as_str())
    });
    let different: Vec<String> = different.collect();
    if !different.is_empty() {
        lines.push(format!("changes the members {}", different.join(", ")));
    } else if lines.is_empty() && !first {
        lines.push("same content, later expiry".to_owned());
    }
}

/// What a role has from its first version on.
const TARGETS_MEMBERS: [&str; 8] = [
    "_type",
    "spec_version",
    "targets",
    "delegations",
    "keys",
    "roles",
    "consistent_snapshot",
    CERTIFICATES_MEMBER,
];

/// Names of members that one of two objects has, or that differ.
fn differing(old: &Object, new: &Object) -> BTreeSet<String> {
    let names = old.keys().chain(new.keys());
    names
        .filter(|name| old.get(*name) != new.get(*name))
        .cloned()
        .collect()
}

/// Members that this program does not know: others may.
fn describe_unknown(what: &str, old: &Object, new: &Object, lines: &mut Vec<String>) {
    let names: Vec<String> = differing(old, new).into_iter().collect();
    if !names.is_empty() {
        lines.push(format!(
            "{what}: changes the unknown members {}",
            names.join(", ")
        ));
    }
}

/// Certificates of keys: they say who a key's holder is.
fn describe_certificates(old: &Certificates, new: &Certificates, lines: &mut Vec<String>) {
    let ids: BTreeSet<&KeyId> = old.iter().chain(new.iter()).map(|(id, _)| id).collect();
    for id in ids {
        let (before, after) = (old.chain(id), new.chain(id));
        if before == after {
            continue;
        }
        let (from, to) = (holder_name(old, id), holder_name(new, id));
        let key = id.short();
        lines.push(if before.is_empty() {
            format!("certificates of key {key}: those of {to} are added")
        } else if after.is_empty() {
            format!("certificates of key {key}: those of {from} are removed")
        } else {
            format!("certificates of key {key}: those of {from} are exchanged for others of {to}")
        });
    }
}

fn describe_signers(
    role: &str,
    old: Option<&RoleKeys>,
    old_certificates: Option<&Certificates>,
    new: &RoleKeys,
    certificates: &Certificates,
    lines: &mut Vec<String>,
) {
    let named = |id: &KeyId, certificates: &Certificates| {
        let name = holder_name(certificates, id);
        if certificates.chain(id).is_empty() {
            name
        } else {
            format!("{name} (key {})", id.short())
        }
    };
    let Some(old) = old else {
        let people: Vec<String> = new
            .key_ids
            .iter()
            .map(|id| named(id, certificates))
            .collect();
        lines.push(format!(
            "{role}: signed by {} of {}",
            new.threshold,
            people.join(", ")
        ));
        return;
    };
    for id in new.key_ids.difference(&old.key_ids) {
        lines.push(format!(
            "{role}: {} joins the signers",
            named(id, certificates)
        ));
    }
    let unknown = Certificates::default();
    for id in old.key_ids.difference(&new.key_ids) {
        let name = named(id, old_certificates.unwrap_or(&unknown));
        lines.push(format!("{role}: {name} leaves the signers"));
    }
    if old.threshold != new.threshold {
        lines.push(format!(
            "{role}: threshold {} becomes {}",
            old.threshold, new.threshold
        ));
    }
}

/// At most 400 characters: whatever prints them escapes what a terminal would obey.
fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(400).collect();
    if characters.next().is_some() {
        short.push_str(" ...");
    }
    short
}
