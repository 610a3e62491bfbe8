//! The same generated repositories, valid and damaged, through this client and through clients that others wrote: what they
//! accept, what they trust and what they find must be the same, but for the differences of [`differences`], each of which has
//! its reason and its direction.
//!
//! `sigstore-tuf` runs in this process. python-tuf runs in a process of its own: `tests/peers` starts that test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stderr,
    reason = "tests"
)]

mod apply;
mod differences;
mod edit;
mod ours;
mod pull;
mod python;
mod scenario;
mod sigstore;

use proptest::test_runner::{Config, TestCaseError, TestRng, TestRunner};

use scenario::{Outcome, Scenario, scenarios};

/// A client under comparison: the outcome of each round of a scenario.
trait Peer {
    fn name(&self) -> &'static str;
    fn run(&mut self, scenario: &Scenario) -> Vec<Outcome>;
}

/// Compares ours with a peer over so many generated scenarios.
fn compare(peer: &mut dyn Peer, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let mut tally = Tally::default();
    let peer = std::cell::RefCell::new(peer);
    let tally_cell = std::cell::RefCell::new(&mut tally);
    let outcome = runner(config).run(&scenarios(), |scenario| {
        let ours = ours::run(&scenario);
        let mut peer = peer.borrow_mut();
        let theirs = peer.run(&scenario);
        tally_cell.borrow_mut().count(&ours);
        judge(peer.name(), &scenario, &ours, &theirs)
    });
    if let Err(e) = outcome {
        panic!("{e}");
    }
    eprintln!("{}: {cases} repositories; {tally:?}", peer.borrow().name());
    tally.must_be_worth_something(cases);
}

/// How many rounds ended how: generated repositories that are all refused, or all accepted, would prove nothing.
#[derive(Debug, Default)]
struct Tally {
    accepted: u32,
    refused: u32,
    found: u32,
}

impl Tally {
    fn count(&mut self, rounds: &[Outcome]) {
        for round in rounds {
            match &round.refresh {
                Ok(_) => self.accepted += 1,
                Err(_) => self.refused += 1,
            }
            let found = round.lookups.iter().filter(|l| matches!(l, Ok(Some(_))));
            self.found += found.count() as u32;
        }
    }

    fn must_be_worth_something(&self, cases: u32) {
        assert!(self.accepted > cases / 2 && self.refused > cases / 4 && self.found > cases);
    }
}

fn judge(
    peer: &str,
    scenario: &Scenario,
    ours: &[Outcome],
    theirs: &[Outcome],
) -> Result<(), TestCaseError> {
    for (round, (our, their)) in ours.iter().zip(theirs).enumerate() {
        if !differences::explain(peer, scenario, round, our, their) {
            let both = format!("round {round}:\nours   {our:?}\n{peer} {their:?}");
            return Err(TestCaseError::fail(both));
        }
        if our.refresh.is_ok() != their.refresh.is_ok() {
            // What comes after a reasoned difference starts from other states.
            break;
        }
    }
    Ok(())
}

#[test]
fn sigstore_tuf_agrees() {
    compare(&mut sigstore::Sigstore, cases(1500));
}

#[test]
#[ignore = "needs python-tuf: tests/peers"]
fn python_tuf_agrees() {
    compare(&mut python::PythonTuf::start(), cases(1000));
}

/// So many, or as the environment says, for a longer search.
fn cases(default: u32) -> u32 {
    asked().unwrap_or(default)
}

fn asked() -> Option<u32> {
    let asked = std::env::var("DIFFERENTIAL_CASES").ok();
    asked.map(|text| text.parse().unwrap())
}

/// The same repositories in every run, or others in every longer search.
fn runner(config: Config) -> TestRunner {
    if asked().is_some() {
        return TestRunner::new(config);
    }
    let same = TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, same)
}
