//! A staged event in words: what a signer reads before signing.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::gate::Certificates;
use metadata_schema::key::KeyId;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::release::{HardwareId, ReleaseManifest};
use metadata_schema::roles::{DelegatedRole, PathSet, RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;
use serde::Serialize;

use crate::authority::staged_version;
use crate::error::Result;
use crate::keyholder::holder_name;
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
        let state = self.state()?;
        let mut changes = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let (expires, lines) = self.describe(&state, role)?;
            changes.push(Change {
                role: role.to_string(),
                from_version: state.published_version(role).map(Version::number),
                to_version: staged_version(&state, role),
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
                state.published.delegated.get(role),
                state.staged.delegated.get(role),
            )
        };
        let Some(new) = new else {
            return Ok((Timestamp::EPOCH, lines));
        };
        describe_delegations(old, new, &mut lines);
        self.describe_files(role, old, new, &mut lines)?;
        if lines.is_empty() {
            let text = if old.is_some() {
                "same content, later expiry"
            } else {
                "names no files yet"
            };
            lines.push(text.to_owned());
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
                Some(before) if before != file => "replaces",
                Some(_) => continue,
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
    for wave in &manifest.rollout.waves {
        lines.push(format!(
            "  from {} on for {} % of the fleet",
            wave.start, wave.percent
        ));
    }
    if !manifest.notes.is_empty() {
        lines.push(format!("  notes: {}", printable(&manifest.notes)));
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
    if lines.is_empty() {
        lines.push("same signers, later expiry".to_owned());
    }
}

fn describe_delegations(old: Option<&Targets>, new: &Targets, lines: &mut Vec<String>) {
    let role_of = |targets: &Targets, name: &RoleName| -> Option<DelegatedRole> {
        targets.delegations.as_ref()?.role(name).cloned()
    };
    for role in new
        .delegations
        .iter()
        .flat_map(|delegations| &delegations.roles)
    {
        let before = old.and_then(|old| role_of(old, &role.name));
        if before.is_none() {
            let paths = match &role.paths {
                PathSet::Patterns(patterns) => patterns.join(", "),
                _ => "paths by their hash".to_owned(),
            };
            lines.push(format!("delegates {paths} to the role {}", role.name));
        }
        let keys = before.as_ref().map(|before| &before.keys);
        let certificates = old.map(|old| &old.certificates);
        describe_signers(
            role.name.as_str(),
            keys,
            certificates,
            &role.keys,
            &new.certificates,
            lines,
        );
    }
    for role in old
        .iter()
        .flat_map(|old| old.delegations.iter())
        .flat_map(|d| &d.roles)
    {
        if role_of(new, &role.name).is_none() {
            lines.push(format!("takes the role {} away", role.name));
        }
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

/// Text from a manifest on one line, without control characters that a terminal would obey.
fn printable(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(400).collect()
}
