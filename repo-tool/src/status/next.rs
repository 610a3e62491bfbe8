//! What to do next, as commands that can be copied.

use std::path::Path;

use super::{Signed, Status};
use metadata_schema::name::RoleName;

use crate::layout::PKI_ROLE;
use crate::sign::is_online;

/// The next steps, the most urgent first.
pub(super) fn steps(status: &Status, folder: &Path) -> Vec<String> {
    let folder = shown(folder);
    let mut steps = Vec::new();
    if status.ready {
        steps.push(format!("repo-tool publish {folder}"));
    } else if let Some(event) = &status.event {
        let people = missing(status);
        let whose = if people.is_empty() {
            "nobody is left who could sign: stage the change again with other signers".to_owned()
        } else {
            format!("by {}: event {}", people.join(", "), event.short())
        };
        steps.push(format!("repo-tool sign {folder} --key KEY    # {whose}"));
        steps.push(format!(
            "repo-tool merge {folder} SOURCE    # if they sign in a copy of theirs"
        ));
    }
    let staged = |role: &str| status.staged.iter().any(|staged| staged.role == role);
    let due = |online: bool| {
        let due = status.published.iter().filter(|expiry| expiry.due);
        let names = due.map(|expiry| expiry.role.as_str());
        let names = names.filter(|role| !staged(role) && is_online_name(role) == online);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut people = due(false);
    // Bins are renewed with their product.
    for role in &mut people {
        if let Some((product, _)) = role.split_once('~') {
            *role = product.to_owned();
        }
    }
    people.dedup();
    // Where people have to sign, `publish` comes before `refresh`, and takes an expired list of revocations for no answer.
    let pki = |expiry: &&super::Expiry| expiry.role == PKI_ROLE && expiry.seconds_left <= 0;
    if !people.is_empty() && !staged(PKI_ROLE) && status.published.iter().any(|e| pki(&e)) {
        people.push(PKI_ROLE.to_owned());
    }
    if !people.is_empty() {
        steps.push(format!("repo-tool renew {folder} {}", people.join(" ")));
    }
    if !due(true).is_empty() {
        steps.push(format!("repo-tool refresh {folder}"));
    }
    steps
}

/// People whose signatures would help and count.
fn missing(status: &Status) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let groups = status.staged.iter().flat_map(|role| &role.groups);
    for signer in groups
        .filter(|group| !group.reached)
        .flat_map(|group| &group.signers)
    {
        let open = matches!(signer.state, Signed::Missing | Signed::Earlier(_));
        if open && signer.barred.is_none() && !names.contains(&signer.name) {
            names.push(signer.name.clone());
        }
    }
    names.sort();
    names
}

fn is_online_name(role: &str) -> bool {
    role == "snapshot"
        || role == "timestamp"
        || RoleName::delegated(role).is_ok_and(|role| is_online(&role))
}

/// A path as a shell takes it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
