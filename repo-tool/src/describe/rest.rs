//! What no other description speaks about: nothing that is signed changes in silence.

use std::collections::BTreeSet;

use metadata_schema::gate::CERTIFICATES_MEMBER;
use metadata_schema::json::{Json, Object};
use metadata_schema::roles::{ISSUED_MEMBER, ROLE_MEMBER};

/// Members of a role that something was said about.
#[derive(Default)]
pub(super) struct Told {
    members: Vec<&'static str>,
    lines: usize,
}

impl Told {
    /// If there are more lines than before, they tell what changes in these members.
    pub(super) fn members(&mut self, lines: &[String], members: &[&'static str]) {
        if lines.len() > self.lines {
            self.members.extend(members);
        }
        self.lines = lines.len();
    }
}

/// Whatever else differs: nothing that is signed may change in silence. Certificates that are exchanged count as well.
pub(super) fn rest(old: Option<Json>, new: &Json, told: &Told, lines: &mut Vec<String>) {
    let members = |json: Json| match json {
        Json::Object(members) => members,
        _ => Object::new(),
    };
    let first = old.is_none();
    let known: &[&str] = if first { &TARGETS_MEMBERS } else { &[] };
    let (old, new) = (old.map(members).unwrap_or_default(), members(new.clone()));
    let different = differing(&old, &new).into_iter().filter(|member| {
        let dated = ["version", "expires", ISSUED_MEMBER].contains(&member.as_str());
        !dated && !told.members.contains(&member.as_str()) && !known.contains(&member.as_str())
    });
    let different: Vec<String> = different.collect();
    if !different.is_empty() {
        lines.push(format!("changes the members {}", different.join(", ")));
    } else if lines.is_empty() && !first {
        lines.push("same content, later expiry".to_owned());
    }
}

/// What a role has from its first version on.
const TARGETS_MEMBERS: [&str; 9] = [
    "_type",
    "spec_version",
    "targets",
    "delegations",
    "keys",
    "roles",
    "consistent_snapshot",
    CERTIFICATES_MEMBER,
    ROLE_MEMBER,
];

/// Names of members that one of two objects has, or that differ.
fn differing(old: &Object, new: &Object) -> BTreeSet<String> {
    let names = old.keys().chain(new.keys());
    names
        .filter(|name| old.get(*name) != new.get(*name))
        .cloned()
        .collect()
}

/// Members that this program does not know: others may.
pub(super) fn unknown(what: &str, old: &Object, new: &Object, lines: &mut Vec<String>) {
    let names: Vec<String> = differing(old, new).into_iter().collect();
    if !names.is_empty() {
        lines.push(format!(
            "{what}: changes the unknown members {}",
            names.join(", ")
        ));
    }
}
