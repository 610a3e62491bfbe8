//! The way of a device through a repository: from its first root to every role, by the rules of `metadata-schema`.
//!
//! `publish` and `refresh` send what they are about to write this way first, and `verify` what is published.

mod source;

use std::sync::Arc;

use device_pki::{Crl, TrustAnchor};
use metadata_schema::bins;
use metadata_schema::gate::PlainTuf;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{DelegatedRole, PathSet, Targets};
use metadata_schema::search::{Step, VerifiedTarget};
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::{AtTargets, RootWalk, SharedGate};

use crate::assemble::metadata_name;
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::settings::Minimums;
use crate::trust;

pub(crate) use source::{Folder, Opened, Overlay, Served, Source};

/// Paths that are tried for one that falls into a bin, of which there are 1024 at most.
const MAX_PROBES: u32 = 100_000;

/// All the way, and then once more under the revocation lists: those that the repository itself publishes, and `crls`.
///
/// The walk over old roots comes first, without lists: somebody who is revoked today may have signed, with others, a
/// root that devices still have to step over.
pub(crate) fn as_device(
    source: &dyn Source,
    trust: &DeviceTrust<'_>,
    now: Timestamp,
    scope: &Scope,
) -> Result<Arrived> {
    let (mut at, _) = to_targets(source, trust.gate(Vec::new()), trust.first_root, now)?;
    let crls = published_crls(&mut at, source)?;
    let lists = trust.crls.iter().chain(&crls).cloned().collect();
    let gate = trust.gate(lists);
    let mut at = at.under(SharedGate::clone(&gate))?;
    let (roles, unreachable) = match scope {
        Scope::All => all_roles(&mut at, source)?,
        Scope::These(roles) => these_roles(&mut at, source, roles)?,
    };
    Ok(Arrived {
        at,
        roles,
        unreachable,
        crls,
        gate,
    })
}

/// Which delegated roles are loaded on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All that a search can come to.
    All,
    /// These, and those that delegate to them.
    These(Vec<RoleName>),
}

/// What a device has built in, and the revocation lists that it has from elsewhere.
pub(crate) struct DeviceTrust<'a> {
    pub(crate) anchor: &'a TrustAnchor,
    pub(crate) minimums: &'a Minimums,
    pub(crate) crls: &'a [Crl],
    /// The oldest root that a device has in its firmware.
    pub(crate) first_root: Version,
}

impl DeviceTrust<'_> {
    fn gate(&self, crls: Vec<Crl>) -> SharedGate {
        trust::gate(self.anchor, crls, self.minimums)
    }
}

/// Where a device has come to.
pub(crate) struct Arrived {
    pub(crate) at: AtTargets,
    /// Delegated roles that were loaded.
    pub(crate) roles: Vec<RoleName>,
    /// Delegated roles that no search for a probe could come to.
    pub(crate) unreachable: Vec<RoleName>,
    /// Revocation lists that the repository publishes.
    pub(crate) crls: Vec<Crl>,
    /// The gate that all of it has passed.
    pub(crate) gate: SharedGate,
}

/// Who delegates to a loaded role, and how.
pub(crate) fn delegation<'a>(
    at: &'a AtTargets,
    role: &RoleName,
) -> Option<(&'a Targets, &'a DelegatedRole)> {
    let top: &Targets = at.targets();
    let loaded = at.delegated().map(|targets| -> &Targets { targets });
    std::iter::once(top).chain(loaded).find_map(|targets| {
        let delegated = targets.delegations.as_ref()?.role(role)?;
        Some((targets, delegated))
    })
}

fn published_crls(at: &mut AtTargets, source: &dyn Source) -> Result<Vec<Crl>> {
    let role = RoleName::delegated(PKI_ROLE)?;
    let limit = u64::try_from(device_pki::crl::MAX_LENGTH).unwrap_or(u64::MAX);
    reach(at, source, &role)?;
    let paths: Vec<String> = at
        .role(&role)
        .iter()
        .flat_map(|pki| pki.targets.keys().cloned())
        .collect();
    let mut crls = Vec::new();
    for path in paths {
        let Some(target) = find(at, source, &TargetPath::new(&path)?)? else {
            continue;
        };
        crls.push(Crl::from_der(&path, &read(source, &target, limit)?)?);
    }
    Ok(crls)
}

/// The bytes of a small target: length and digest are checked.
pub(crate) fn read(source: &dyn Source, target: &VerifiedTarget, limit: u64) -> Result<Vec<u8>> {
    let mut opened = open(source, target)?;
    let bytes = opened.small(limit)?;
    opened.check(target.role(), target.length(), target.hashes())?;
    Ok(bytes)
}

/// The file of a target.
pub(crate) fn open(source: &dyn Source, target: &VerifiedTarget) -> Result<Opened> {
    let path = target.file_path();
    let opened = source.open(&path, target.length().most())?;
    opened.ok_or_else(|| missing(&path, &format!("{} metadata", target.role())))
}

/// As a client that knows nothing of certificates, from the first root on; and the roots on the way.
pub(crate) fn plain(source: &dyn Source, now: Timestamp) -> Result<(AtTargets, Vec<Vec<u8>>)> {
    to_targets(source, Arc::new(PlainTuf), Version::FIRST, now)
}

/// Root, timestamp, snapshot and targets; and the roots on the way.
fn to_targets(
    source: &dyn Source,
    gate: SharedGate,
    first_root: Version,
    now: Timestamp,
) -> Result<(AtTargets, Vec<Vec<u8>>)> {
    let limits = Limits::default();
    let needed = |role: &RoleName, version, limit| {
        let name = metadata_name(role, version);
        source
            .metadata(&name, limit)?
            .ok_or(Error::MissingMetadata { name })
    };
    let first = needed(&RoleName::root(), first_root, limits.root_length)?;
    let mut walk = RootWalk::from_trusted(&first, gate)?;
    let mut roots = vec![first];
    for _ in 0..limits.root_rotations {
        let name = metadata_name(&RoleName::root(), walk.next_version()?);
        let Some(next) = source.metadata(&name, limits.root_length)? else {
            break;
        };
        walk.step(&next)?;
        roots.push(next);
    }
    let mut at = walk.finish(now)?;
    if let Some(statement) = source.statement() {
        at = at.with_bundle(statement, &[RoleName::delegated(PKI_ROLE)?])?;
    }
    let timestamp = needed(
        &RoleName::timestamp(),
        Version::FIRST,
        limits.timestamp_length,
    )?;
    let (at, _) = at.timestamp(None, &timestamp)?;
    let file = at.snapshot_file();
    let length = file.most(limits.snapshot_length);
    let snapshot = needed(&RoleName::snapshot(), file.version, length)?;
    let at = at.snapshot(None, &snapshot)?;
    let file = at.targets_file()?;
    let length = file.most(limits.targets_length);
    let targets = needed(&RoleName::targets(), file.version, length)?;
    Ok((at.targets(&targets)?, roots))
}

/// Looks a target up; none if no role that may speak about it names it.
pub(crate) fn find(
    at: &mut AtTargets,
    source: &dyn Source,
    path: &TargetPath,
) -> Result<Option<VerifiedTarget>> {
    let limits = Limits::default();
    let mut search = at.search(path.clone(), limits.delegations);
    loop {
        match search.next_step()? {
            Step::Found(target) => return Ok(Some(target)),
            Step::Fetch { role, file } => {
                let name = metadata_name(&role, file.version);
                let limit = file.most(limits.targets_length);
                let bytes = source.metadata(&name, limit)?;
                search.supply(&bytes.ok_or(Error::MissingMetadata { name })?)?;
            }
            _ => return Ok(None),
        }
    }
}

/// Loads every delegated role that a search can come to, and returns their names; the second list has those that none
/// can, because their paths belong to others.
fn all_roles(at: &mut AtTargets, source: &dyn Source) -> Result<(Vec<RoleName>, Vec<RoleName>)> {
    let mut order = delegated_by(at, &RoleName::targets());
    let mut next = 0;
    while let Some(role) = order.get(next).cloned() {
        next = next.saturating_add(1);
        reach(at, source, &role)?;
        let further = delegated_by(at, &role);
        order.extend(
            further
                .into_iter()
                .filter(|role| !order.contains(role))
                .collect::<Vec<_>>(),
        );
    }
    Ok(order.into_iter().partition(|role| at.role(role).is_some()))
}

/// As [`all_roles`], for these and those that delegate to them.
fn these_roles(
    at: &mut AtTargets,
    source: &dyn Source,
    roles: &[RoleName],
) -> Result<(Vec<RoleName>, Vec<RoleName>)> {
    for role in roles {
        if let Some(product) = bins::product_of(role) {
            reach(at, source, &product)?;
        }
        if delegation(at, role).is_none() {
            // Neither top-level nor a bin: only a look at all of them tells where it hangs.
            return all_roles(at, source);
        }
        reach(at, source, role)?;
    }
    Ok(roles
        .iter()
        .cloned()
        .partition(|role| at.role(role).is_some()))
}

fn delegated_by(at: &AtTargets, role: &RoleName) -> Vec<RoleName> {
    let delegations = at
        .role(role)
        .and_then(|targets| targets.delegations.as_ref());
    let roles = delegations
        .into_iter()
        .flat_map(|delegations| &delegations.roles);
    roles.map(|role| role.name.clone()).collect()
}

/// Makes searches come by a role to which something that is loaded delegates.
fn reach(at: &mut AtTargets, source: &dyn Source, role: &RoleName) -> Result<()> {
    let Some((_, delegated)) = delegation(at, role) else {
        return Ok(());
    };
    let paths = match &delegated.paths {
        PathSet::HashPrefixes(_) => {
            let product = bins::product_of(role);
            let above = product.and_then(|product| delegation(at, &product));
            above
                .and_then(|(_, above)| hashed_probe(&above.paths, &delegated.paths))
                .into_iter()
                .collect()
        }
        patterns => probes(patterns),
    };
    for path in paths {
        find(at, source, &path)?;
    }
    Ok(())
}

/// Paths that match the patterns, to make a search come by.
fn probes(paths: &PathSet) -> Vec<TargetPath> {
    let PathSet::Patterns(patterns) = paths else {
        return Vec::new();
    };
    let filled = patterns
        .iter()
        .map(|pattern| pattern.replace(['*', '?'], "x"));
    filled
        .filter_map(|path| TargetPath::new(&path).ok())
        .filter(|path| paths.contains(path))
        .collect()
}

/// A path in a bin that matches the patterns of whoever delegates to it: numbers are tried until one falls into the bin.
fn hashed_probe(patterns: &PathSet, bin: &PathSet) -> Option<TargetPath> {
    let PathSet::Patterns(list) = patterns else {
        return None;
    };
    let pattern = list.iter().find(|pattern| pattern.contains('*'))?;
    (0..MAX_PROBES)
        .filter_map(|number| TargetPath::new(&pattern.replace('*', &number.to_string())).ok())
        .find(|path| bin.contains(path) && patterns.contains(path))
}

fn missing(name: &str, needed_by: &str) -> Error {
    Error::Missing {
        path: name.into(),
        needed_by: needed_by.to_owned(),
    }
}
