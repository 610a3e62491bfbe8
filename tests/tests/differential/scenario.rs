//! Scenarios: a repository that changes from round to round, and what a client made of each.

use metadata_schema::time::Timestamp;
use proptest::prelude::*;
use tests::simulator::{Delegation, Plan, Simulator};

use crate::apply::apply;
use crate::edit::{Edit, edits};

/// When the repository begins.
const BEGIN: &str = "2030-01-01T00:00:00Z";
/// What every client looks for after each refresh.
pub(crate) const LOOKUPS: [&str; 5] = ["firmware", "a/1", "b/1", "a/shared", "nowhere"];

/// Rounds of edits; after each the clients refresh and look targets up.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) consistent_snapshot: bool,
    pub(crate) rounds: Vec<Round>,
}

/// One round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) edits: Vec<Edit>,
    pub(crate) publish: Publish,
    /// Days since the round before; metadata holds for thirty.
    pub(crate) days: i64,
}

/// What the release managers publish after the edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    Nothing,
    Timestamp,
    Snapshot,
    Targets,
    RootAndTargets,
    Root,
}

/// What a client made of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The versions of root, timestamp, snapshot and targets that it trusts, or why it refused.
    pub(crate) refresh: Result<[u64; 4], String>,
    /// Length and digest of each of [`LOOKUPS`]; none if the refresh failed.
    pub(crate) lookups: Vec<Result<Option<Found>, String>>,
}

/// A target as a client found it: length and SHA-256 in hex.
pub(crate) type Found = (u64, String);

impl Scenario {
    /// The repository as each round leaves it, and the time of the round.
    pub(crate) fn states(&self) -> Vec<(Simulator, Timestamp)> {
        let mut repository = base(self.consistent_snapshot);
        let mut now = repository.plan().now;
        let mut states = Vec::new();
        for round in &self.rounds {
            // An hour more, so that only an edit makes something expire at the very second.
            now = now.plus_seconds(round.days * 86_400 + 3600);
            for edit in &round.edits {
                apply(&mut repository, edit, now);
            }
            publish(&mut repository, round.publish);
            states.push((repository.clone(), now));
        }
        states
    }

    /// The root that every client starts from.
    pub(crate) fn first_root(&self) -> Vec<u8> {
        let mut repository = base(self.consistent_snapshot);
        repository.root().of_version(1).unwrap().to_vec()
    }

    /// Whether up to and including a round something was changed that was not published.
    pub(crate) fn has_unpublished_edits(&self, round: usize) -> bool {
        let publishes = |p| matches!(p, Publish::Targets | Publish::RootAndTargets);
        let mut rounds = self.rounds.iter().take(round + 1);
        rounds.any(|round| !round.edits.is_empty() && !publishes(round.publish))
    }

    /// All edits up to and including a round.
    pub(crate) fn edits_until(&self, round: usize) -> impl Iterator<Item = &Edit> {
        self.rounds.iter().take(round + 1).flat_map(|r| &r.edits)
    }
}

/// Targets of its own, and two delegated roles, one of which delegates to a third.
fn base(consistent_snapshot: bool) -> Simulator {
    thread_local! {
        static BASE: [Simulator; 2] = [true, false].map(|consistent_snapshot| {
            let plan = Plan {
                consistent_snapshot,
                ..Plan::new("differential", BEGIN.parse().unwrap())
            };
            let mut repository = Simulator::new(plan);
            repository.delegate("targets", &Delegation::new("a", &["a/*"]));
            repository.delegate("targets", &Delegation::new("b", &["b/*", "*/shared"]));
            repository.delegate("a", &Delegation::new("c", &["a/s*"]));
            for (role, path) in [("targets", "firmware"), ("a", "a/1"), ("b", "b/1"), ("c", "a/shared"), ("b", "a/shared")] {
                repository.add_target(role, path, format!("{role} {path}").as_bytes());
            }
            repository.publish();
            repository
        });
    }
    BASE.with(|base| base[usize::from(!consistent_snapshot)].clone())
}

fn publish(repository: &mut Simulator, publish: Publish) {
    match publish {
        Publish::Nothing => {}
        Publish::Timestamp => {
            repository.publish_timestamp();
        }
        Publish::Snapshot => {
            repository.publish_snapshot();
        }
        Publish::Targets => {
            repository.publish();
        }
        Publish::RootAndTargets => {
            repository.publish_root();
            repository.publish();
        }
        Publish::Root => {
            repository.publish_root();
        }
    }
}

/// Scenarios of one to three rounds.
pub(crate) fn scenarios() -> impl Strategy<Value = Scenario> {
    let publish = prop_oneof![
        1 => Just(Publish::Nothing),
        1 => Just(Publish::Timestamp),
        1 => Just(Publish::Snapshot),
        12 => Just(Publish::Targets),
        12 => Just(Publish::RootAndTargets),
        1 => Just(Publish::Root),
    ];
    let days = prop_oneof![6 => Just(0_i64), 3 => 1..20_i64, 1 => 20..60_i64];
    let round =
        (prop::collection::vec(edits(), 0..4), publish, days).prop_map(|(edits, publish, days)| {
            Round {
                edits,
                publish,
                days,
            }
        });
    let rounds = prop::collection::vec(round, 1..4);
    (any::<bool>(), rounds).prop_map(|(consistent_snapshot, rounds)| Scenario {
        consistent_snapshot,
        rounds,
    })
}
