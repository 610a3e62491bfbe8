//! The name of a signing event: a digest over the drafts that are staged and over what they are based on. Two people who
//! read the same id have the same drafts before them, upon the same published state.

use std::fmt;

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::json::{Json, Object};
use metadata_schema::name::RoleName;
use metadata_schema::roles::Role as _;
use serde::{Serialize, Serializer};

use crate::repository::State;

/// Hex digits that suffice to name an event to a program. Half of the digest: who writes the drafts could find two events
/// whose first 16 digits are the same, but not two that share 32.
pub const LEAST_DIGITS: usize = 32;
/// Hex digits that people are shown where the id only has to be told from others.
const SHORT: usize = 12;

/// SHA-256 of what is staged: see `docs/FORMATS.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(Sha256Digest);

impl EventId {
    /// Its first digits: enough to tell events apart, not to sign by.
    pub fn short(&self) -> String {
        self.0.to_string().chars().take(SHORT).collect()
    }

    /// Whether `text` means this event: the whole id, or at least [`LEAST_DIGITS`] of its digits.
    pub fn is_named_by(&self, text: &str) -> bool {
        text.len() >= LEAST_DIGITS && self.0.to_string().starts_with(&text.to_ascii_lowercase())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl State {
    /// The id of what is staged; none if nothing is.
    pub(crate) fn event_id(&self) -> Option<EventId> {
        if self.staged.is_empty() {
            return None;
        }
        let mut roles = Object::new();
        let mut base = Object::new();
        if let Some(root) = &self.published.root {
            let digest = Sha256Digest::of(&root.to_json().canonical());
            base.insert("root".to_owned(), digest.into());
        }
        for (role, draft) in &self.staged.roles {
            let digest = Sha256Digest::of(&draft.payload());
            roles.insert(role.to_string(), digest.into());
            if let Some(file) = self.listed(role) {
                base.insert(role.to_string(), file.into());
            }
        }
        let event = Json::object([("base", Json::Object(base)), ("roles", Json::Object(roles))]);
        Some(EventId(Sha256Digest::of(&event.canonical())))
    }

    /// Version and digest of the published file of a role, as the snapshot lists it.
    fn listed(&self, role: &RoleName) -> Option<String> {
        let file = self.published.snapshot.as_ref()?.file(role)?;
        let digest = file.hashes.as_ref().map(Hashes::file_prefix);
        Some(format!("{} {}", file.version, digest.unwrap_or_default()))
    }
}
