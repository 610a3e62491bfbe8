//! Delegations in words: who may speak about which paths, and in which order they are asked.

use std::collections::BTreeSet;

use metadata_schema::bins::{self, Bins};
use metadata_schema::gate::Certificates;
use metadata_schema::json::Object;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{DelegatedRole, Delegations, PathSet, Targets};

use super::people::signers;
use super::rest::unknown;
use crate::keyholder::holder_name;

/// What changes in the delegations of a role.
pub(super) fn describe(old: Option<&Targets>, new: &Targets, lines: &mut Vec<String>) {
    let nothing = Delegations::default();
    let before = old.and_then(|old| old.delegations.as_ref());
    let before = before.unwrap_or(&nothing);
    let after = new.delegations.as_ref().unwrap_or(&nothing);
    let certificates = old.map(|old| &old.certificates);
    let layout = [before, after].map(product_with_bins);
    let is_bin = |role: &DelegatedRole| {
        let product = bins::product_of(&role.name);
        product.is_some() && layout.contains(&product)
    };
    describe_bins(before, after, new, lines);
    for role in after.roles.iter().filter(|role| !is_bin(role)) {
        describe_role(
            before.role(&role.name),
            certificates,
            role,
            &new.certificates,
            lines,
        );
    }
    for role in before.roles.iter().filter(|role| !is_bin(role)) {
        if after.role(&role.name).is_none() {
            lines.push(format!("takes the role {} away", role.name));
        }
    }
    let (old_order, new_order) = (order(before), order(after));
    let bins_only = before.roles.iter().chain(&after.roles).all(&is_bin);
    if !before.roles.is_empty() && !bins_only && old_order != new_order {
        let names: Vec<&str> = new_order.into_iter().map(RoleName::as_str).collect();
        lines.push(format!(
            "devices ask the roles in this order: {}",
            names.join(", ")
        ));
    }
    unknown("delegations", &before.extra, &after.extra, lines);
}

/// Bins, all in one line if they differ: the same people sign all of them.
fn describe_bins(
    before: &Delegations,
    after: &Delegations,
    new: &Targets,
    lines: &mut Vec<String>,
) {
    let bins = |delegations: &Delegations| match product_with_bins(delegations) {
        Some(_) => delegations.roles.clone(),
        None => Vec::new(),
    };
    let (old, bins) = (bins(before), bins(after));
    if old == bins {
        return;
    }
    let mut groups: BTreeSet<String> = BTreeSet::new();
    for role in &bins {
        let ids = role.keys.key_ids.iter();
        let names: Vec<String> = ids.map(|id| holder_name(&new.certificates, id)).collect();
        groups.insert(format!("{} of {}", role.keys.threshold, names.join(", ")));
    }
    let groups: Vec<String> = groups.into_iter().collect();
    lines.push(format!(
        "spreads its files over {} bins (so far {}), each signed by {}",
        bins.len(),
        old.len(),
        groups.join("; or by ")
    ));
}

/// Whose bins these are, if they are nothing but the bins of one product, as the layout says.
fn product_with_bins(delegations: &Delegations) -> Option<RoleName> {
    let product = bins::product_of(&delegations.roles.first()?.name)?;
    let bins = Bins::of(&product, delegations)?;
    let count = usize::try_from(bins.count()).ok()?;
    (count == delegations.roles.len()).then_some(product)
}

fn describe_role(
    before: Option<&DelegatedRole>,
    old_certificates: Option<&Certificates>,
    role: &DelegatedRole,
    certificates: &Certificates,
    lines: &mut Vec<String>,
) {
    let name = &role.name;
    match before {
        None => lines.push(format!("delegates {} to the role {name}", words(role))),
        Some(before) if before.paths != role.paths => lines.push(format!(
            "{name}: may speak about {} from now on; so far about {}",
            words(role),
            words(before)
        )),
        Some(_) => {}
    }
    let terminating = before.is_none_or(|before| before.terminating);
    if terminating != role.terminating {
        let end = if role.terminating {
            "the search ends with it: roles after it no longer speak about its paths"
        } else {
            "not terminating: roles after it may speak about its paths as well"
        };
        lines.push(format!("{name}: {end}"));
    }
    signers(
        name.as_str(),
        before.map(|before| &before.keys),
        old_certificates,
        &role.keys,
        certificates,
        lines,
    );
    let nothing = Object::new();
    let so_far = before.map_or(&nothing, |before| &before.keys.extra);
    unknown(name.as_str(), so_far, &role.keys.extra, lines);
}

fn order(delegations: &Delegations) -> Vec<&RoleName> {
    delegations.roles.iter().map(|role| &role.name).collect()
}

fn words(role: &DelegatedRole) -> String {
    match &role.paths {
        PathSet::Patterns(patterns) => patterns.join(", "),
        PathSet::HashPrefixes(prefixes) => {
            format!("paths whose hash begins with {}", prefixes.join(" or "))
        }
        _ => "paths of an unknown kind".to_owned(),
    }
}
