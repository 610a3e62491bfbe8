//! The way back where root cannot be signed any more: a new repository, and devices that begin with it.

use std::collections::BTreeSet;

use metadata_schema::name::RoleName;

use super::super::thief::day;
use super::{Concerned, Facts, RoleLoss, Step, is_product, new_key, of, quoted, revoke, step};
use crate::keyholder::holder_name;

/// What can be done, and what cannot.
pub(super) fn without_root(facts: &Facts, roles: &[RoleLoss], people: &Concerned) -> Vec<Step> {
    let root = of(roles, "root");
    let (able, needed) = root.map_or((0, 0), |root| (root.able.len(), root.needed));
    let until = root
        .and_then(|root| root.expires)
        .map_or_else(String::new, |end| {
            format!(
                " Until {} they go on with what the other roles sign.",
                day(end)
            )
        });
    let mut steps = vec![step(
        format!(
            "root cannot be signed any more: {able} of {needed} signatures. No device can be led to a new root, and nothing that \
             root says can be changed.{until}"
        ),
        Vec::new(),
    )];
    let works = |role: &RoleLoss| role.can_sign && !role.thief_can_sign;
    let products: Vec<&str> = roles
        .iter()
        .filter(|role| is_product(&role.role) && works(role))
        .map(|role| role.role.as_str())
        .collect();
    let announced = ["snapshot", "timestamp"]
        .iter()
        .all(|role| of(roles, role).is_some_and(works));
    if !products.is_empty() && announced {
        steps.push(step(
            format!(
                "use that time: a last release of {} can carry the first root of the new repository below, and begin again by \
                 itself (`updater bootstrap --again`)",
                products.join(", ")
            ),
            Vec::new(),
        ));
    }
    revoke(facts, people, &mut steps);
    for (name, (_, signs)) in people {
        steps.push(new_key(name, signs));
    }
    steps.push(new_repository(facts, people));
    let folder = quoted(&facts.folder_of_new());
    let everybody = facts
        .people_roles()
        .iter()
        .flat_map(|role| signers(facts, people, role))
        .collect::<BTreeSet<String>>();
    let mut commands = vec![format!("repo-tool show {folder}")];
    commands.extend(everybody.iter().map(|name| {
        let key = quoted(&format!("{name}.key"));
        format!("repo-tool sign {folder} --key {key}")
    }));
    commands.push(format!("repo-tool publish {folder}"));
    steps.push(step(
        "sign it, add the revocation lists and the releases, and publish it",
        commands,
    ));
    steps.push(step(
        "on every device, by hand or by that last release: forget the old root, and begin with the new one",
        vec!["updater bootstrap --again".to_owned()],
    ));
    steps
}

/// Files of the people of a role, without their endings: those whose keys are gone come with new ones.
fn signers(facts: &Facts, people: &Concerned, role: &RoleName) -> BTreeSet<String> {
    let by = facts.authority(role);
    let ids = by.iter().flat_map(|by| {
        let named = |id| holder_name(by.certificates, id);
        by.role.key_ids.iter().map(named)
    });
    ids.map(|name| match people.contains_key(&name) {
        true => format!("{name}-new"),
        false => name,
    })
    .collect()
}

fn new_repository(facts: &Facts, people: &Concerned) -> Step {
    let folder = quoted(&facts.folder_of_new());
    let named = |option: &str, role: &RoleName| -> String {
        let chains = signers(facts, people, role);
        let each = chains
            .iter()
            .map(|name| format!(" {option} {}", quoted(&format!("{name}.pem"))));
        each.collect()
    };
    let threshold = |role: &RoleName| {
        facts
            .authority(role)
            .map_or(1, |by| by.role.threshold.get())
    };
    let (root, targets) = (RoleName::root(), RoleName::targets());
    let mut init = format!(
        "repo-tool init {folder} --anchor {}/anchor.pem --device-minimum {}{} --threshold {}{} --targets-threshold {}",
        quoted(&facts.folder),
        facts.minimum,
        named("--root-signer", &root),
        threshold(&root),
        named("--targets-signer", &targets),
        threshold(&targets)
    );
    let products: Vec<RoleName> = facts.people_roles().into_iter().skip(2).collect();
    if let Some(product) = products.first() {
        init += &format!(
            " --product {product}{} --product-threshold {}",
            named("--product-signer", product),
            threshold(product)
        );
    }
    let others = products.iter().skip(1).map(|product| {
        format!(
            "repo-tool add-product {folder} {product}{} --threshold {}",
            named("--signer", product),
            threshold(product)
        )
    });
    let commands = std::iter::once(init).chain(others).collect();
    step(
        "a new repository, which begins at root v1; have more people for root than its threshold needs",
        commands,
    )
}
