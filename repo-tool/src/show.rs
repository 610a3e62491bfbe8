//! A staged event in words: what a signer reads before signing.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::TargetFile;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::authority::{staged_version, voided};
use crate::describe::{self, SmallFiles};
use crate::error::Result;
use crate::event::EventId;
use crate::repository::{Repository, State};
use crate::schema::words::{Sha256, Time};

/// A staged event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Event {
    /// The name of the event; none if nothing is staged.
    #[schemars(with = "Option<Sha256>")]
    pub id: Option<EventId>,
    /// What changes, by role.
    pub changes: Vec<Change>,
}

/// What changes in one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// The role.
    pub role: String,
    /// The version that is published; none if the role is new.
    pub from_version: Option<u64>,
    /// The version that is staged.
    pub to_version: u64,
    /// When it will expire.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// SHA-256 of the bytes that are signed: two signers who read the same digest sign the same.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// What changes, in sentences.
    pub lines: Vec<String>,
    /// People who signed an earlier draft: they have to sign again.
    pub voided: Vec<String>,
}

impl Repository {
    /// Describes what is staged, compared with what is published.
    ///
    /// # Errors
    /// If files of the folder cannot be read.
    pub fn show(&self) -> Result<Event> {
        self.event(&self.state()?)
    }

    /// What is staged in `state`, in words.
    pub(crate) fn event(&self, state: &State) -> Result<Event> {
        let mut changes = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let (expires, lines) = self.describe(state, role)?;
            changes.push(Change {
                role: role.to_string(),
                from_version: state.published_version(role).map(Version::number),
                to_version: staged_version(state, role),
                expires,
                sha256: Sha256Digest::of(&envelope.payload()),
                lines,
                voided: voided(state, role),
            });
        }
        Ok(Event {
            id: state.event_id(),
            changes,
        })
    }

    fn describe(&self, state: &State, role: &RoleName) -> Result<(Timestamp, Vec<String>)> {
        if let (true, Some(root)) = (role.as_str() == "root", &state.staged.root) {
            let lines = describe::root(state.published.root.as_ref(), root);
            return Ok((root.common.expires, lines));
        }
        let (old, new) = if role.as_str() == "targets" {
            (
                state.published.targets.as_ref(),
                state.staged.targets.as_ref(),
            )
        } else {
            (
                state.published.delegated(role)?,
                state.staged.delegated.get(role),
            )
        };
        let Some(new) = new else {
            return Ok((Timestamp::EPOCH, Vec::new()));
        };
        let lines = describe::targets(role, old, new, self)?;
        Ok((new.common.expires, lines))
    }
}

impl SmallFiles for Repository {
    /// What is to be signed must be there.
    fn small(
        &self,
        role: &RoleName,
        path: &str,
        file: &TargetFile,
        limit: u64,
    ) -> Result<Option<Vec<u8>>> {
        let path = TargetPath::new(path)?;
        self.read_target(role, &path, file, limit).map(Some)
    }
}
