//! Delegations in words: who may speak about which paths, and in which order they are asked.

use metadata_schema::gate::Certificates;
use metadata_schema::json::Object;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{DelegatedRole, Delegations, PathSet, Targets};

use super::people::signers;
use super::rest::unknown;

/// What changes in the delegations of a role.
pub(super) fn describe(old: Option<&Targets>, new: &Targets, lines: &mut Vec<String>) {
    let nothing = Delegations::default();
    let before = old.and_then(|old| old.delegations.as_ref());
    let before = before.unwrap_or(&nothing);
    let after = new.delegations.as_ref().unwrap_or(&nothing);
    let certificates = old.map(|old| &old.certificates);
    for role in &after.roles {
        describe_role(
            before.role(&role.name),
            certificates,
            role,
            &new.certificates,
            lines,
        );
    }
    for role in &before.roles {
        if after.role(&role.name).is_none() {
            lines.push(format!("takes the role {} away", role.name));
        }
    }
    let (old_order, new_order) = (order(before), order(after));
    if !before.roles.is_empty() && old_order != new_order {
        let names: Vec<&str> = new_order.into_iter().map(RoleName::as_str).collect();
        lines.push(format!(
            "devices ask the roles in this order: {}",
            names.join(", ")
        ));
    }
    unknown("delegations", &before.extra, &after.extra, lines);
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
