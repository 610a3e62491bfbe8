//! Two copies of a repository that hold different events: what differs, who signed what, what to do.

use std::collections::BTreeSet;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::{RoleName, Version};
use schemars::JsonSchema;
use serde::Serialize;

use crate::authority::{signer_name, staged_version};
use crate::event::EventId;
use crate::repository::State;
use crate::schema::words::Sha256;
use crate::staged::SignatureFile;

/// Another copy with another event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OtherEvent {
    /// The copy.
    pub source: String,
    /// The event that is staged in it; none if nothing is.
    #[schemars(with = "Option<Sha256>")]
    pub event: Option<EventId>,
    /// Roles whose drafts differ.
    pub differences: Vec<Difference>,
    /// Whether the copies start from different published states, and which is ahead.
    pub base: Option<String>,
    /// What to do about it.
    pub advice: Vec<String>,
}

/// A role of which two copies have different drafts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The role.
    pub role: String,
    /// The draft here.
    pub here: Option<Draft>,
    /// The draft in the other copy.
    pub there: Option<Draft>,
}

/// A draft, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Draft {
    /// Its version.
    pub version: u64,
    /// SHA-256 of the bytes to be signed.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// Names of those who signed it.
    pub signed_by: Vec<String>,
}

fn draft(state: &State, role: &RoleName) -> Option<Draft> {
    let envelope = state.staged.roles.get(role)?;
    let signers = envelope.signatures.iter();
    Some(Draft {
        version: staged_version(state, role),
        sha256: Sha256Digest::of(&envelope.payload()),
        signed_by: signers.map(|s| signer_name(state, role, &s.key)).collect(),
    })
}

pub(super) fn compare(source: &str, here: &State, there: &State) -> OtherEvent {
    let roles: BTreeSet<&RoleName> = here
        .staged
        .roles
        .keys()
        .chain(there.staged.roles.keys())
        .collect();
    let mut differences = Vec::new();
    for role in roles {
        let (ours, theirs) = (draft(here, role), draft(there, role));
        let digest = |draft: &Option<Draft>| draft.as_ref().map(|draft| draft.sha256);
        if digest(&ours) != digest(&theirs) {
            differences.push(Difference {
                role: role.to_string(),
                here: ours,
                there: theirs,
            });
        }
    }
    let base = base(here, there);
    let advice = advice(&differences, base.is_some(), there.staged.is_empty());
    OtherEvent {
        source: source.to_owned(),
        event: there.event_id(),
        differences,
        base,
        advice,
    }
}

/// How the published states differ that the two events start from.
fn base(here: &State, there: &State) -> Option<String> {
    let of = |state: &State| -> Vec<(RoleName, u64)> {
        let top = [RoleName::root(), RoleName::targets()];
        let roles = here
            .staged
            .roles
            .keys()
            .chain(there.staged.roles.keys())
            .cloned();
        let roles: BTreeSet<RoleName> = roles.chain(top).collect();
        let version = |role: &RoleName| state.published_version(role).map_or(0, Version::number);
        roles
            .into_iter()
            .map(|role| {
                let v = version(&role);
                (role, v)
            })
            .collect()
    };
    let (ours, theirs) = (of(here), of(there));
    let differing: Vec<String> = ours
        .iter()
        .zip(&theirs)
        .filter(|((_, a), (_, b))| a != b)
        .map(|((role, a), (_, b))| format!("{role} v{a} here, v{b} there"))
        .collect();
    if !differing.is_empty() {
        return Some(format!("published: {}", differing.join("; ")));
    }
    let root = |state: &State| state.published.root.clone();
    (root(here) != root(there)).then(|| "published: another root of the same version".to_owned())
}

fn advice(differences: &[Difference], other_base: bool, empty: bool) -> Vec<String> {
    let mut advice = Vec::new();
    if empty {
        advice.push(
            "nothing is staged there: copy `staged` from here, and have it signed there".to_owned(),
        );
        return advice;
    }
    if other_base {
        advice.push("bring both copies to the same published state first, and stage anew what was overtaken".to_owned());
    }
    let unsigned = |side: fn(&Difference) -> &Option<Draft>| {
        let drafts = differences.iter().filter_map(move |d| side(d).as_ref());
        drafts.map(|draft| draft.signed_by.len()).sum::<usize>()
    };
    let (here, there) = (unsigned(|d| &d.here), unsigned(|d| &d.there));
    if !differences.is_empty() {
        let fewer = if here < there { "here" } else { "there" };
        advice.push(format!(
            "agree on one of them: fewer signatures are lost if the event is dropped {fewer} (`repo-tool unstage`)"
        ));
        advice.push(
            "then copy the other's `staged` folder, and stage what was dropped in an event after it".to_owned(),
        );
    }
    advice
}

/// The signatures of another copy, as files.
pub(super) fn signatures(source: &str, state: &State) -> Vec<(String, SignatureFile)> {
    let mut files = Vec::new();
    for (role, envelope) in &state.staged.roles {
        let sha256 = Sha256Digest::of(&envelope.payload());
        for signature in &envelope.signatures {
            let file = SignatureFile {
                role: Some(role.clone()),
                sha256: Some(sha256),
                key: signature.key.clone(),
                signature: Some(signature.bytes.clone()),
            };
            files.push((source.to_owned(), file));
        }
    }
    files
}
