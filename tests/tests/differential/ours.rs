//! This project's client.

use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::trusted::AtTargets;
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::trust::Trust;

use crate::scenario::{Found, LOOKUPS, Outcome, Scenario};

pub(crate) fn run(scenario: &Scenario) -> Vec<Outcome> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let root = scenario.first_root();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut outcomes = Vec::new();
    for (mut repository, now) in scenario.states() {
        let store = MetadataStore::open(folder.path()).unwrap();
        let mut client = Client {
            transport: &mut repository,
            store: &store,
            trust: &Trust::Plain,
            limits: Limits::default(),
        };
        let outcome = runtime.block_on(async {
            let mut set = match client.refresh(&root, now).await {
                Ok(set) => set,
                Err(e) => return refused(&e),
            };
            let mut lookups = Vec::new();
            for path in LOOKUPS {
                let path = TargetPath::new(path).unwrap();
                let found = client.find(&mut set, &path).await;
                lookups.push(match found {
                    Ok(None) => Ok(None),
                    Ok(Some(_)) => Ok(described(&set, &path)),
                    Err(e) => Err(in_words(&e)),
                });
            }
            Outcome {
                refresh: Ok(versions(&set)),
                lookups,
            }
        });
        outcomes.push(outcome);
    }
    outcomes
}

fn described(set: &AtTargets, path: &TargetPath) -> Option<Found> {
    let mut set = set.clone();
    let metadata_schema::search::Step::Found(target) =
        set.search(path.clone(), 32).next_step().unwrap()
    else {
        panic!("{path} was found and is gone")
    };
    let digest = target.hashes().sha256.unwrap().to_string();
    Some((target.length().most(), digest))
}

fn versions(set: &AtTargets) -> [u64; 4] {
    let version = |role: &str| match role {
        "root" => set.root().common.version,
        "timestamp" => set.timestamp().common.version,
        "snapshot" => set.snapshot().snapshot().common.version,
        _ => set.role(&RoleName::targets()).unwrap().common.version,
    };
    ["root", "timestamp", "snapshot", "targets"].map(|role| version(role).number())
}

fn refused(error: &updater::Error) -> Outcome {
    Outcome {
        refresh: Err(in_words(error)),
        lookups: Vec::new(),
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}
