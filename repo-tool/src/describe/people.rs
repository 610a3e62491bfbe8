//! Signers and their certificates in words.

use std::collections::BTreeSet;

use metadata_schema::gate::Certificates;
use metadata_schema::key::KeyId;
use metadata_schema::roles::RoleKeys;

use crate::keyholder::holder_name;

/// Certificates of keys: they say who a key's holder is.
pub(super) fn certificates(old: &Certificates, new: &Certificates, lines: &mut Vec<String>) {
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

/// Who may sign a role, and how many of them must.
pub(super) fn signers(
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
        let people = new.key_ids.iter().map(|id| named(id, certificates));
        let mut people: Vec<String> = people.collect();
        people.sort();
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
