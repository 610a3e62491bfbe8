//! Fast-forward: a thief of online keys pushes versions so far ahead that the honest ones look like rollbacks for ever. Rotating
//! the keys recovers (TUF 1.0.34, 5.3.11).

use metadata_schema::name::Version;
use tests::simulator::Simulator;

use crate::support::{in_full, plan, plans, still_follows, trusted, verdict, world};

const FAR: u64 = 1 << 62;

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

struct Case {
    name: &'static str,
    keys: &'static [&'static str],
    attack: fn(&mut Simulator),
    /// How the attack ends on the device.
    taken: &'static str,
    /// How the honest repository fares after it, until keys are rotated.
    then: &'static str,
    /// The roles whose keys root has to rotate.
    rotate: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "the timestamp's version",
            keys: &["timestamp"],
            attack: |r| r.timestamp().set_version(FAR),
            taken: "accepted",
            then: "timestamp: rollback 4611686018427387904 to 4",
            rotate: &["timestamp"],
        },
        Case {
            name: "the last timestamp version there is",
            keys: &["timestamp"],
            attack: |r| r.timestamp().set_version(u64::MAX),
            taken: "accepted",
            then: "timestamp: rollback 18446744073709551615 to 4",
            rotate: &["timestamp"],
        },
        Case {
            name: "the snapshot's version",
            keys: &["timestamp", "snapshot"],
            attack: |r| {
                r.snapshot().set_version(FAR);
                r.publish_snapshot();
            },
            taken: "accepted",
            then: "snapshot: rollback 4611686018427387905 to 5",
            rotate: &["timestamp", "snapshot"],
        },
        Case {
            name: "the snapshot's version, and the timestamp's key is not known to be stolen",
            keys: &["timestamp", "snapshot"],
            attack: |r| {
                r.snapshot().set_version(FAR);
                r.publish_snapshot();
            },
            taken: "accepted",
            then: "snapshot: rollback 4611686018427387905 to 5",
            rotate: &["snapshot"],
        },
        Case {
            name: "a delegated role's version in the snapshot",
            keys: &["timestamp", "snapshot"],
            attack: |r| {
                let meta = &mut r.snapshot().edit().meta;
                meta.get_mut("lamp.json").unwrap().version = version(FAR);
                meta.get_mut("lamp.json").unwrap().length = None;
                meta.get_mut("lamp.json").unwrap().hashes = None;
                r.publish_snapshot();
            },
            taken: "accepted",
            then: "lamp: rollback 4611686018427387904 to 2",
            rotate: &["snapshot"],
        },
        Case {
            name: "the targets' version, with their keys",
            keys: &["timestamp", "snapshot", "targets"],
            attack: |r| {
                r.targets("targets").set_version(FAR);
                r.publish();
            },
            taken: "accepted",
            then: "targets: rollback 4611686018427387905 to 2",
            rotate: &["timestamp", "snapshot", "targets"],
        },
    ]
}

#[test]
fn and_recovery_by_rotation() {
    for plan in plans() {
        for case in cases() {
            let what = format!("{} ({plan:?})", case.name);
            let (mut honest, device) = world(plan.clone());
            let mut evil = honest.stolen(case.keys);
            (case.attack)(&mut evil);
            assert_eq!(verdict(device.refresh(&mut evil)), case.taken, "{what}");
            if case.name.contains("timestamp's version") || case.name.contains("last") {
                honest.publish_timestamp();
            } else {
                // The honest timestamp has to come after the thief's, or it is the first to be refused.
                let ahead = device.trusted()["timestamp"];
                honest.timestamp().set_version(ahead);
                honest.publish_snapshot().publish_snapshot();
            }
            assert_eq!(verdict(device.refresh(&mut honest)), case.then, "{what}");
            for role in case.rotate {
                honest.rotate(role);
            }
            honest.publish_root().publish();
            if let Err(e) = device.refresh(&mut honest) {
                panic!("{what}: {}", in_full(&e));
            }
            still_follows(&device, &mut honest);
            // The thief's files are worth nothing now.
            let end = verdict(device.refresh(&mut evil));
            let worthless = if case.rotate.contains(&"timestamp") {
                "timestamp: threshold 0/1"
            } else {
                "timestamp: rollback"
            };
            assert!(end.starts_with(worthless), "{what}: {end}");
        }
    }
}

/// A key that went and came back between two visits was out of force all the same.
#[test]
fn rotation_and_back_while_the_device_slept() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.stolen(&["timestamp"]);
    evil.timestamp().set_version(FAR);
    device.refresh(&mut evil).unwrap();
    let key = honest.signers("timestamp")[0].clone();
    honest.rotate("timestamp").publish_root();
    honest.rotate("timestamp").publish_root();
    for newer in honest.signers("timestamp") {
        honest.remove_key("timestamp", &newer);
    }
    honest.authorise("root", "timestamp", &key);
    honest.signers_mut("timestamp").push(key);
    honest.publish_root().publish();
    device.refresh(&mut honest).unwrap();
    still_follows(&device, &mut honest);
}

/// Only a key that leaves resets the floor: the floor must not fall because a key joins or another role changes.
#[test]
fn the_floor_stays_where_no_online_key_left() {
    for change in [
        "a key joins timestamp",
        "a key joins snapshot",
        "root rotates",
        "targets rotates",
        "nothing",
    ] {
        let (mut honest, device) = world(plan());
        let mut old = honest.clone();
        let first = old.timestamp().of_version(1).unwrap();
        match change {
            "a key joins timestamp" => drop(honest.add_key("timestamp")),
            "a key joins snapshot" => drop(honest.add_key("snapshot")),
            "root rotates" => drop(honest.rotate("root")),
            "targets rotates" => drop(honest.rotate("targets")),
            _ => {}
        }
        honest.publish_root().publish();
        let mut evil = honest.clone();
        evil.replace("metadata/timestamp.json", &first);
        let end = verdict(device.refresh(&mut evil));
        assert_eq!(end, "timestamp: rollback 3 to 1", "{change}");
        assert_eq!(device.trusted()["root"], 3, "{change}");
        assert_eq!(device.trusted()["timestamp"], 3, "{change}");
        still_follows(&device, &mut honest);
    }
}

/// After the recovery the floor is what the honest repository says, and holds again.
#[test]
fn the_floor_holds_again_after_recovery() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.stolen(&["timestamp"]);
    evil.timestamp().set_version(FAR);
    device.refresh(&mut evil).unwrap();
    honest.rotate("timestamp").publish_root().publish();
    let mut old = honest.clone();
    honest.publish();
    device.refresh(&mut honest).unwrap();
    let before = trusted(&device);
    assert_eq!(
        verdict(device.refresh(&mut old)),
        "timestamp: rollback 5 to 4"
    );
    assert_eq!(trusted(&device), before);
    still_follows(&device, &mut honest);
}
