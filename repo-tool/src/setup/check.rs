//! What is wrong with a set-up: everything at once, so that it is mended in one go.

use std::collections::{BTreeMap, BTreeSet};

use device_pki::Gate;
use metadata_schema::gate::{SignerGate as _, When};
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;

use super::overlap::overlap;
use crate::init::{InitPlan, Signers};
use crate::keyholder::Keyholder;
use crate::products::own_paths;
use crate::settings::Settings;
use crate::trust;

/// What stands against a plan, and what somebody should know about it.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }
}

/// Checks everything that a plan says by itself; `paths` are more patterns by product.
pub(super) fn check(
    plan: &InitPlan,
    paths: &BTreeMap<String, Vec<String>>,
    now: Timestamp,
    findings: &mut Findings,
) {
    let gate = trust::gate(&plan.anchor, Vec::new(), &plan.settings.device_minimum);
    signers(
        &gate,
        &RoleName::root(),
        &plan.root,
        &plan.settings,
        now,
        findings,
    );
    signers(
        &gate,
        &RoleName::targets(),
        &plan.targets,
        &plan.settings,
        now,
        findings,
    );
    let mut seen = BTreeSet::new();
    for product in &plan.products {
        match product.role() {
            Ok(role) => signers(
                &gate,
                &role,
                &product.signers,
                &plan.settings,
                now,
                findings,
            ),
            Err(error) => findings.problem(error.to_string()),
        }
        if !seen.insert(product.name.as_str()) {
            findings.problem(format!("product {} is there twice", product.name));
        }
    }
    patterns(plan, paths, findings);
    findings.problems.extend(plan.settings.short_periods());
}

/// The people of one role.
fn signers(
    gate: &Gate,
    role: &RoleName,
    signers: &Signers,
    settings: &Settings,
    now: Timestamp,
    findings: &mut Findings,
) {
    let expires = settings.expiry_days.expiry(role, now);
    let chains: Vec<Vec<String>> = signers.people.iter().map(Keyholder::pem_chain).collect();
    let people = signers.people.iter().zip(&chains);
    let people: Vec<_> = people
        .map(|(person, chain)| (person.name(), person.key(), chain.as_slice()))
        .collect();
    let when = When::At(now);
    let wrong = trust::problems(gate, role, &people, signers.threshold, when);
    for error in &wrong {
        findings.problem(error.to_string());
    }
    for person in &signers.people {
        let name = person.name();
        let ends = person
            .chain()
            .iter()
            .map(device_pki::Certificate::not_after)
            .min();
        if let Some(ends) = ends.filter(|ends| *ends < expires) {
            findings.warnings.push(format!(
                "{role}: a certificate of {name} ends on {}, before the metadata does on {}: their signature stops counting then",
                day(ends),
                day(expires)
            ));
        }
    }
    let threshold = signers.threshold.get();
    let count = u32::try_from(people.len()).unwrap_or(u32::MAX);
    if wrong.is_empty() && threshold == count {
        findings.warnings.push(format!(
            "{role}: all {count} people must sign: one lost key locks you out"
        ));
    }
    let minimum = gate.requirement(role).holders;
    if minimum > threshold {
        findings.problem(format!(
            "{role}: threshold {threshold}, but devices ask for {minimum} (device-minimum): raise the threshold"
        ));
    }
}

/// Path patterns of two products that have a path in common: the first product would answer for it.
fn patterns(plan: &InitPlan, paths: &BTreeMap<String, Vec<String>>, findings: &mut Findings) {
    let all: Vec<(&str, Vec<String>)> = plan
        .products
        .iter()
        .map(|product| {
            let name = product.name.as_str();
            let mut patterns = own_paths(&product.name);
            patterns.extend(paths.get(name).into_iter().flatten().cloned());
            (name, patterns)
        })
        .chain([("pki", vec!["pki/*.crl".to_owned()])])
        .collect();
    for (index, (name, patterns)) in all.iter().enumerate() {
        for (other, others) in all.iter().skip(index.saturating_add(1)) {
            for pattern in patterns {
                for theirs in others.iter().filter(|theirs| overlap(pattern, theirs)) {
                    if name != other {
                        findings.problem(format!(
                            "paths {pattern} of {name} and {theirs} of {other} overlap: devices would ask {name} only"
                        ));
                    }
                }
            }
        }
    }
}

/// The date alone.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}
