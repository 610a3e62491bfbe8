//! `sigstore-tuf`, in this process.

use std::sync::{Arc, Mutex};

use metadata_schema::time::Timestamp;
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, MemoryStore, Repository, TargetFile, Updater};
use tests::simulator::Simulator;
use updater::transport::Part;

use crate::Peer;
use crate::pull::pull;
use crate::scenario::{Found, LOOKUPS, Outcome, Scenario};

pub(crate) struct Sigstore;

impl Peer for Sigstore {
    fn name(&self) -> &'static str {
        "sigstore-tuf"
    }

    fn run(&mut self, scenario: &Scenario) -> Vec<Outcome> {
        let root = scenario.first_root();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = Arc::new(MemoryStore::new());
        let states = scenario.states();
        let rounds = states.into_iter().map(|(repository, now)| {
            let now = instant(now);
            let served = Served(Mutex::new(repository));
            let mut updater = Updater::new(served, &root)
                .unwrap()
                .with_store(Arc::clone(&store));
            runtime.block_on(async {
                if let Err(e) = updater.refresh(now).await {
                    return Outcome {
                        refresh: Err(e.to_string()),
                        lookups: Vec::new(),
                    };
                }
                let mut lookups = Vec::new();
                for path in LOOKUPS {
                    let found = updater.get_target_info(path, now).await;
                    let found = found.map(|found| found.map(|target| described(&target)));
                    lookups.push(found.map_err(|e| e.to_string()));
                }
                Outcome {
                    refresh: Ok(versions(&updater)),
                    lookups,
                }
            })
        });
        rounds.collect()
    }
}

fn instant(time: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.unix_seconds()).unwrap()
}

fn described(target: &TargetFile) -> Found {
    (target.length, target.hashes["sha256"].clone())
}

fn versions(updater: &Updater) -> [u64; 4] {
    let set = updater.trusted();
    [
        set.root().version,
        set.timestamp().unwrap().version,
        set.snapshot().unwrap().version,
        set.targets_role("targets").unwrap().version,
    ]
}

/// The simulator as a repository of theirs.
struct Served(Mutex<Simulator>);

impl Served {
    fn fetch(&self, part: Part, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let mut simulator = self.0.lock().unwrap();
        let bytes =
            pull(&mut simulator, part, path).map_err(|e| Error::transport(e.to_string()))?;
        let long = bytes.as_ref().is_some_and(|b| b.len() as u64 > limit);
        if long {
            return Err(Error::transport("longer than it may be"));
        }
        Ok(bytes)
    }
}

impl Repository for Served {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.fetch(Part::Metadata, name, max_length) })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.fetch(Part::Targets, path, max_length) })
    }
}
