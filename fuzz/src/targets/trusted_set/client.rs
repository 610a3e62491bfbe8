//! A client as the updater is one, with its store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata_schema::MetadataError;
use metadata_schema::gate::{Holder, PlainTuf, Refusal, Requirement, Signer, SignerGate};
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::roles::Root;
use metadata_schema::search::Step;
use metadata_schema::time::ReferenceTime;
use metadata_schema::trusted::{
    AtRoot, AtSnapshot, AtTargets, AtTimestamp, Freshness, RootWalk, SharedGate,
};

use super::oracle::{self, Floor, authorised};
use super::publisher::{Name, PATHS, Publisher, now};

/// Most steps of one root walk.
const MOST_ROOTS: usize = 16;
/// Most delegated roles of one search.
const MOST_ROLES: usize = 3;

/// A gate under which two of the keys are one person's, and root needs two people.
struct Gate;

impl SignerGate for Gate {
    fn admit(&self, signer: &Signer<'_>) -> Result<Holder, Refusal> {
        oracle::index(signer.key)
            .map(|key| Holder(oracle::holder(signer.role, key).to_string()))
            .ok_or_else(|| Refusal("a stranger".to_owned()))
    }

    fn requirement(&self, role: &RoleName) -> Requirement {
        Requirement::holders(oracle::minimum(role))
    }
}

fn gate() -> SharedGate {
    Arc::new(Gate)
}

/// What is stored, and what the oracle remembers of it.
pub(super) struct Client {
    root: Vec<u8>,
    timestamp: Option<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    targets: Option<Vec<u8>>,
    delegated: BTreeMap<RoleName, Vec<u8>>,
    floor: Floor,
}

impl Client {
    /// With the first root, as from the factory.
    pub(super) fn new(publisher: &Publisher) -> Self {
        Self {
            root: publisher.root_file(1).expect("published").to_vec(),
            timestamp: None,
            snapshot: None,
            targets: None,
            delegated: BTreeMap::new(),
            floor: Floor::default(),
        }
    }

    /// A refresh so many days later, and a look-up. It may fail anywhere: what was trusted until then has been checked.
    pub(super) fn refresh(&mut self, publisher: &Publisher, days: u8, path: u8) {
        let now = now().plus_seconds(i64::from(days % 64) * 86_400);
        let path = TargetPath::new(PATHS[usize::from(path) % PATHS.len()]).expect("a path");
        drop(self.run(publisher, now, &path));
    }

    fn run(
        &mut self,
        publisher: &Publisher,
        now: ReferenceTime,
        path: &TargetPath,
    ) -> Result<(), MetadataError> {
        let root = self.root(publisher, now)?;
        let Some(timestamp) = self.timestamp(publisher, &root)? else {
            return Ok(());
        };
        let Some(snapshot) = self.snapshot(publisher, &root, &timestamp)? else {
            return Ok(());
        };
        match self.targets(publisher, &root, &snapshot)? {
            Some(mut set) => self.find(publisher, &mut set, path, now),
            None => Ok(()),
        }
    }

    fn root(&mut self, publisher: &Publisher, now: ReferenceTime) -> Result<AtRoot, MetadataError> {
        let role = RoleName::root();
        let mut walk = RootWalk::from_trusted(&self.root, gate()).expect("it was stored");
        let mut newest = self.root.clone();
        for _ in 0..MOST_ROOTS {
            let next = walk.next_version()?;
            let Some(bytes) = publisher.root_file(next.number()) else {
                break;
            };
            let before: Root = (**walk.root()).clone();
            walk.step(bytes)?;
            let after = walk.root();
            assert_eq!(after.common.version, next);
            for by in [&before, after] {
                assert!(authorised(publisher, &role, &by.keys, &by.root, bytes));
            }
            newest = bytes.to_vec();
        }
        let confirmed = walk.confirm(now, gate())?;
        self.floor.root(&confirmed.root().common);
        if newest != self.root {
            let new = RootWalk::from_trusted(&newest, Arc::new(PlainTuf)).expect("verified");
            let online = confirmed.retired().online();
            let keeps = |role: RoleName, bytes: &Option<Vec<u8>>| {
                !online && bytes.as_ref().is_some_and(|bytes| new.signs(&role, bytes))
            };
            if !keeps(RoleName::timestamp(), &self.timestamp) {
                self.timestamp = None;
                self.floor.forget_timestamp();
            }
            if !keeps(RoleName::snapshot(), &self.snapshot) {
                self.snapshot = None;
                self.floor.forget_snapshot();
            }
            self.root = newest;
        }
        let root = confirmed.in_force()?;
        oracle::in_force(&root.root().common, now);
        Ok(root)
    }

    fn timestamp(
        &mut self,
        publisher: &Publisher,
        root: &AtRoot,
    ) -> Result<Option<AtTimestamp>, MetadataError> {
        let role = RoleName::timestamp();
        let stored = self.timestamp.as_ref();
        let local = stored.map(|bytes| root.recall_timestamp(bytes).expect("it was stored"));
        let Some(bytes) = publisher.file(Name::Timestamp) else {
            return Ok(None);
        };
        let (timestamp, freshness) = root.timestamp(local, bytes)?;
        if freshness == Freshness::New {
            let by = root.root();
            assert!(authorised(publisher, &role, &by.keys, &by.timestamp, bytes));
            self.timestamp = Some(bytes.to_vec());
        }
        let trusted = timestamp.timestamp();
        oracle::in_force(&trusted.common, root.now());
        self.floor.timestamp(&trusted.common, &trusted.snapshot);
        Ok(Some(timestamp))
    }

    fn snapshot(
        &mut self,
        publisher: &Publisher,
        root: &AtRoot,
        timestamp: &AtTimestamp,
    ) -> Result<Option<AtSnapshot>, MetadataError> {
        let role = RoleName::snapshot();
        let stored = self.snapshot.clone();
        let local = stored.map(|bytes| {
            let local = root.recall_snapshot(&bytes).expect("it was stored");
            (bytes, local)
        });
        if let Some((bytes, local)) = &local
            && let Ok(same) = timestamp.snapshot(Some(local), bytes)
        {
            return Ok(Some(same));
        }
        let Some(bytes) = publisher.file(Name::Snapshot) else {
            return Ok(None);
        };
        let snapshot = timestamp.snapshot(local.as_ref().map(|(_, local)| local), bytes)?;
        let (by, trusted) = (root.root(), snapshot.snapshot());
        assert!(authorised(publisher, &role, &by.keys, &by.snapshot, bytes));
        oracle::listed(timestamp.snapshot_file(), &trusted.common, bytes);
        oracle::in_force(&trusted.common, root.now());
        self.floor.snapshot(trusted);
        self.snapshot = Some(bytes.to_vec());
        Ok(Some(snapshot))
    }

    fn targets(
        &mut self,
        publisher: &Publisher,
        root: &AtRoot,
        snapshot: &AtSnapshot,
    ) -> Result<Option<AtTargets>, MetadataError> {
        let role = RoleName::targets();
        let stored = self.targets.as_deref();
        let same = stored.and_then(|bytes| Some((snapshot.targets(bytes).ok()?, bytes)));
        let (targets, bytes) = match (same, publisher.file(Name::Targets)) {
            (Some(same), _) => same,
            (None, Some(bytes)) => (snapshot.targets(bytes)?, bytes),
            (None, None) => return Ok(None),
        };
        let (by, trusted) = (root.root(), targets.targets());
        assert!(authorised(publisher, &role, &by.keys, &by.targets, bytes));
        oracle::listed(snapshot.targets_file()?, &trusted.common, bytes);
        oracle::in_force(&trusted.common, root.now());
        self.targets = Some(bytes.to_vec());
        Ok(Some(targets))
    }

    fn find(
        &mut self,
        publisher: &Publisher,
        set: &mut AtTargets,
        path: &TargetPath,
        now: ReferenceTime,
    ) -> Result<(), MetadataError> {
        let mut search = set.search(path.clone(), MOST_ROLES);
        let mut files: BTreeMap<RoleName, Vec<u8>> = BTreeMap::new();
        let mut found = None;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps <= MOST_ROLES + 2, "a search that does not end");
            match search.next_step()? {
                Step::Found(target) => found = Some(target),
                Step::Fetch { role, .. } => {
                    let stored = self.delegated.get(&role).cloned();
                    let stored = stored.filter(|bytes| search.supply(bytes).is_ok());
                    let bytes = match (stored, Name::of(&role)) {
                        (Some(bytes), _) => bytes,
                        (None, Some(name)) => {
                            let Some(bytes) = publisher.file(name) else {
                                return Ok(());
                            };
                            search.supply(bytes)?;
                            bytes.to_vec()
                        }
                        (None, None) => return Ok(()),
                    };
                    self.delegated.insert(role.clone(), bytes.clone());
                    files.insert(role, bytes);
                    continue;
                }
                _ => {}
            }
            break;
        }
        for (role, bytes) in &files {
            let trusted = set.role(role).expect("it was supplied");
            let file = set.snapshot().snapshot().file(role).expect("it is listed");
            oracle::listed(file, &trusted.common, bytes);
            oracle::in_force(&trusted.common, now);
        }
        let reachable = oracle::reachable(publisher, set, &files, path);
        assert!(files.keys().all(|role| reachable.contains(role)));
        match found {
            Some(target) => {
                assert!(reachable.contains(target.role()));
                let role = set.role(target.role()).expect("it was searched");
                let file = &role.targets[path.as_str()];
                assert_eq!(file.length, target.length().most());
                assert_eq!(file.hashes, *target.hashes());
            }
            None => assert!(!set.targets().targets.contains_key(path.as_str())),
        }
        Ok(())
    }
}
