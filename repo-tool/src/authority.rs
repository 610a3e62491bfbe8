//! Who has to sign a staged role.

use metadata_schema::bins;
use metadata_schema::gate::When;
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Root, Targets};
use metadata_schema::threshold::Authority;
use metadata_schema::time::Timestamp;

use crate::error::Result;
use crate::keyholder::holder_name;
use crate::repository::State;

/// One group of people of whom a threshold must sign. A new root needs two: the old one's and its own.
#[derive(Clone, Copy)]
pub(crate) struct Ballot<'a> {
    /// Which group.
    pub(crate) by: &'static str,
    /// Its keys and threshold.
    pub(crate) authority: Authority<'a>,
    /// Whether certificates count as on the way over old roots, or at the time of publishing.
    in_force: bool,
}

impl Ballot<'_> {
    /// Whether these keys need certificates to count. Those of a root that another tool made have none: see
    /// [`crate::import`].
    pub(crate) fn is_bound(&self) -> bool {
        self.in_force || !self.authority.certificates.is_empty()
    }

    pub(crate) fn when(&self, now: Timestamp) -> When {
        if self.in_force {
            When::At(now)
        } else {
            When::Walk
        }
    }
}

/// The groups that have to sign what is staged for `role`; none if nobody delegates to it.
pub(crate) fn ballots<'a>(state: &'a State, role: &RoleName) -> Result<Vec<Ballot<'a>>> {
    Ok(match role.as_str() {
        "root" => {
            let old = state.published.root.as_ref().map(|root| Ballot {
                by: "the current root",
                authority: of_root(root),
                in_force: false,
            });
            let new = state.staged.root.as_ref().map(|root| Ballot {
                by: "the new root",
                authority: of_root(root),
                in_force: true,
            });
            old.into_iter().chain(new).collect()
        }
        "targets" => {
            let root = state.root();
            root.map(|root| Ballot {
                by: "root",
                authority: Authority {
                    role: &root.targets,
                    ..of_root(root)
                },
                in_force: true,
            })
            .into_iter()
            .collect()
        }
        _ => state
            .delegator(role)?
            .and_then(|delegator| of_delegated(delegator, role))
            .into_iter()
            .collect(),
    })
}

fn of_root(root: &Root) -> Authority<'_> {
    Authority {
        keys: &root.keys,
        role: &root.root,
        certificates: &root.certificates,
    }
}

fn of_delegated<'a>(targets: &'a Targets, role: &RoleName) -> Option<Ballot<'a>> {
    let delegations = targets.delegations.as_ref()?;
    let delegated = delegations.role(role)?;
    let by = match bins::product_of(role) {
        Some(_) => "the product's role",
        None => "targets",
    };
    Some(Ballot {
        by,
        authority: Authority {
            keys: &delegations.keys,
            role: &delegated.keys,
            certificates: &targets.certificates,
        },
        in_force: true,
    })
}

/// The version of a staged role, 0 if it is not staged.
pub(crate) fn staged_version(state: &State, role: &RoleName) -> u64 {
    let common = match role.as_str() {
        "root" => state.staged.root.as_ref().map(|root| &root.common),
        "targets" => state.staged.targets.as_ref().map(|targets| &targets.common),
        _ => state
            .staged
            .delegated
            .get(role)
            .map(|targets| &targets.common),
    };
    common.map_or(0, |common| common.version.number())
}

/// Names of people whose signatures over an earlier draft of a role were voided.
pub(crate) fn voided(state: &State, role: &RoleName) -> Vec<String> {
    let keys = state.staged.earlier.get(role).into_iter().flatten();
    keys.map(|(key, _)| signer_name(state, role, key)).collect()
}

/// The name of somebody who may sign a role, from the certificates of whoever delegates it.
pub(crate) fn signer_name(state: &State, role: &RoleName, key: &KeyId) -> String {
    // What cannot be read has no names in it.
    let ballots = ballots(state, role).unwrap_or_default();
    let known = |ballot: &&Ballot<'_>| !ballot.authority.certificates.chain(key).is_empty();
    ballots.iter().find(known).map_or_else(
        || format!("key {}", key.short()),
        |ballot| holder_name(ballot.authority.certificates, key),
    )
}
