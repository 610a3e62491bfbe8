//! What changes from one version of a role to the next, in sentences: for whoever is to sign it, and for readers of the
//! repository's history.
//!
//! Two rules: what is said is computed from what is signed alone, and nothing that is signed changes in silence.

mod delegations;
mod people;
mod release;
mod rest;

use device_pki::Crl;
use metadata_schema::gate::CERTIFICATES_MEMBER;
use metadata_schema::name::RoleName;
use metadata_schema::release::{MAX_LENGTH, ReleaseManifest};
use metadata_schema::roles::{Role, Root, TargetFile, Targets};

use crate::error::Result;
use crate::layout::PKI_ROLE;
use crate::release::is_manifest;
use rest::Told;

/// Where the small files stand that metadata names: manifests and revocation lists.
pub(crate) trait SmallFiles {
    /// The bytes of a file, which are those that the metadata names; none if the file is gone and that is no fault.
    fn small(
        &self,
        role: &RoleName,
        path: &str,
        file: &TargetFile,
        limit: u64,
    ) -> Result<Option<Vec<u8>>>;
}

/// What changes from one root to the next; what the first one says.
pub(crate) fn root(old: Option<&Root>, new: &Root) -> Vec<String> {
    let mut lines = Vec::new();
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
            people::signers(
                name.as_str(),
                before.as_ref(),
                certificates,
                &keys,
                &new.certificates,
                &mut lines,
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
            rest::unknown(name, &before.extra, &after.extra, &mut lines);
        }
        rest::unknown("roles", &old.other_roles, &new.other_roles, &mut lines);
    }
    let mut told = Told::default();
    told.members(&lines, &["keys", "roles"]);
    if new.consistent_snapshot != old.is_none_or(|old| old.consistent_snapshot) {
        let word = if new.consistent_snapshot { "on" } else { "off" };
        lines.push(format!(
            "consistent_snapshot is {word}: devices ask for files by other names"
        ));
    }
    told.members(&lines, &["consistent_snapshot"]);
    if let Some(old) = old {
        people::certificates(&old.certificates, &new.certificates, &mut lines);
    }
    told.members(&lines, &[CERTIFICATES_MEMBER]);
    rest::rest(old.map(Role::to_json), &new.to_json(), &told, &mut lines);
    lines
}

/// What changes from one version of a targets role to the next; what the first one says.
pub(crate) fn targets(
    role: &RoleName,
    old: Option<&Targets>,
    new: &Targets,
    files: &dyn SmallFiles,
) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut told = Told::default();
    delegations::describe(old, new, &mut lines);
    told.members(&lines, &["delegations"]);
    releases(role, old, new, files, &mut lines)?;
    target_files(old, new, &mut lines);
    told.members(&lines, &["targets"]);
    if let Some(old) = old {
        people::certificates(&old.certificates, &new.certificates, &mut lines);
    }
    told.members(&lines, &[CERTIFICATES_MEMBER]);
    rest::rest(old.map(Role::to_json), &new.to_json(), &told, &mut lines);
    if lines.is_empty() {
        lines.push("names no files yet".to_owned());
    }
    if role.as_str() == PKI_ROLE {
        lists(role, new, files, &mut lines);
    }
    Ok(lines)
}

fn releases(
    role: &RoleName,
    old: Option<&Targets>,
    new: &Targets,
    files: &dyn SmallFiles,
    lines: &mut Vec<String>,
) -> Result<()> {
    let before = |path: &str| old.and_then(|old| old.targets.get(path));
    let manifests = new.targets.iter().filter(|(path, _)| is_manifest(path));
    for (path, file) in manifests.filter(|(path, file)| before(path) != Some(file)) {
        match files.small(role, path, file, MAX_LENGTH)? {
            Some(bytes) => release::describe(&ReleaseManifest::read(role, &bytes)?, lines),
            None => lines.push(format!("offers {path}, whose file is no longer here")),
        }
    }
    Ok(())
}

fn target_files(old: Option<&Targets>, new: &Targets, lines: &mut Vec<String>) {
    let before = |path: &str| old.and_then(|old| old.targets.get(path));
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
}

/// Every revocation list: the machine that publishes signs for them, and each is signed by its CA.
fn lists(role: &RoleName, new: &Targets, files: &dyn SmallFiles, lines: &mut Vec<String>) {
    let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
    for (path, file) in &new.targets {
        let read = files.small(role, path, file, limit).and_then(|bytes| {
            let read = bytes.map(|bytes| Crl::from_der(path, &bytes));
            Ok(read.transpose()?)
        });
        lines.push(match read {
            Ok(Some(list)) => format!(
                "revocation list of {}: number {}, {} certificates",
                list.issuer(),
                list.number(),
                list.len()
            ),
            Ok(None) => format!("revocation list {path}, whose file is no longer here"),
            Err(error) => format!("{path} is no revocation list: {error}"),
        });
    }
}
