//! The whole client workflow against a publisher that may be careless, broken or hostile, and that has real keys.
//!
//! Input: a script. Its steps edit the publisher's metadata (versions, expiry, keys, thresholds, delegations, listings),
//! sign and publish it with any set of keys, damage or withhold what is served, serve old files again, and let the client
//! refresh. Whatever the client then trusts is checked against what has really been signed: see [`oracle`].

mod client;
mod graft;
mod keys;
mod oracle;
mod publisher;

use arbitrary::{Arbitrary, Unstructured};

use client::Client;
use graft::Graft;
use publisher::{Listing, Name, Publisher};

/// Most steps of one script that are taken.
const MOST_STEPS: usize = 32;
/// Most refreshes of one script: each verifies a dozen signatures.
const MOST_REFRESHES: usize = 6;

/// One step.
#[derive(Debug, Arbitrary)]
enum Step {
    /// Everything again, with new versions, properly signed: what an honest publisher does.
    Release,
    Version {
        role: Name,
        delta: i8,
    },
    Expiry {
        role: Name,
        days: i8,
    },
    Keys {
        role: Name,
        keys: u8,
        threshold: u8,
    },
    Consistent(bool),
    Delegate {
        from: Name,
        to: Name,
        keys: u8,
        threshold: u8,
        pattern: u8,
        terminating: bool,
    },
    Undelegate {
        from: Name,
    },
    Target {
        role: Name,
        path: u8,
        length: u8,
    },
    List {
        role: Name,
        listing: Listing,
    },
    Publish {
        role: Name,
        keys: u8,
        graft: Option<Graft>,
    },
    /// A next root, with other keys for a role, signed by any.
    Rotate {
        role: Name,
        keys: u8,
        threshold: u8,
        by: u8,
    },
    /// Changes a byte of the file that is served.
    Damage {
        role: Name,
        at: u16,
        value: u8,
    },
    Withhold {
        role: Name,
    },
    /// Serves an older file, or another role's.
    Replay {
        role: Name,
        of: Name,
        age: u8,
    },
    Refresh {
        days: u8,
        path: u8,
    },
}

/// See the module.
pub fn run(bytes: &[u8]) {
    let mut publisher = Publisher::new();
    let mut client = Client::new(&publisher);
    let mut script = Unstructured::new(bytes);
    let mut refreshes = 0;
    for _ in 0..MOST_STEPS {
        if script.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut script) else {
            break;
        };
        refreshes += usize::from(matches!(step, Step::Refresh { .. }));
        if refreshes >= MOST_REFRESHES {
            break;
        }
        take(step, &mut publisher, &mut client);
    }
    client.refresh(&publisher, 0, 0);
}

fn take(step: Step, publisher: &mut Publisher, client: &mut Client) {
    match step {
        Step::Release => publisher.release(),
        Step::Version { role, delta } => publisher.version(role, delta),
        Step::Expiry { role, days } => publisher.expiry(role, days),
        Step::Keys {
            role,
            keys,
            threshold,
        } => publisher.keys(role, keys, threshold),
        Step::Consistent(value) => publisher.root.consistent_snapshot = value,
        Step::Delegate {
            from,
            to,
            keys,
            threshold,
            pattern,
            terminating,
        } => {
            publisher.delegate(from, to, (keys, threshold), pattern, terminating);
        }
        Step::Undelegate { from } => publisher.undelegate(from),
        Step::Target { role, path, length } => publisher.target(role, path, length),
        Step::List { role, listing } => publisher.list(role, &listing),
        Step::Publish { role, keys, graft } => publisher.publish(role, keys, graft.as_ref()),
        Step::Rotate {
            role,
            keys,
            threshold,
            by,
        } => {
            publisher.keys(role, keys, threshold);
            publisher.version(Name::Root, 1);
            publisher.publish(Name::Root, by, None);
        }
        Step::Damage { role, at, value } => publisher.damage(role, at, value),
        Step::Withhold { role } => publisher.withhold(role),
        Step::Replay { role, of, age } => publisher.replay(role, of, age),
        Step::Refresh { days, path } => client.refresh(publisher, days, path),
    }
}
