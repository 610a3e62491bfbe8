//! Who may speak about what: root, the roles below it, and what they delegate.

use std::num::NonZeroU32;

use metadata_schema::gate::Certificates;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Common, DelegatedRole, PathSet, RoleKeys, Root, Targets};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::archive::{Archive, State};
use crate::error::Result;
use crate::keyholder::holder_name;
use crate::schema::words::Time;

/// Deepest delegations that are followed: more than any client does.
const MAX_DEPTH: usize = 32;

/// A role and those that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// The role.
    pub role: String,
    /// Its version; none if no file of it is published.
    pub version: Option<u64>,
    /// When it expires.
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Timestamp>,
    /// How many of the signers must sign.
    pub threshold: NonZeroU32,
    /// Who may sign: names from certificates, ids of keys that have none.
    pub signers: Vec<String>,
    /// What it may speak about; of a role with hash prefixes, how many those are.
    pub paths: Vec<String>,
    /// Whether the search ends with it.
    pub terminating: bool,
    /// How many target files it names.
    pub files: usize,
    /// Roles with hash prefixes that are signed by the same people, summed up.
    pub bins: Option<Bins>,
    /// The roles that it names.
    pub children: Vec<Self>,
}

/// Hashed bins of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bins {
    /// How many there are.
    pub count: usize,
    /// The name of the first.
    pub first: String,
    /// The name of the last.
    pub last: String,
    /// The lowest version of any.
    pub oldest_version: u64,
    /// The highest version of any.
    pub newest_version: u64,
    /// When the first of them expires.
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Timestamp>,
    /// How many must sign each.
    pub threshold: NonZeroU32,
    /// Who may sign.
    pub signers: Vec<String>,
    /// How many target files they name together.
    pub files: usize,
}

impl Archive {
    /// The tree of the roles that are published now.
    ///
    /// # Errors
    /// If metadata cannot be read.
    pub fn tree(&self) -> Result<Node> {
        let state = self.state(None)?;
        let root = &state.root;
        let mut node = node(&RoleName::root(), &root.root, &root.certificates);
        node.dated(&root.common);
        if let Some(timestamp) = &state.timestamp {
            node.children
                .push(top(root, &RoleName::timestamp(), &timestamp.common));
        }
        let snapshot = &state.snapshot.common;
        node.children
            .push(top(root, &RoleName::snapshot(), snapshot));
        let mut targets = top(root, &RoleName::targets(), &state.targets.common);
        targets.files = state.targets.targets.len();
        self.grow(&state, &mut targets, &state.targets, 0)?;
        node.children.push(targets);
        Ok(node)
    }

    fn grow(&self, state: &State, node: &mut Node, content: &Targets, depth: usize) -> Result<()> {
        let Some(delegations) = &content.delegations else {
            return Ok(());
        };
        if depth >= MAX_DEPTH {
            return Ok(());
        }
        for delegated in &delegations.roles {
            let read = self.delegated(state, &delegated.name)?;
            let mut child = self::node(&delegated.name, &delegated.keys, &content.certificates);
            child.delegated(delegated);
            if let Some(read) = &read {
                child.dated(&read.common);
                child.files = read.targets.len();
            }
            if matches!(delegated.paths, PathSet::HashPrefixes(_)) && is_leaf(read.as_ref()) {
                node.bin(child);
                continue;
            }
            if let Some(read) = &read {
                self.grow(state, &mut child, read, depth.saturating_add(1))?;
            }
            node.children.push(child);
        }
        Ok(())
    }
}

fn is_leaf(content: Option<&Targets>) -> bool {
    content.is_none_or(|content| content.delegations.is_none())
}

fn top(root: &Root, role: &RoleName, common: &Common) -> Node {
    let keys = root.signers(role).unwrap_or(&root.root);
    let mut node = node(role, keys, &root.certificates);
    node.dated(common);
    node
}

fn node(role: &RoleName, keys: &RoleKeys, certificates: &Certificates) -> Node {
    let mut signers: Vec<String> = keys
        .key_ids
        .iter()
        .map(|id| holder_name(certificates, id))
        .collect();
    signers.sort();
    Node {
        role: role.to_string(),
        version: None,
        expires: None,
        threshold: keys.threshold,
        signers,
        paths: Vec::new(),
        terminating: false,
        files: 0,
        bins: None,
        children: Vec::new(),
    }
}

impl Node {
    fn dated(&mut self, common: &Common) {
        self.version = Some(common.version.number());
        self.expires = Some(common.expires);
    }

    fn delegated(&mut self, role: &DelegatedRole) {
        self.terminating = role.terminating;
        self.paths = match &role.paths {
            PathSet::Patterns(patterns) => patterns.clone(),
            PathSet::HashPrefixes(prefixes) => vec![format!("{} hash prefixes", prefixes.len())],
            _ => Vec::new(),
        };
    }

    /// Adds a bin to the others of this role; one that other people sign stands by itself.
    fn bin(&mut self, bin: Self) {
        let version = bin.version.unwrap_or(Version::FIRST.number());
        match &mut self.bins {
            None => {
                self.bins = Some(Bins {
                    count: 1,
                    first: bin.role.clone(),
                    last: bin.role,
                    oldest_version: version,
                    newest_version: version,
                    expires: bin.expires,
                    threshold: bin.threshold,
                    signers: bin.signers,
                    files: bin.files,
                });
            }
            Some(bins) if bins.signers == bin.signers && bins.threshold == bin.threshold => {
                bins.count = bins.count.saturating_add(1);
                bins.last = bin.role;
                bins.oldest_version = bins.oldest_version.min(version);
                bins.newest_version = bins.newest_version.max(version);
                bins.expires = [bins.expires, bin.expires].into_iter().flatten().min();
                bins.files = bins.files.saturating_add(bin.files);
            }
            Some(_) => self.children.push(bin),
        }
    }
}
