//! Joining signatures that were made apart, in any order. Each is verified against the draft that is staged here and against
//! the keys that may sign it before it is taken. Two different events are never mixed: the difference is told.

mod event;
mod source;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Signature;
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::{self, Action, Joined};
use crate::authority::{ballots, signer_name};
use crate::error::{Error, Result};
use crate::event::EventId;
use crate::repository::{Repository, State};
use crate::schema::words::Sha256;
use crate::sign::is_online;
use crate::staged::{SignatureFile, write_signature};
use source::Found;

pub use event::{Difference, Draft, OtherEvent};
pub use source::Offer;

/// What came of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MergeReport {
    /// The event that is staged here.
    #[schemars(with = "Option<Sha256>")]
    pub event: Option<EventId>,
    /// Signatures that were taken.
    pub added: Vec<Taken>,
    /// Signatures that were here already.
    pub already: Vec<Taken>,
    /// Signatures that were not taken.
    pub refused: Vec<Refused>,
    /// Copies that hold another event: nothing was taken from them.
    pub other_events: Vec<OtherEvent>,
    /// What became of the audit logs of other copies.
    pub logs: Vec<Joined>,
}

/// A signature that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Taken {
    /// The role.
    pub role: String,
    /// Whose.
    pub name: String,
    /// Id of the key.
    pub key: String,
}

/// A signature that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refused {
    /// Where it came from.
    pub source: String,
    /// The role that it is for, if it says so.
    pub role: Option<String>,
    /// Whose; the short key id of somebody unknown.
    pub name: String,
    /// Id of the key that it names.
    pub key: String,
    /// Why it was not taken.
    pub why: String,
}

impl Repository {
    /// Takes signatures from other places into the event that is staged here. To merge again changes nothing.
    ///
    /// # Errors
    /// If nothing is staged here, or an offer cannot be read. What does not fit is no error: it stands in the report.
    pub fn merge(&self, offers: &[Offer], now: Timestamp) -> Result<MergeReport> {
        let mut found = Vec::new();
        for offer in offers {
            found.push((offer.name(), offer.open()?));
        }
        let _lock = self.lock()?;
        let mut state = self.state()?;
        if state.staged.is_empty() {
            return Err(Error::NothingStaged {
                path: self.layout.folder().to_owned(),
            });
        }
        let mut report = MergeReport {
            event: state.event_id(),
            ..MergeReport::default()
        };
        for (name, found) in found {
            let files = match found {
                Found::Files(files) => files,
                Found::Copy(copy) => {
                    let theirs = copy.state()?;
                    if theirs.event_id() != report.event {
                        let other = event::compare(&name, &state, &theirs);
                        report.other_events.push(other);
                        continue;
                    }
                    report
                        .logs
                        .extend(self.join_log(&copy.layout.audit(), now)?);
                    event::signatures(&name, &theirs)
                }
            };
            for (source, file) in files {
                self.take(&mut state, &source, &file, &mut report)?;
            }
        }
        self.record_merge(&state, &report, now)?;
        Ok(report)
    }

    fn take(
        &self,
        state: &mut State,
        source: &str,
        file: &SignatureFile,
        report: &mut MergeReport,
    ) -> Result<()> {
        let key = file.key.to_string();
        let stated = file.role.clone();
        let name = |role: &RoleName| signer_name(state, role, &file.key);
        match check(state, file) {
            Err(why) => report.refused.push(Refused {
                source: source.to_owned(),
                name: stated.as_ref().map_or_else(|| file.key.short(), name),
                role: stated.map(|role| role.to_string()),
                key,
                why,
            }),
            Ok((role, signature)) => {
                let taken = Taken {
                    name: name(&role),
                    role: role.to_string(),
                    key,
                };
                let keys = ballots_keys(state, &role, file)?;
                let Some(envelope) = state.staged.roles.get_mut(&role) else {
                    return Ok(());
                };
                let payload = envelope.payload();
                let here = envelope
                    .signatures
                    .iter()
                    .find(|other| other.key == file.key);
                let good = here.is_some_and(|here| {
                    keys.iter()
                        .any(|key| key.verify(&payload, &here.bytes).is_ok())
                });
                if good {
                    report.already.push(taken);
                } else {
                    write_signature(&self.layout, &role, &payload, &signature)?;
                    envelope.signatures.retain(|other| other.key != file.key);
                    envelope.signatures.push(signature);
                    report.added.push(taken);
                }
            }
        }
        Ok(())
    }

    fn record_merge(&self, state: &State, report: &MergeReport, now: Timestamp) -> Result<()> {
        let mut lines = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let added = report
                .added
                .iter()
                .filter(|taken| taken.role == role.as_str());
            let keys: Vec<_> = envelope
                .signatures
                .iter()
                .map(|signature| &signature.key)
                .filter(|key| added.clone().any(|taken| taken.key == key.as_str()))
                .cloned()
                .collect();
            if !keys.is_empty() {
                lines.push(Self::signature_line(state, role, envelope, &keys));
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.record(now, audit::deed(Action::Merge, report.event, lines))
    }
}

/// The keys under this id that may sign a role.
fn ballots_keys(state: &State, role: &RoleName, file: &SignatureFile) -> Result<Vec<PublicKey>> {
    let ballots = ballots(state, role)?;
    let keys = ballots.iter().filter_map(|ballot| {
        let authority = ballot.authority;
        authority
            .role
            .key_ids
            .contains(&file.key)
            .then(|| authority.keys.get(&file.key))
            .flatten()
            .cloned()
    });
    Ok(keys.collect())
}

/// Whether a signature fits a staged draft, and which.
///
/// # Errors
/// Why it does not.
fn check(state: &State, file: &SignatureFile) -> Result<(RoleName, Signature), String> {
    let Some(bytes) = &file.signature else {
        return Err("it was voided when another draft was staged".to_owned());
    };
    let role = match (&file.role, &file.sha256) {
        (Some(role), _) => role.clone(),
        (None, Some(sha256)) => {
            let over = |(role, draft): (&RoleName, &metadata_schema::envelope::Envelope)| {
                (Sha256Digest::of(&draft.payload()) == *sha256).then(|| role.clone())
            };
            let found = state.staged.roles.iter().find_map(over);
            found.ok_or_else(|| format!("it covers sha256 {sha256}, which no staged draft has"))?
        }
        (None, None) => {
            return Err("it says neither for which role nor over which bytes".to_owned());
        }
    };
    let Some(envelope) = state.staged.roles.get(&role) else {
        return Err(format!("{role} is not staged here"));
    };
    if is_online(&role) {
        return Err(format!("{role} is signed by the online key at publishing"));
    }
    let payload = envelope.payload();
    let here = Sha256Digest::of(&payload);
    if let Some(theirs) = file.sha256.filter(|theirs| *theirs != here) {
        return Err(format!(
            "it covers another draft of {role}: sha256 {theirs}, the one staged here has {here}"
        ));
    }
    let keys = ballots_keys(state, &role, file).map_err(|error| error.to_string())?;
    if keys.is_empty() {
        return Err(format!("the key is not among the signers of {role}"));
    }
    if !keys.iter().any(|key| key.verify(&payload, bytes).is_ok()) {
        return Err(format!(
            "the signature is wrong: it does not fit sha256 {here} and this key"
        ));
    }
    let signature = Signature {
        key: file.key.clone(),
        bytes: bytes.clone(),
    };
    Ok((role, signature))
}
