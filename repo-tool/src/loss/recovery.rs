//! The way back: commands, in order.
//!
//! They are written for a folder with the PKI in `pki/`, and a file `NAME.key` with each person's key, as `docs/OPERATIONS.md` has
//! them; the new keys are `NAME-new.key`. Whoever keeps them elsewhere, on a token for instance, changes those words.

mod anew;

use std::collections::{BTreeMap, BTreeSet};

use metadata_schema::name::RoleName;
use schemars::JsonSchema;
use serde::Serialize;

use super::missing::Fate;
use super::{Facts, Missing, RoleLoss, is_top, of};

/// One step of the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What for, and who does it.
    pub why: String,
    /// The commands; none for what is not done with these programs.
    pub commands: Vec<String>,
}

fn step(why: impl Into<String>, commands: Vec<String>) -> Step {
    Step {
        why: why.into(),
        commands,
    }
}

/// Everything to be done.
pub(super) fn steps(facts: &Facts, missing: &Missing, roles: &[RoleLoss]) -> Vec<Step> {
    let mut steps = Vec::new();
    let root_signs = of(roles, "root").is_some_and(|root| root.can_sign);
    let people = people(facts, missing);
    let machines: Vec<&str> = missing.machines.keys().copied().collect();
    if !missing.cas.is_empty() {
        steps.push(certifier(missing));
    }
    if people.is_empty() && machines.is_empty() {
        if missing.cas.is_empty() {
            let why = "nobody who signs today is concerned: the keys were retired before. Devices that sleep follow once they meet \
                       the newer roots";
            steps.push(step(why, Vec::new()));
        }
        return steps;
    }
    let touches_root = !machines.is_empty() || roles_of(&people).iter().any(|role| is_top(role));
    if touches_root && !root_signs {
        steps.extend(anew::without_root(facts, roles, &people));
        return steps;
    }
    revoke(facts, &people, &mut steps);
    for (name, (_, signs)) in &people {
        steps.push(new_key(name, signs));
    }
    if !people.is_empty() {
        steps.push(replace(facts, &people));
    }
    if !machines.is_empty() {
        let roles = machines.join(" ");
        let why = "new keys for the machine that publishes, once it is clean; the old ones are void when the new root is published";
        let command = format!("repo-tool rotate-online {} {roles}", quoted(&facts.folder));
        steps.push(step(why, vec![command]));
    }
    steps.push(signatures(facts, roles, &people, touches_root));
    let folder = quoted(&facts.folder);
    steps.push(step(
        "publish, and read it as a device does",
        vec![
            format!("repo-tool publish {folder}"),
            format!("repo-tool verify {folder} --anchor {folder}/anchor.pem"),
        ],
    ));
    if of(roles, "root").is_some_and(|root| root.thief_can_sign) {
        steps.push(step(
            "devices that have met a root of the thief's do not come back by themselves: on those, under the new revocation lists",
            vec!["updater bootstrap --again".to_owned()],
        ));
    }
    if roles.iter().any(|role| role.thief_can_sign) {
        let signed: Vec<&str> = roles
            .iter()
            .filter(|role| {
                role.thief_can_sign && (is_product(&role.role) || role.role == "targets")
            })
            .map(|role| role.role.as_str())
            .collect();
        steps.extend(after_a_thief(&signed));
    }
    steps
}

/// The people of today's roles whose keys are gone: what became of their keys, and which roles they sign.
type Concerned = BTreeMap<String, (Fate, BTreeSet<RoleName>)>;

fn people(facts: &Facts, missing: &Missing) -> Concerned {
    let mut people = Concerned::new();
    for role in facts.people_roles() {
        for (name, fate) in facts
            .authority(&role)
            .iter()
            .flat_map(|by| missing.people(by))
        {
            let person = people.entry(name).or_default();
            person.0.lost |= fate.lost;
            person.0.stolen |= fate.stolen;
            person.1.insert(role.clone());
        }
    }
    people
}

fn roles_of(people: &Concerned) -> BTreeSet<&RoleName> {
    people.values().flat_map(|(_, roles)| roles).collect()
}

fn certifier(missing: &Missing) -> Step {
    let names: Vec<&str> = missing.cas.iter().map(String::as_str).collect();
    step(
        format!(
            "{}: revoke it with the CA above it and publish the list (of the root CA: ship another anchor in signed firmware), make a \
             new CA, and have it certify the same people's keys; then put the new certificates in the old ones' place with \
             `repo-tool signers replace`, list and certificates in one event",
            names.join(", ")
        ),
        Vec::new(),
    )
}

fn revoke(facts: &Facts, people: &Concerned, steps: &mut Vec<Step>) {
    let stolen = people.iter().filter(|(_, (fate, _))| fate.stolen);
    let mut commands: Vec<String> = stolen
        .map(|(name, _)| format!("device-pki revoke pki {}", quoted(name)))
        .collect();
    if commands.is_empty() {
        return;
    }
    commands.push(format!(
        "repo-tool add-crl {} pki/crl/*.crl --issuer pki/device-issuing-ca/ca.pem --issuer pki/server-ca/ca.pem",
        quoted(&facts.folder)
    ));
    let why = "the keeper of the CA revokes the stolen keys' certificates, before there are new ones of the same names; the list goes out \
               with the rest";
    steps.push(step(why, commands));
}

fn new_key(name: &str, signs: &BTreeSet<RoleName>) -> Step {
    let role = |role: &RoleName| {
        let prefix = if is_top(role) { "" } else { "delegated:" };
        format!("--role {prefix}{role}")
    };
    let roles: Vec<String> = signs.iter().map(role).collect();
    let (key, public) = (
        quoted(&format!("{name}-new.key")),
        quoted(&format!("{name}-new.pub")),
    );
    let (chain, holder) = (quoted(&format!("{name}-new.pem")), quoted(name));
    step(
        format!("a new key for {name} (or a successor), certified by the keeper of the CA"),
        vec![
            format!("repo-tool keygen {key} --public {public}"),
            format!(
                "device-pki issue-signer pki --name {holder} --public-key {public} {}",
                roles.join(" ")
            ),
            format!("cp pki/signers/{holder}/chain.pem {chain}"),
        ],
    )
}

/// All of them in one command: one after the other, the first would be refused if too few of the rest count.
fn replace(facts: &Facts, people: &Concerned) -> Step {
    let pairs = people.keys().map(|name| {
        let chain = quoted(&format!("{name}-new.pem"));
        format!(" {} {chain}", quoted(name))
    });
    let pairs: String = pairs.collect();
    let command = format!("repo-tool signers replace {}{pairs}", quoted(&facts.folder));
    step("the new keys take the old ones' place", vec![command])
}

/// As few people as will do: those who can still sign, and where they are not enough, the new keys.
fn signatures(facts: &Facts, roles: &[RoleLoss], people: &Concerned, touches_root: bool) -> Step {
    let mut old: BTreeSet<&str> = BTreeSet::new();
    let mut new: BTreeSet<&str> = BTreeSet::new();
    // Products alone are changed by targets; root need not sign then.
    let signing = roles.iter().filter(|role| {
        let is_root = role.role == "root";
        let is_machine = matches!(role.role.as_str(), "snapshot" | "timestamp" | "pki");
        !is_machine && (!is_root || touches_root)
    });
    for role in signing {
        let needed = usize::try_from(role.needed).unwrap_or(usize::MAX);
        let mut count = role
            .able
            .iter()
            .filter(|name| old.contains(name.as_str()))
            .count();
        for name in &role.able {
            if count < needed && old.insert(name) {
                count = count.saturating_add(1);
            }
        }
        for (name, (_, signs)) in people {
            let theirs = signs.iter().any(|signed| signed.as_str() == role.role);
            if count < needed && theirs {
                new.insert(name);
                count = count.saturating_add(1);
            }
        }
    }
    let sign = |name: &str, ending: &str| {
        let key = quoted(&format!("{name}{ending}"));
        format!("repo-tool sign {} --key {key}", quoted(&facts.folder))
    };
    let mut commands = vec![format!("repo-tool show {}", quoted(&facts.folder))];
    commands.extend(old.iter().map(|name| sign(name, ".key")));
    commands.extend(new.iter().map(|name| sign(name, "-new.key")));
    step("read it, and sign", commands)
}

/// Whether a role of a plan is a product's.
fn is_product(role: &str) -> bool {
    !matches!(role, "root" | "targets" | "snapshot" | "timestamp" | "pki")
}

fn after_a_thief(signed: &[&str]) -> Vec<Step> {
    let mut steps = vec![step(
        "compare what is on the mirrors with what you have published; whatever you have not made was the thief's",
        Vec::new(),
    )];
    if !signed.is_empty() {
        steps.push(step(
            format!(
                "a clean release of {} with a version and a security version above everything that was seen (`repo-tool add-release \
                 --security-version`), so that what the thief may have shipped never runs again",
                signed.join(", ")
            ),
            Vec::new(),
        ));
    }
    steps
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        return word.to_owned();
    }
    let guard = if word.starts_with('-') { "./" } else { "" };
    format!("'{guard}{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_do_not_become_commands() {
        assert_eq!(quoted("alice"), "alice");
        assert_eq!(quoted("O'Hara; rm"), "'O'\\''Hara; rm'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("-rf"), "'./-rf'");
    }
}
