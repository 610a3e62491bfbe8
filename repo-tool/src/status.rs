//! Who has signed, who is missing, and what expires when.

mod next;

use std::collections::BTreeMap;

use metadata_schema::bins;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::envelope::Envelope;
use metadata_schema::gate::{PlainTuf, SignerGate};
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::Common;
use metadata_schema::threshold::{Tally, tally};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::audit::Head;
use crate::authority::{Ballot, ballots, staged_version};
use crate::error::Result;
use crate::event::EventId;
use crate::keyholder::{certificate_of, holder_name};
use crate::repository::{Repository, State};
use crate::schema::words::{Sha256, Time};
use crate::sign::is_online;

/// How an event and the repository stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// The event; none if nothing is staged.
    #[schemars(with = "Option<Sha256>")]
    pub event: Option<EventId>,
    /// Staged roles.
    pub staged: Vec<StagedRole>,
    /// Whether something is staged and every threshold is reached.
    pub ready: bool,
    /// What is published, the first to expire first.
    pub published: Vec<Expiry>,
    /// Where the audit log ends.
    pub audit: Option<Head>,
    /// What to do next, as commands and in words.
    pub next: Vec<String>,
}

/// A staged role and its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StagedRole {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// Groups of people of whom a threshold must sign; none if the online key signs at publishing.
    pub groups: Vec<Group>,
}

/// A group of people of whom a threshold must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Group {
    /// The metadata that names the group.
    pub by: &'static str,
    /// Signatures that are needed.
    pub threshold: u32,
    /// Signatures that are still missing.
    pub missing: u32,
    /// Whether enough count.
    pub reached: bool,
    /// Its people.
    pub signers: Vec<Signer>,
}

/// Somebody who may sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Signer {
    /// Name, from the certificate.
    pub name: String,
    /// Id of the key.
    pub key: String,
    /// Until when the certificate is valid.
    #[schemars(with = "Option<Time>")]
    pub certificate_until: Option<Timestamp>,
    /// Whether they have signed.
    pub state: Signed,
    /// Why a signature of theirs does not count or would not, such as a revoked certificate.
    pub barred: Option<String>,
}

/// Whether somebody has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signed {
    /// Not yet.
    Missing,
    /// Yes, and it counts.
    Counts,
    /// Yes, and it does not count.
    Refused(String),
    /// An earlier draft, which was replaced: they have to sign again.
    Earlier(#[schemars(with = "Sha256")] Sha256Digest),
}

/// When a published role expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Expiry {
    /// The role; `PRODUCT~*` for the bins of a product, of which the first to expire counts.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// Seconds until then; negative if it has.
    pub seconds_left: i64,
    /// When work on the next version should begin.
    #[schemars(with = "Time")]
    pub begin: Timestamp,
    /// Whether that time has come.
    pub due: bool,
}

impl Repository {
    /// How the staged event and the published repository stand at `now`.
    ///
    /// # Errors
    /// If files of the folder cannot be read.
    pub fn status(&self, now: Timestamp) -> Result<Status> {
        let state = self.state()?;
        let gate = self.gate(&state)?;
        let mut staged = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let mut groups = Vec::new();
            if !is_online(role) {
                let earlier = state.staged.earlier.get(role);
                for ballot in ballots(&state, role)? {
                    groups.push(group(role, envelope, earlier, &ballot, &gate, now));
                }
            }
            let (role, version) = (role.to_string(), staged_version(&state, role));
            staged.push(StagedRole {
                role,
                version,
                groups,
            });
        }
        let reached = staged
            .iter()
            .flat_map(|role| &role.groups)
            .all(|group| group.reached);
        let ready = !staged.is_empty() && reached;
        let mut status = Status {
            event: state.event_id(),
            staged,
            ready,
            published: self.expiries(&state, now)?,
            audit: self.audit_head()?,
            next: Vec::new(),
        };
        status.next = next::steps(&status, self.layout.folder());
        Ok(status)
    }
}

fn group(
    role: &RoleName,
    envelope: &Envelope,
    earlier: Option<&BTreeMap<KeyId, Sha256Digest>>,
    ballot: &Ballot<'_>,
    gate: &device_pki::Gate,
    now: Timestamp,
) -> Group {
    let authority = ballot.authority;
    let binding = gate;
    let gate: &dyn SignerGate = if ballot.is_bound() { gate } else { &PlainTuf };
    let counted = tally(role, envelope, &authority, gate, ballot.when(now));
    let signers = authority.role.key_ids.iter().map(|id| {
        let state = match earlier.and_then(|earlier| earlier.get(id)) {
            Some(draft) => Signed::Earlier(*draft),
            None => signed(id, envelope, &counted),
        };
        let chain = authority.certificates.chain(id);
        let bound = authority.keys.get(id).map(|key| match ballot.is_bound() {
            true => binding
                .bound(key, role, chain, ballot.when(now))
                .map(|_| ()),
            false => Ok(()),
        });
        Signer {
            name: holder_name(authority.certificates, id),
            key: id.to_string(),
            certificate_until: certificate_of(authority.certificates, id).map(|c| c.not_after()),
            barred: match (&state, bound) {
                (Signed::Refused(why), _) => Some(why.clone()),
                (_, Some(Err(refusal))) => Some(refusal.0),
                (_, None) => Some("the metadata has no such key".to_owned()),
                _ => None,
            },
            state,
        }
    });
    let have = u32::try_from(counted.counted.len()).unwrap_or(u32::MAX);
    Group {
        by: ballot.by,
        threshold: counted.needed,
        missing: counted.needed.saturating_sub(have),
        reached: counted.reached(),
        signers: signers.collect(),
    }
}

fn signed(id: &KeyId, envelope: &Envelope, counted: &Tally) -> Signed {
    if !envelope
        .signatures
        .iter()
        .any(|signature| signature.key == *id)
    {
        return Signed::Missing;
    }
    if counted.counted.iter().any(|(key, _)| key == id) {
        return Signed::Counts;
    }
    let why = counted.refused.iter().find(|(key, _)| key == id);
    Signed::Refused(why.map_or_else(|| "wrong signature".to_owned(), |(_, why)| why.clone()))
}

impl Repository {
    /// By role; of all bins of a product, the first to expire.
    fn expiries(&self, state: &State, now: Timestamp) -> Result<Vec<Expiry>> {
        let published = &state.published;
        let top = [
            (
                RoleName::root(),
                published.root.as_ref().map(|role| &role.common),
            ),
            (
                RoleName::targets(),
                published.targets.as_ref().map(|role| &role.common),
            ),
            (
                RoleName::snapshot(),
                published.snapshot.as_ref().map(|role| &role.common),
            ),
            (
                RoleName::timestamp(),
                published.timestamp.as_ref().map(|role| &role.common),
            ),
        ];
        let mut delegated: BTreeMap<String, &Common> = BTreeMap::new();
        for name in published.delegated_roles() {
            let Some(role) = published.delegated(name)? else {
                continue;
            };
            let name =
                bins::product_of(name).map_or_else(|| name.to_string(), |p| format!("{p}~*"));
            let first = delegated.entry(name).or_insert(&role.common);
            if role.common.expires < first.expires {
                *first = &role.common;
            }
        }
        let top = top.into_iter().map(|(name, role)| (name.to_string(), role));
        let delegated = delegated.into_iter().map(|(name, role)| (name, Some(role)));
        let mut expiries: Vec<Expiry> = top
            .chain(delegated)
            .filter_map(|(role, common)| {
                let common = common?;
                let begin = self.begin(&role, common.expires);
                Some(Expiry {
                    role,
                    begin,
                    due: begin <= now,
                    version: common.version.number(),
                    expires: common.expires,
                    seconds_left: common
                        .expires
                        .unix_seconds()
                        .saturating_sub(now.unix_seconds()),
                })
            })
            .collect();
        expiries.sort_by_key(|expiry| expiry.expires);
        Ok(expiries)
    }

    /// When work on the next version of a role, or of a product's bins, begins.
    fn begin(&self, role: &str, expires: Timestamp) -> Timestamp {
        let name = match role {
            "root" => RoleName::root(),
            "snapshot" => RoleName::snapshot(),
            "timestamp" => RoleName::timestamp(),
            name => RoleName::delegated(name).unwrap_or_else(|_| RoleName::targets()),
        };
        self.settings.begin_signing(&name, expires)
    }
}
