//! Freeze: what is old is served for ever, so that nobody learns of what is new. Expiry ends it.

use metadata_schema::time::Timestamp;
use tests::simulator::Simulator;

use crate::support::{START, now, plan, plans, still_follows, trusted, verdict, world};

fn expire(repository: &mut Simulator, role: &str, at: Timestamp) {
    match role {
        "root" => repository.root().edit().common.expires = at,
        "timestamp" => repository.timestamp().edit().common.expires = at,
        "snapshot" => repository.snapshot().edit().common.expires = at,
        role => repository.targets(role).edit().common.expires = at,
    }
}

/// A file that has expired when it comes.
#[test]
fn new_files_that_have_expired() {
    let rest = "lamp 2, root 3, router 1";
    for (role, expected, left) in [
        (
            "root",
            "root: 3 expired",
            format!("{rest}, snapshot 3, targets 2, timestamp 3"),
        ),
        (
            "timestamp",
            "timestamp: 4 expired",
            format!("{rest}, snapshot 3, targets 2, timestamp 3"),
        ),
        (
            "snapshot",
            "snapshot: 4 expired",
            format!("{rest}, snapshot 3, targets 2, timestamp 4"),
        ),
        (
            "targets",
            "targets: 3 expired",
            format!("{rest}, snapshot 4, targets 2, timestamp 4"),
        ),
        (
            "lamp",
            "lamp: 3 expired",
            format!("{rest}, snapshot 4, targets 3, timestamp 4"),
        ),
    ] {
        for plan in plans() {
            // To the second; where it makes no difference what else the repository is like, once is enough.
            let once = plan == crate::support::plan();
            let times = [(0, true), (-1, true), (1, false)];
            for (seconds, over) in times.into_iter().take(if once { 3 } else { 1 }) {
                let (mut honest, device) = world(plan.clone());
                for changed in ["targets", "lamp"] {
                    honest.targets(changed).edit();
                }
                expire(&mut honest, role, now().plus_seconds(seconds));
                honest.publish_root().publish();
                let found = verdict(device.find(&mut honest, "lamp/fw"));
                if over {
                    assert_eq!(found, expected, "{plan:?}");
                    assert_eq!(trusted(&device), left, "{role} {plan:?}");
                } else {
                    assert_eq!(found, "accepted");
                }
                expire(&mut honest, role, now().plus_seconds(86_400));
                still_follows(&device, &mut honest);
            }
        }
    }
}

/// The same repository for ever: the timestamp is the first to end it, and each other file does if it ends before.
#[test]
fn a_repository_that_stands_still() {
    for (role, expected) in [
        ("root", "root: 3 expired"),
        ("timestamp", "timestamp: 4 expired"),
        ("snapshot", "snapshot: 4 expired"),
        ("targets", "targets: 3 expired"),
        ("lamp", "lamp: 3 expired"),
    ] {
        let (mut honest, mut device) = world(plan());
        for changed in ["targets", "lamp"] {
            honest.targets(changed).edit();
        }
        let end = now().plus_seconds(7 * 86_400);
        expire(&mut honest, role, end);
        honest.publish_root().publish();
        device.find(&mut honest, "lamp/fw").unwrap();
        let before = trusted(&device);
        let mut frozen = honest.clone();
        device.now = end.plus_seconds(-1);
        device.find(&mut frozen, "lamp/fw").unwrap();
        device.now = end;
        assert_eq!(verdict(device.find(&mut frozen, "lamp/fw")), expected);
        assert_eq!(trusted(&device), before);
        expire(&mut honest, role, end.plus_seconds(30 * 86_400));
        still_follows(&device, &mut honest);
    }
}

/// A root on the way may have expired: the walk is there to replace it (5.3.10 asks of the last one only).
#[test]
fn expired_roots_on_the_way_do_no_harm() {
    let (mut honest, device) = world(plan());
    expire(&mut honest, "root", now().plus_seconds(-86_400));
    honest.publish_root();
    assert_eq!(
        verdict(device.refresh(&mut honest.clone())),
        "root: 3 expired"
    );
    expire(&mut honest, "root", now().plus_seconds(86_400));
    honest.publish_root();
    assert_eq!(verdict(device.refresh(&mut honest)), "accepted");
    assert_eq!(device.trusted()["root"], 4);
    still_follows(&device, &mut honest);
}

/// Hiding a newer root works no longer than the online files live; an error is not taken for "no newer root".
#[test]
fn hiding_the_next_root() {
    let (mut honest, device) = world(plan());
    honest.rotate("timestamp").publish_root().publish();
    let mut evil = honest.clone();
    evil.fault("metadata/3.root.json", tests::simulator::Fault::Missing);
    // The new timestamp is signed by a key that the old root does not know.
    assert_eq!(
        verdict(device.refresh(&mut evil)),
        "timestamp: threshold 0/1"
    );
    assert_eq!(trusted(&device), START);
    for status in [400, 401, 429, 500, 503] {
        evil.fault(
            "metadata/3.root.json",
            tests::simulator::Fault::Status(status),
        );
        let expected = format!("3.root.json: status {status}");
        assert_eq!(verdict(device.refresh(&mut evil)), expected);
        assert_eq!(trusted(&device), START);
    }
    still_follows(&device, &mut honest);
}
