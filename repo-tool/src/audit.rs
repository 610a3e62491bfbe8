//! The audit log, `audit.jsonl`: who did what in a keepers' folder, one JSON object a line, each with the digest of the line
//! before. A line that is changed, taken out or put in breaks the chain after it.
//!
//! What it proves: somebody who noted the head (number and digest of the last line) sees later whether anything up to it was
//! changed. What it does not: whoever can write the folder can write the whole log anew, or cut its end off. What devices trust
//! are signatures, never this log.

mod join;
mod line;
mod log;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Envelope;
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;

use crate::authority::{ballots, staged_version};
use crate::error::Result;
use crate::event::EventId;
use crate::keyholder::certificate_of;
use crate::layout::Layout;
use crate::repository::{Repository, State};

pub use join::Joined;
pub use line::{Action, Deed, Fork, Line, RoleLine, SignerLine};
pub use log::{Head, Trail};

impl Repository {
    /// Reads the whole log and checks its chain, and those of logs that were joined to it.
    ///
    /// # Errors
    /// The first line that does not fit, by its number.
    pub fn audit(&self) -> Result<Trail> {
        log::read(&self.layout)
    }

    /// Where the log ends; none if there is none yet.
    ///
    /// # Errors
    /// If the end cannot be read or is damaged.
    pub fn audit_head(&self) -> Result<Option<Head>> {
        log::head(&self.layout)
    }

    /// Writes down what was done. The caller holds the lock.
    pub(crate) fn record(&self, at: Timestamp, deed: Deed) -> Result<()> {
        record(&self.layout, at, deed)
    }

    /// What a signature over a staged role comes to in the log.
    pub(crate) fn signature_line(
        state: &State,
        role: &RoleName,
        envelope: &Envelope,
        keys: &[KeyId],
    ) -> RoleLine {
        let mut line = RoleLine::new(role, staged_version(state, role));
        line.sha256 = Some(Sha256Digest::of(&envelope.payload()));
        for key in keys {
            let found = ballots(state, role)
                .unwrap_or_default()
                .iter()
                .find_map(|ballot| certificate_of(ballot.authority.certificates, key));
            line.signers.push(SignerLine::new(key, found.as_ref()));
        }
        line
    }

    /// The staged roles with the signatures that are there: what `publish` and `unstage` write down.
    pub(crate) fn event_lines(state: &State) -> Vec<RoleLine> {
        let lines = state.staged.roles.iter().map(|(role, envelope)| {
            let keys: Vec<KeyId> = envelope.signatures.iter().map(|s| s.key.clone()).collect();
            Self::signature_line(state, role, envelope, &keys)
        });
        lines.collect()
    }
}

/// Writes down what was done in a folder.
pub(crate) fn record(layout: &Layout, at: Timestamp, deed: Deed) -> Result<()> {
    log::append(layout, at, deed)
}

/// A deed in an event.
pub(crate) fn deed(action: Action, event: Option<EventId>, roles: Vec<RoleLine>) -> Deed {
    Deed {
        event: event.map(|event| event.to_string()),
        roles,
        ..Deed::new(action)
    }
}
