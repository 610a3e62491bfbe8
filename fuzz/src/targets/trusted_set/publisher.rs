//! Metadata as somebody with real keys can make it, and what of it has really been signed.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::envelope::Envelope;
use metadata_schema::gate::Certificates;
use metadata_schema::json::{Json, Object};
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{
    Common, DelegatedRole, Delegations, MetaFile, PathSet, Role as _, Root, Snapshot, TargetFile,
    Targets, Timestamp,
};
use metadata_schema::time;

use super::graft::Graft;
use super::keys::{all_keys, chosen, role_keys, sign};

/// Paths that targets have and clients ask for.
pub(super) const PATHS: [&str; 4] = ["a", "a/b", "a/c.bin", "é/#?%"];
const PATTERNS: [&str; 6] = ["*", "a/*", "a/?", "*/*", "[a-b]", "{a,b}"];
/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Arbitrary)]
pub(super) enum Name {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    A,
    B,
    C,
}

impl Name {
    pub(super) const DELEGATED: [Self; 3] = [Self::A, Self::B, Self::C];

    pub(super) fn of(role: &RoleName) -> Option<Self> {
        Self::DELEGATED
            .into_iter()
            .find(|name| name.role() == *role)
    }

    pub(super) fn role(self) -> RoleName {
        match self {
            Self::Root => RoleName::root(),
            Self::Timestamp => RoleName::timestamp(),
            Self::Snapshot => RoleName::snapshot(),
            Self::Targets => RoleName::targets(),
            Self::A => RoleName::delegated("a").unwrap(),
            Self::B => RoleName::delegated("b/../b").unwrap(),
            Self::C => RoleName::delegated("é").unwrap(),
        }
    }
}

/// What a snapshot, or of the snapshot a timestamp, says about a file.
#[derive(Debug, Arbitrary)]
pub(super) enum Listing {
    Nothing,
    Version(u8),
    /// Length and digest, right or wrong ones.
    Exactly {
        right: bool,
    },
}

#[derive(Clone)]
pub(super) struct Publisher {
    pub(super) root: Root,
    timestamp: Timestamp,
    snapshot: Snapshot,
    targets: BTreeMap<Name, Targets>,
    /// All that was published, by role.
    files: BTreeMap<Name, Vec<Vec<u8>>>,
    /// What is served; of root, what is served under each number.
    served: BTreeMap<Name, Vec<u8>>,
    roots: BTreeMap<u64, Vec<u8>>,
    signed: Vec<(Sha256Digest, usize)>,
}

pub(super) fn now() -> time::Timestamp {
    time::Timestamp::from_unix_seconds(1_900_000_000)
}

fn common() -> Common {
    Common::new(
        Version::FIRST,
        now().plus_seconds(-86_400),
        now().plus_seconds(30 * 86_400),
    )
}

fn shifted(version: Version, delta: i8) -> Version {
    Version::new(version.number().saturating_add_signed(delta.into())).unwrap_or(Version::FIRST)
}

impl Publisher {
    /// With a first release. All scripts begin with the same.
    pub(super) fn new() -> Self {
        static FIRST: OnceLock<Publisher> = OnceLock::new();
        FIRST.get_or_init(Self::first).clone()
    }

    fn first() -> Self {
        let root = Root {
            common: common(),
            keys: all_keys(),
            root: role_keys(0b00_0111, 2),
            timestamp: role_keys(0b00_1000, 1),
            snapshot: role_keys(0b00_1000, 1),
            targets: role_keys(0b11_0001, 2),
            consistent_snapshot: true,
            certificates: Certificates::default(),
            other_roles: Object::new(),
            extra: Object::new(),
        };
        let targets = |_| Targets {
            common: common(),
            targets: BTreeMap::new(),
            delegations: None,
            certificates: Certificates::default(),
            extra: Object::new(),
        };
        let names = [Name::Targets].into_iter().chain(Name::DELEGATED);
        let mut new = Self {
            root,
            timestamp: Timestamp {
                common: common(),
                snapshot: MetaFile::version(Version::FIRST),
                extra: Object::new(),
            },
            snapshot: Snapshot {
                common: common(),
                meta: BTreeMap::new(),
                extra: Object::new(),
            },
            targets: names.map(|name| (name, targets(name))).collect(),
            files: BTreeMap::new(),
            served: BTreeMap::new(),
            roots: BTreeMap::new(),
            signed: Vec::new(),
        };
        new.target(Name::Targets, 0, 7);
        new.target(Name::A, 1, 7);
        new.delegate(Name::Targets, Name::A, (0b11_0000, 1), 1, false);
        new.publish(Name::Root, 0xff, None);
        new.release();
        new
    }

    /// Whether the key has signed this.
    pub(super) fn has_signed(&self, payload: &[u8], key: usize) -> bool {
        self.signed.contains(&(Sha256Digest::of(payload), key))
    }

    pub(super) fn root_file(&self, version: u64) -> Option<&[u8]> {
        self.roots.get(&version).map(Vec::as_slice)
    }

    pub(super) fn file(&self, name: Name) -> Option<&[u8]> {
        self.served.get(&name).map(Vec::as_slice)
    }

    fn common(&mut self, name: Name) -> &mut Common {
        match name {
            Name::Root => &mut self.root.common,
            Name::Timestamp => &mut self.timestamp.common,
            Name::Snapshot => &mut self.snapshot.common,
            _ => &mut self.targets.get_mut(&name).unwrap().common,
        }
    }

    pub(super) fn version(&mut self, name: Name, delta: i8) {
        let common = self.common(name);
        common.version = shifted(common.version, delta);
    }

    pub(super) fn expiry(&mut self, name: Name, days: i8) {
        self.common(name).expires = now().plus_seconds(i64::from(days) * 86_400);
    }

    pub(super) fn keys(&mut self, name: Name, keys: u8, threshold: u8) {
        let roles = role_keys(keys, threshold);
        match name {
            Name::Root => self.root.root = roles,
            Name::Timestamp => self.root.timestamp = roles,
            Name::Snapshot => self.root.snapshot = roles,
            Name::Targets => self.root.targets = roles,
            _ => {}
        }
    }

    pub(super) fn delegate(
        &mut self,
        from: Name,
        to: Name,
        (keys, threshold): (u8, u8),
        pattern: u8,
        terminating: bool,
    ) {
        let Some(parent) = self.targets.get_mut(&from).filter(|_| to >= Name::A) else {
            return;
        };
        let paths = match usize::from(pattern) {
            all if all < PATTERNS.len() => PathSet::Patterns(vec![PATTERNS[all].to_owned()]),
            other => PathSet::HashPrefixes(vec![format!("{:x}", other % 16)]),
        };
        let delegations = parent.delegations.get_or_insert_default();
        delegations.keys = all_keys();
        delegations.roles.retain(|role| role.name != to.role());
        delegations.roles.push(DelegatedRole {
            name: to.role(),
            keys: role_keys(keys, threshold),
            paths,
            terminating,
        });
    }

    pub(super) fn undelegate(&mut self, from: Name) {
        if let Some(Delegations { roles, .. }) = self
            .targets
            .get_mut(&from)
            .and_then(|t| t.delegations.as_mut())
        {
            roles.pop();
        }
    }

    pub(super) fn target(&mut self, name: Name, path: u8, length: u8) {
        if let Some(role) = self.targets.get_mut(&name) {
            let path = PATHS[usize::from(path) % PATHS.len()];
            let hashes = Hashes::sha256(Sha256Digest::of(&[length]));
            role.targets
                .insert(path.to_owned(), TargetFile::new(length.into(), hashes));
        }
    }

    pub(super) fn list(&mut self, name: Name, listing: &Listing) {
        let bytes = self.served.get(&name);
        let file = match listing {
            Listing::Nothing => None,
            Listing::Version(number) => Version::new((*number).into()).map(MetaFile::version),
            Listing::Exactly { right } => bytes.map(|bytes| {
                let digest = if *right {
                    Sha256Digest::of(bytes)
                } else {
                    Sha256Digest::of(b"")
                };
                let version = Envelope::read(&name.role(), bytes)
                    .ok()
                    .and_then(version_of);
                let mut file = MetaFile::version(version.unwrap_or(Version::FIRST));
                file.length = u64::try_from(bytes.len()).ok();
                file.hashes = Some(Hashes::sha256(digest));
                file
            }),
        };
        if name == Name::Snapshot {
            self.timestamp.snapshot = file.unwrap_or(MetaFile::version(Version::FIRST));
            return;
        }
        let entry = format!("{}.json", name.role());
        match file {
            Some(file) => drop(self.snapshot.meta.insert(entry, file)),
            None => drop(self.snapshot.meta.remove(&entry)),
        }
    }

    /// Signs a role as it stands with these keys, and serves it.
    pub(super) fn publish(&mut self, name: Name, keys: u8, graft: Option<&Graft>) {
        let mut signed = match name {
            Name::Root => self.root.to_json(),
            Name::Timestamp => self.timestamp.to_json(),
            Name::Snapshot => self.snapshot.to_json(),
            _ => self.targets[&name].to_json(),
        };
        if let Some(graft) = graft {
            graft.make(&mut signed);
        }
        let payload = signed.canonical();
        let digest = Sha256Digest::of(&payload);
        let signatures = chosen(keys).map(|key| {
            self.signed.push((digest, key));
            sign(&payload, digest, key)
        });
        let signatures = signatures.collect();
        let bytes = Envelope { signed, signatures }.to_bytes();
        self.files.entry(name).or_default().push(bytes.clone());
        self.serve(name, bytes);
    }

    /// New versions of everything, each signed by the keys that are in force.
    pub(super) fn release(&mut self) {
        for name in [Name::Targets].into_iter().chain(Name::DELEGATED) {
            self.version(name, 1);
            self.publish(name, 0b11_0001, None);
            let version = self.targets[&name].common.version;
            let entry = format!("{}.json", name.role());
            self.snapshot.meta.insert(entry, MetaFile::version(version));
        }
        self.version(Name::Snapshot, 1);
        self.publish(Name::Snapshot, 0b00_1000, None);
        self.timestamp.snapshot = MetaFile::version(self.snapshot.common.version);
        self.version(Name::Timestamp, 1);
        self.publish(Name::Timestamp, 0b00_1000, None);
    }

    pub(super) fn damage(&mut self, name: Name, at: u16, value: u8) {
        if let Some(bytes) = self.served.get(&name) {
            let mut bytes = bytes.clone();
            let at = usize::from(at) % bytes.len().max(1);
            bytes[at] = value;
            self.serve(name, bytes);
        }
    }

    pub(super) fn withhold(&mut self, name: Name) {
        self.served.remove(&name);
        if name == Name::Root {
            self.roots.pop_last();
        }
    }

    pub(super) fn replay(&mut self, name: Name, of: Name, age: u8) {
        let older = self
            .files
            .get(&of)
            .and_then(|files| files.iter().rev().nth(age.into()));
        if let Some(bytes) = older.cloned() {
            self.serve(name, bytes);
        }
    }

    fn serve(&mut self, name: Name, bytes: Vec<u8>) {
        if name == Name::Root {
            self.roots
                .insert(self.root.common.version.number(), bytes.clone());
        }
        self.served.insert(name, bytes);
    }
}

fn version_of(file: Envelope) -> Option<Version> {
    let Json::Object(mut members) = file.signed else {
        return None;
    };
    Version::from_json(members.remove("version")?, "version").ok()
}
