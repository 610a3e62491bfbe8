//! Who has signed, who is missing, and what expires when.

use std::collections::BTreeMap;

use metadata_schema::bins;
use metadata_schema::envelope::Envelope;
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::Common;
use metadata_schema::threshold::{Tally, tally};
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::SharedGate;
use serde::Serialize;

use crate::authority::{Ballot, ballots, staged_version};
use crate::error::Result;
use crate::keyholder::{certificate_of, holder_name};
use crate::repository::{Repository, State};
use crate::sign::is_online;

/// How an event and the repository stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Staged roles.
    pub staged: Vec<StagedRole>,
    /// Whether something is staged and every threshold is reached.
    pub ready: bool,
    /// What is published, the first to expire first.
    pub published: Vec<Expiry>,
}

/// A staged role and its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StagedRole {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// Groups of people of whom a threshold must sign; none if the online key signs at publishing.
    pub groups: Vec<Group>,
}

/// A group of people of whom a threshold must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The metadata that names the group.
    pub by: &'static str,
    /// Signatures that are needed.
    pub threshold: u32,
    /// Whether that many count.
    pub reached: bool,
    /// Its people.
    pub signers: Vec<Signer>,
}

/// Somebody who may sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// Name, from the certificate.
    pub name: String,
    /// Id of the key.
    pub key: String,
    /// Until when the certificate is valid.
    pub certificate_until: Option<Timestamp>,
    /// Whether they have signed.
    pub state: Signed,
}

/// Whether somebody has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signed {
    /// Not yet.
    Missing,
    /// Yes, and it counts.
    Counts,
    /// Yes, and it does not count.
    Refused(String),
}

/// When a published role expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// The role; `PRODUCT~*` for the bins of a product, of which the first to expire counts.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// Seconds until then; negative if it has.
    pub seconds_left: i64,
}

impl Repository {
    /// How the staged event and the published repository stand at `now`.
    ///
    /// # Errors
    /// If files of the folder cannot be read.
    pub fn status(&self, now: Timestamp) -> Result<Status> {
        let state = self.state()?;
        let gate: SharedGate = self.gate(&state)?;
        let mut staged = Vec::new();
        for (role, envelope) in &state.staged.roles {
            let mut groups = Vec::new();
            if !is_online(role) {
                for ballot in ballots(&state, role)? {
                    groups.push(group(role, envelope, &ballot, &gate, now)?);
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
        Ok(Status {
            staged,
            ready,
            published: expiries(&state, now)?,
        })
    }
}

fn group(
    role: &RoleName,
    envelope: &Envelope,
    ballot: &Ballot<'_>,
    gate: &SharedGate,
    now: Timestamp,
) -> Result<Group> {
    let authority = ballot.authority;
    let counted = tally(role, envelope, &authority, &**gate, ballot.when(now));
    let signers = authority.role.key_ids.iter().map(|id| Signer {
        name: holder_name(authority.certificates, id),
        key: id.to_string(),
        certificate_until: certificate_of(authority.certificates, id).map(|c| c.not_after()),
        state: signed(id, envelope, &counted),
    });
    Ok(Group {
        by: ballot.by,
        threshold: counted.needed,
        reached: counted.reached(),
        signers: signers.collect(),
    })
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

/// By role; of all bins of a product, the first to expire.
fn expiries(state: &State, now: Timestamp) -> Result<Vec<Expiry>> {
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
        let name = bins::product_of(name).map_or_else(|| name.to_string(), |p| format!("{p}~*"));
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
            Some(Expiry {
                role,
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
