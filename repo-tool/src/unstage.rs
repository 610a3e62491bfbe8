//! Throwing away what is staged: the whole event, or some of its roles.

use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::{self, Action};
use crate::authority::{signer_name, staged_version};
use crate::error::{Error, Result};
use crate::event::EventId;
use crate::repository::Repository;
use crate::schema::words::Sha256;
use crate::staged;

/// What was thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Dropped {
    /// The event before.
    #[schemars(with = "Option<Sha256>")]
    pub event: Option<EventId>,
    /// Roles, and the versions that were staged.
    pub roles: Vec<(String, u64)>,
    /// Signatures that went with them: `NAME over ROLE`.
    pub signatures: Vec<String>,
}

impl Repository {
    /// Drops what is staged of these roles, or all of it if none are named. With signatures of people only if `anyway`.
    ///
    /// # Errors
    /// [`Error::Signed`] if there are signatures; [`Error::NothingStaged`] if there is nothing to drop.
    pub fn unstage(&self, roles: &[RoleName], anyway: bool, now: Timestamp) -> Result<Dropped> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let nothing = || Error::NothingStaged {
            path: self.layout.folder().to_owned(),
        };
        if state.staged.is_empty() {
            return Err(nothing());
        }
        let is_meant = |role: &RoleName| roles.is_empty() || roles.contains(role);
        if let Some(absent) = roles
            .iter()
            .find(|role| !state.staged.roles.contains_key(*role))
        {
            let expected = "a role that is staged: `repo-tool status` lists them";
            return Err(Error::argument("role", absent.as_str(), expected));
        }
        let mut dropped = Dropped {
            event: state.event_id(),
            roles: Vec::new(),
            signatures: Vec::new(),
        };
        for (role, envelope) in state.staged.roles.iter().filter(|(role, _)| is_meant(role)) {
            dropped
                .roles
                .push((role.to_string(), staged_version(&state, role)));
            let whose = envelope.signatures.iter();
            let whose = whose.map(|s| format!("{} over {role}", signer_name(&state, role, &s.key)));
            dropped.signatures.extend(whose);
        }
        if !anyway && !dropped.signatures.is_empty() {
            return Err(Error::Signed {
                whose: dropped.signatures,
            });
        }
        let mut lines = Self::event_lines(&state);
        lines.retain(|line| dropped.roles.iter().any(|(role, _)| *role == line.role));
        if dropped.roles.len() == state.staged.roles.len() {
            staged::clear(&self.layout)?;
        } else {
            for role in state.staged.roles.keys().filter(|role| is_meant(role)) {
                staged::remove_role(&self.layout, role)?;
            }
        }
        self.record(now, audit::deed(Action::Unstage, dropped.event, lines))?;
        Ok(dropped)
    }
}
