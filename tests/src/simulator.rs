//! A TUF repository in memory, good or hostile: metadata is edited freely, signed when it is asked for, and gets its next
//! version by publishing. Requests are logged; any file can be replaced by damaged bytes, silence or an endless stream.
//!
//! ```
//! use tests::simulator::{Plan, Simulator, TestClient};
//!
//! let now = "2030-01-01T00:00:00Z".parse().unwrap();
//! let mut repository = Simulator::new(Plan::new("a seed", now));
//! repository.add_target("targets", "firmware", b"v1");
//! repository.publish();
//! let device = TestClient::new(&mut repository);
//! device.refresh(&mut repository).unwrap();
//! assert_eq!(device.download(&mut repository, "firmware").unwrap().unwrap(), b"v1");
//! assert_eq!(repository.take_requests()[0], "metadata/2.root.json");
//! ```
//!
//! It serves as a [`updater::transport::Transport`] by itself, over HTTP by [`serve::Served`], and as a folder by
//! [`Simulator::dump`]. Time and seed are arguments, so that the same plan makes the same keys and the same metadata.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "support of tests: what a test gets wrong ends it"
)]

mod bins;
mod client;
mod delegate;
mod document;
mod files;
mod keys;
mod pki;
mod rotate;
pub mod serve;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::gate::Certificates;
use metadata_schema::json::Object;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{
    Common, MetaFile, RoleKeys, Root, Snapshot, TargetFile, Targets, Timestamp,
};
use metadata_schema::time::Timestamp as Time;
use updater::transport::NetworkLimits;

pub use client::TestClient;
pub use delegate::Delegation;
pub use document::{Bytes, Document, Editable};
pub use files::Fault;
pub use keys::{Key, KeyKind};
pub use pki::{Pki, crl_path, date};
pub use transport::PublishedFolder;

/// Days until metadata expires, if a test says nothing else.
const EXPIRY_DAYS: i64 = 30;

/// What snapshot and timestamp say of the files that they list, besides the version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Describe {
    /// Nothing.
    #[default]
    Version,
    /// Length.
    Length,
    /// Length and SHA-256.
    LengthAndHashes,
}

/// How a repository begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// All keys follow from it.
    pub seed: String,
    /// When metadata is issued; it expires thirty days later.
    pub now: Time,
    /// Whether files carry version or digest in their names.
    pub consistent_snapshot: bool,
    /// What snapshot and timestamp say of files.
    pub describe: Describe,
    /// The kind of keys, where a role has no other.
    pub keys: KeyKind,
    /// Root keys, and how many must sign.
    pub root: (usize, u32),
    /// Keys of the top-level targets, and how many must sign.
    pub targets: (usize, u32),
    /// Whether keyholders have certificates, and revocation lists are published.
    pub pki: bool,
}

impl Plan {
    /// Two of three root keys, two of two targets keys, one key each for snapshot and timestamp; consistent snapshots.
    pub fn new(seed: &str, now: Time) -> Self {
        Self {
            seed: seed.to_owned(),
            now,
            consistent_snapshot: true,
            describe: Describe::default(),
            keys: KeyKind::default(),
            root: (3, 2),
            targets: (2, 2),
            pki: false,
        }
    }

    /// The same, with certificates.
    #[must_use]
    pub fn with_pki(mut self) -> Self {
        self.pki = true;
        self
    }
}

/// A repository in memory. A clone goes its own way: that is how an attacker's copy is made.
#[derive(Clone)]
pub struct Simulator {
    plan: Plan,
    root: Document<Root>,
    timestamp: Document<Timestamp>,
    snapshot: Document<Snapshot>,
    targets: BTreeMap<RoleName, Document<Targets>>,
    /// Target files by path, newest last; older ones stay reachable by their digests.
    contents: BTreeMap<String, Vec<Bytes>>,
    /// How many keys have been made for a role.
    made: BTreeMap<String, usize>,
    root_signers: Vec<Key>,
    faults: BTreeMap<String, Fault>,
    requests: Vec<String>,
    network: NetworkLimits,
    pki: Option<Pki>,
    /// The roles that each key's certificate names, by the key's name.
    certified: BTreeMap<String, BTreeSet<String>>,
}

impl Simulator {
    /// Version 1 of everything, published.
    pub fn new(plan: Plan) -> Self {
        let common = common(&plan);
        let empty = |threshold: u32| RoleKeys::new([], NonZeroU32::new(threshold).unwrap());
        let root = Root {
            common: common.clone(),
            keys: BTreeMap::new(),
            root: empty(plan.root.1),
            timestamp: empty(1),
            snapshot: empty(1),
            targets: empty(plan.targets.1),
            consistent_snapshot: plan.consistent_snapshot,
            certificates: Certificates::default(),
            other_roles: Object::new(),
            extra: Object::new(),
        };
        let timestamp = Timestamp {
            common: common.clone(),
            snapshot: MetaFile::version(Version::FIRST),
            extra: Object::new(),
        };
        let snapshot = Snapshot {
            common,
            meta: BTreeMap::new(),
            extra: Object::new(),
        };
        let targets = Document::new(empty_targets(&plan), Vec::new());
        let pki = plan.pki.then(|| Pki::new(&plan.seed, plan.now));
        let keys = [
            ("root", plan.root.0),
            ("timestamp", 1),
            ("snapshot", 1),
            ("targets", plan.targets.0),
        ];
        let mut simulator = Self {
            plan,
            root: Document::new(root, Vec::new()),
            timestamp: Document::new(timestamp, Vec::new()),
            snapshot: Document::new(snapshot, Vec::new()),
            targets: [(RoleName::targets(), targets)].into(),
            contents: BTreeMap::new(),
            made: BTreeMap::new(),
            root_signers: Vec::new(),
            faults: BTreeMap::new(),
            requests: Vec::new(),
            // Tests do not wait for pauses.
            network: NetworkLimits {
                pause: Duration::from_millis(1),
                ..NetworkLimits::DEFAULT
            },
            pki,
            certified: BTreeMap::new(),
        };
        for (role, count) in keys {
            for _ in 0..count {
                simulator.add_key(role);
            }
        }
        simulator.publish_pki();
        simulator.publish_root();
        simulator.publish();
        simulator
    }

    /// How it began.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The certification authorities, if there are certificates.
    pub fn pki(&self) -> Option<&Pki> {
        self.pki.as_ref()
    }

    /// What it asks of the patience of those who use it as a transport.
    pub fn network_mut(&mut self) -> &mut NetworkLimits {
        &mut self.network
    }

    /// The root.
    pub fn root(&mut self) -> &mut Document<Root> {
        &mut self.root
    }

    /// The timestamp.
    pub fn timestamp(&mut self) -> &mut Document<Timestamp> {
        &mut self.timestamp
    }

    /// The snapshot.
    pub fn snapshot(&mut self) -> &mut Document<Snapshot> {
        &mut self.snapshot
    }

    /// A targets role: `targets`, or a delegated one.
    pub fn targets(&mut self, role: &str) -> &mut Document<Targets> {
        let found = self.targets.get_mut(role);
        found.unwrap_or_else(|| panic!("no role {role}"))
    }

    /// The names of all targets roles.
    pub fn roles(&self) -> Vec<String> {
        self.targets.keys().map(ToString::to_string).collect()
    }

    /// Adds a target file, or changes it.
    pub fn add_target(&mut self, role: &str, path: &str, content: &[u8]) -> &mut Self {
        let length = u64::try_from(content.len()).unwrap();
        let file = TargetFile::new(length, Hashes::sha256(Sha256Digest::of(content)));
        self.targets(role)
            .edit()
            .targets
            .insert(path.to_owned(), file);
        self.add_content(path, content)
    }

    /// Puts a target file on the server without a word about it in metadata.
    pub fn add_content(&mut self, path: &str, content: &[u8]) -> &mut Self {
        let contents = self.contents.entry(path.to_owned()).or_default();
        contents.push(content.into());
        self
    }

    /// Publishes the root under its next version, signed by the keyholders of this version and of the one before.
    pub fn publish_root(&mut self) -> &mut Self {
        let before = std::mem::take(&mut self.root_signers);
        *self.root.also_mut() = before;
        self.root.publish();
        self.root_signers = self.root.signers().to_vec();
        self
    }

    /// Publishes every targets role that was changed, and with them snapshot and timestamp, under their next versions.
    pub fn publish(&mut self) -> &mut Self {
        let changed = self.targets.iter().filter(|(_, d)| d.changed());
        let changed: Vec<RoleName> = changed.map(|(role, _)| role.clone()).collect();
        for role in changed {
            self.publish_targets(role.as_str());
        }
        self.publish_snapshot()
    }

    /// Publishes one targets role, and puts its version into the snapshot, which is not published yet.
    pub fn publish_targets(&mut self, role: &str) -> &mut Self {
        let describe = self.plan.describe;
        let document = self.targets(role);
        document.publish();
        let file = described(describe, document);
        let name = format!("{role}.json");
        self.snapshot.edit().meta.insert(name, file);
        self
    }

    /// Publishes the snapshot, and the timestamp.
    pub fn publish_snapshot(&mut self) -> &mut Self {
        self.snapshot.publish();
        let file = described(self.plan.describe, &mut self.snapshot);
        self.timestamp.edit().snapshot = file;
        self.publish_timestamp()
    }

    /// Publishes the timestamp alone.
    pub fn publish_timestamp(&mut self) -> &mut Self {
        self.timestamp.publish();
        self
    }
}

fn common(plan: &Plan) -> Common {
    Common::new(
        Version::FIRST,
        plan.now,
        plan.now.plus_seconds(EXPIRY_DAYS * 86_400),
    )
}

fn empty_targets(plan: &Plan) -> Targets {
    Targets {
        common: common(plan),
        targets: BTreeMap::new(),
        delegations: None,
        certificates: Certificates::default(),
        extra: Object::new(),
    }
}

fn described<T: Editable>(describe: Describe, document: &mut Document<T>) -> MetaFile {
    let mut file = MetaFile::version(Version::new(document.version()).unwrap());
    if describe != Describe::Version {
        let bytes = document.bytes();
        file.length = Some(u64::try_from(bytes.len()).unwrap());
        if describe == Describe::LengthAndHashes {
            file.hashes = Some(Hashes::sha256(Sha256Digest::of(&bytes)));
        }
    }
    file
}
