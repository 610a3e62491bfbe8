//! Looking up one target: pre-order depth-first through the delegations, lazily (5.6.7).
//!
//! Only roles on the way to the target are asked for, so an expired, missing or hostile role elsewhere does no harm.

use std::collections::BTreeSet;

use crate::digest::{Hashes, Length};
use crate::error::MetadataError;
use crate::json::Json;
use crate::name::{RoleName, TargetPath};
use crate::roles::MetaFile;
use crate::trusted::AtTargets;

/// What a search needs or has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Fetch the metadata of this role and give it to [`Search::supply`].
    Fetch {
        /// The role.
        role: RoleName,
        /// What the snapshot says of its file.
        file: MetaFile,
    },
    /// The target.
    Found(VerifiedTarget),
    /// No role that may speak about the path has it.
    Absent,
}

/// A target as a trusted role describes it. Only a search builds one.
#[derive(Clone, Debug)]
pub struct VerifiedTarget {
    path: TargetPath,
    role: RoleName,
    length: u64,
    hashes: Hashes,
    custom: Option<Json>,
    consistent_snapshot: bool,
}

impl VerifiedTarget {
    /// Its path.
    pub fn path(&self) -> &TargetPath {
        &self.path
    }

    /// The role that describes it.
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// Its length.
    pub fn length(&self) -> Length {
        Length::Exactly(self.length)
    }

    /// Its digests.
    pub fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// What the publisher added.
    pub fn custom(&self) -> Option<&Json> {
        self.custom.as_ref()
    }

    /// Where it stands below the base of the targets: with its digest before the file name if the repository has
    /// consistent snapshots (section 6.2).
    pub fn file_path(&self) -> String {
        let (folder, file) = self.path.split();
        if self.consistent_snapshot {
            format!("{folder}{}.{file}", self.hashes.file_prefix())
        } else {
            self.path.to_string()
        }
    }
}

/// A search for one target.
pub struct Search<'s> {
    set: &'s mut AtTargets,
    path: TargetPath,
    /// The digest that decides about hashed bins, in hex: the same for all roles.
    digest: String,
    limit: usize,
    visited: BTreeSet<RoleName>,
    /// Delegations still to follow, the next one last.
    ahead: Vec<Edge>,
    /// The delegation whose role was asked for.
    waiting: Option<Edge>,
}

#[derive(Clone)]
struct Edge {
    delegator: Option<RoleName>,
    role: RoleName,
}

impl AtTargets {
    /// Looks for `path`, through `limit` delegated roles at most (5.6.7.1).
    pub fn search(&mut self, path: TargetPath, limit: usize) -> Search<'_> {
        let start = Edge {
            delegator: None,
            role: RoleName::targets(),
        };
        Search {
            set: self,
            digest: path.digest_hex(),
            path,
            limit,
            visited: BTreeSet::new(),
            ahead: vec![start],
            waiting: None,
        }
    }
}

impl Search<'_> {
    /// Goes on until the target is found, cannot be found, or a role has to be fetched.
    ///
    /// # Errors
    /// If a role on the way is not acceptable, or there are too many.
    pub fn next_step(&mut self) -> Result<Step, MetadataError> {
        while let Some(edge) = self.waiting.take().or_else(|| self.ahead.pop()) {
            if self.visited.contains(&edge.role) {
                continue;
            }
            // The top-level targets role does not count: nobody delegated to it.
            if self.visited.len() > self.limit {
                return Err(MetadataError::TooManyDelegations {
                    path: self.path.to_string(),
                    limit: self.limit,
                });
            }
            if let Some(delegator) = &edge.delegator {
                if self.set.role(&edge.role).is_none() {
                    let file = self.set.snapshot().listed(&edge.role)?.clone();
                    self.waiting = Some(edge.clone());
                    return Ok(Step::Fetch {
                        role: edge.role,
                        file,
                    });
                }
                self.set.recount_delegated(delegator, &edge.role)?;
            }
            if let Some(found) = self.visit(&edge.role) {
                return Ok(Step::Found(found));
            }
        }
        Ok(Step::Absent)
    }

    /// Gives the file that was asked for; store it when this has returned.
    ///
    /// # Errors
    /// If it is not acceptable.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<(), MetadataError> {
        match &self.waiting {
            Some(Edge {
                delegator: Some(delegator),
                role,
            }) => {
                let (delegator, role) = (delegator.clone(), role.clone());
                self.set.take_delegated(&delegator, &role, bytes)
            }
            _ => Err(MetadataError::NotAskedFor {
                role: RoleName::targets(),
            }),
        }
    }

    fn visit(&mut self, name: &RoleName) -> Option<VerifiedTarget> {
        self.visited.insert(name.clone());
        let consistent_snapshot = self.set.root().consistent_snapshot;
        let role = self.set.role(name)?;
        if let Some(file) = role.targets.get(self.path.as_str()) {
            return Some(VerifiedTarget {
                path: self.path.clone(),
                role: name.clone(),
                length: file.length,
                hashes: file.hashes.clone(),
                custom: file.custom.clone(),
                consistent_snapshot,
            });
        }
        let mut children = Vec::new();
        for delegated in role.delegations.iter().flat_map(|d| &d.roles) {
            if !delegated.paths.contains_hashed(&self.path, &self.digest) {
                continue;
            }
            children.push(Edge {
                delegator: Some(name.clone()),
                role: delegated.name.clone(),
            });
            if delegated.terminating {
                // 5.6.7.2.1: nothing after a terminating delegation is looked at, on any level.
                self.ahead.clear();
                break;
            }
        }
        self.ahead.extend(children.into_iter().rev());
        None
    }
}
