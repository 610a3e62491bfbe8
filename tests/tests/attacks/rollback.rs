//! Rollback: older metadata, or metadata that names older metadata, is served as if it were new.

use metadata_schema::name::Version;
use tests::simulator::{Plan, Simulator, TestClient};

use crate::support::{START, in_full, plan, plans, still_follows, trusted, verdict, world};

/// How the attacker goes about it, on a copy of the repository with the keys that he has.
struct Case {
    name: &'static str,
    keys: &'static [&'static str],
    attack: fn(&mut Simulator),
    /// The verdict, and what the device trusts then.
    ends: (&'static str, &'static str),
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

const ONLINE: &[&str] = &["timestamp", "snapshot"];

#[test]
fn by_the_network_or_by_the_online_keys() {
    let cases = [
        Case {
            name: "an old timestamp",
            keys: &[],
            attack: |r| {
                let old = r.timestamp().of_version(2).unwrap();
                r.replace("metadata/timestamp.json", &old);
            },
            ends: ("timestamp: rollback 3 to 2", START),
        },
        Case {
            name: "the first timestamp",
            keys: &[],
            attack: |r| {
                let old = r.timestamp().of_version(1).unwrap();
                r.replace("metadata/timestamp.json", &old);
            },
            ends: ("timestamp: rollback 3 to 1", START),
        },
        Case {
            name: "a lower version, newly signed",
            keys: &["timestamp"],
            attack: |r| r.timestamp().set_version(2),
            ends: ("timestamp: rollback 3 to 2", START),
        },
        Case {
            name: "a new timestamp that names an older snapshot",
            keys: &["timestamp"],
            attack: |r| {
                r.timestamp().edit().snapshot.version = version(2);
                r.timestamp().edit().snapshot.length = None;
                r.timestamp().edit().snapshot.hashes = None;
                r.publish_timestamp();
            },
            ends: ("snapshot: rollback 3 to 2", START),
        },
        Case {
            name: "a new snapshot of a lower version",
            keys: ONLINE,
            attack: |r| {
                r.snapshot().set_version(1);
                r.publish_snapshot();
            },
            ends: ("snapshot: rollback 3 to 2", START),
        },
        Case {
            name: "a new snapshot that lists older targets",
            keys: ONLINE,
            attack: |r| {
                let meta = &mut r.snapshot().edit().meta;
                meta.get_mut("targets.json").unwrap().version = version(1);
                r.publish_snapshot();
            },
            ends: (
                "targets: rollback 2 to 1",
                "lamp 2, root 2, router 1, snapshot 3, targets 2, timestamp 4",
            ),
        },
        Case {
            name: "a new snapshot that lists an older delegated role",
            keys: ONLINE,
            attack: |r| {
                let meta = &mut r.snapshot().edit().meta;
                meta.get_mut("lamp.json").unwrap().version = version(1);
                r.publish_snapshot();
            },
            ends: (
                "lamp: rollback 2 to 1",
                "lamp 2, root 2, router 1, snapshot 3, targets 2, timestamp 4",
            ),
        },
        Case {
            name: "a new snapshot without the targets",
            keys: ONLINE,
            attack: |r| {
                r.snapshot().edit().meta.remove("targets.json");
                r.publish_snapshot();
            },
            ends: (
                "targets: 2 vanished",
                "lamp 2, root 2, router 1, snapshot 3, targets 2, timestamp 4",
            ),
        },
        Case {
            name: "a new snapshot without a delegated role",
            keys: ONLINE,
            attack: |r| {
                r.snapshot().edit().meta.remove("router.json");
                r.publish_snapshot();
            },
            ends: (
                "router: 1 vanished",
                "lamp 2, root 2, router 1, snapshot 3, targets 2, timestamp 4",
            ),
        },
        Case {
            name: "the first root as the next one",
            keys: &[],
            attack: |r| {
                let old = r.root().of_version(1).unwrap();
                r.replace("metadata/3.root.json", &old);
            },
            ends: ("root: version 1 for 3", START),
        },
        Case {
            name: "the current root as the next one",
            keys: &[],
            attack: |r| {
                let same = r.root().of_version(2).unwrap();
                r.replace("metadata/3.root.json", &same);
            },
            ends: ("root: version 2 for 3", START),
        },
        Case {
            name: "a root of an older version, newly signed",
            keys: &["root"],
            attack: |r| {
                r.root().set_version(1);
                let old = r.root().bytes();
                r.replace("metadata/3.root.json", &old);
            },
            ends: ("root: version 1 for 3", START),
        },
        Case {
            name: "a root that skips a version",
            keys: &["root"],
            attack: |r| {
                r.root().set_version(4);
                let next = r.root().bytes();
                r.replace("metadata/3.root.json", &next);
            },
            ends: ("root: version 4 for 3", START),
        },
    ];
    for plan in plans() {
        for case in &cases {
            let what = format!("{} ({plan:?})", case.name);
            let (mut honest, device) = world(plan.clone());
            let mut evil = honest.stolen(case.keys);
            (case.attack)(&mut evil);
            assert_eq!(verdict(device.refresh(&mut evil)), case.ends.0, "{what}");
            assert_eq!(trusted(&device), case.ends.1, "{what}");
            // Twice is not better than once.
            assert_eq!(verdict(device.refresh(&mut evil)), case.ends.0, "{what}");
            // The state that it knows already is good, unless the attacker had a newer timestamp signed.
            if case.ends.1 == START {
                assert_eq!(verdict(device.refresh(&mut honest)), "accepted", "{what}");
            } else {
                honest.publish_snapshot();
            }
            still_follows(&device, &mut honest);
        }
    }
}

#[test]
fn the_whole_repository_as_it_was() {
    for plan in plans() {
        let mut honest = Simulator::new(plan.clone());
        let device = TestClient::new(&mut honest);
        honest.publish();
        let mut old = honest.clone();
        honest.publish_root().publish();
        device.refresh(&mut honest).unwrap();
        let before = trusted(&device);
        let verdict = verdict(device.refresh(&mut old));
        assert_eq!(verdict, "timestamp: rollback 3 to 2", "{plan:?}");
        assert_eq!(trusted(&device), before);
        device.refresh(&mut honest).unwrap();
    }
}

/// What the snapshot names by its version alone: the file under that name is an older one.
#[test]
fn old_files_under_new_names() {
    for (role, name, expected) in [
        (
            "snapshot",
            "metadata/4.snapshot.json",
            "snapshot: version 3 for 4",
        ),
        (
            "targets",
            "metadata/3.targets.json",
            "targets: version 2 for 3",
        ),
        ("lamp", "metadata/3.lamp.json", "lamp: version 2 for 3"),
    ] {
        let (mut honest, device) = world(plan());
        let old = match role {
            "snapshot" => honest.snapshot().bytes(),
            role => honest.targets(role).bytes(),
        };
        honest.add_target("lamp", "lamp/new", b"new");
        honest.add_target("targets", "new", b"new").publish();
        let mut evil = honest.clone();
        evil.replace(name, &old);
        let result = device.download(&mut evil, "lamp/new");
        assert_eq!(verdict(result), expected);
        let stored = device.trusted();
        assert_eq!(stored["timestamp"], 4);
        assert_eq!(stored[role], if role == "snapshot" { 3 } else { 2 });
        still_follows(&device, &mut honest);
    }
}

/// Where the metadata above names digests, an older file is told by them, whatever it says of its version.
#[test]
fn old_files_against_digests() {
    let plan = Plan {
        describe: tests::simulator::Describe::LengthAndHashes,
        ..plan()
    };
    for (role, name) in [
        ("snapshot", "metadata/4.snapshot.json"),
        ("targets", "metadata/3.targets.json"),
        ("lamp", "metadata/3.lamp.json"),
    ] {
        let (mut honest, device) = world(plan.clone());
        // Another file of the same length and version, signed by the right keys.
        honest.add_target("lamp", "lamp/new", b"new");
        honest.add_target("targets", "new", b"new").publish();
        let mut other = honest.clone();
        let later = now_plus_one_second();
        match role {
            "snapshot" => other.snapshot().edit().common.expires = later,
            role => other.targets(role).edit().common.expires = later,
        }
        let bytes = other.file(name).unwrap();
        let mut evil = honest.clone();
        evil.replace(name, &bytes);
        assert_eq!(
            verdict(device.download(&mut evil, "lamp/new")),
            format!("{role}: sha256")
        );
        still_follows(&device, &mut honest);
    }
}

fn now_plus_one_second() -> metadata_schema::time::Timestamp {
    crate::support::now().plus_seconds(20 * 86_400 + 1)
}

/// 5.4.3: a timestamp of the trusted version is not taken in its place, whoever signed it.
#[test]
fn another_timestamp_of_the_same_version_changes_nothing() {
    let (mut honest, device) = world(plan());
    let before = device.stored("timestamp").unwrap();
    let mut evil = honest.stolen(&["timestamp"]);
    evil.timestamp().edit().snapshot.version = version(9);
    device.refresh(&mut evil).unwrap();
    assert_eq!(
        evil.take_requests(),
        ["metadata/3.root.json", "metadata/timestamp.json"]
    );
    assert_eq!(device.stored("timestamp").unwrap(), before);
    still_follows(&device, &mut honest);
}

/// New firmware may bring a newer root; an older one from the factory never takes the place of what the device has learnt.
#[test]
fn the_factory_root_does_not_roll_back_the_stored_one() {
    let (mut honest, mut device) = world(plan());
    honest.rotate("timestamp").publish_root().publish();
    device.refresh(&mut honest).unwrap();
    device.root = honest.root().of_version(1).unwrap().to_vec();
    device.refresh(&mut honest).unwrap();
    assert_eq!(device.trusted()["root"], 3);
    honest.take_requests();
    // A newer one is used, and saves the steps.
    honest.publish_root().publish_root();
    device.root = honest.root().of_version(5).unwrap().to_vec();
    if let Err(e) = device.refresh(&mut honest) {
        panic!("{}", in_full(&e));
    }
    assert_eq!(honest.take_requests()[0], "metadata/6.root.json");
    assert_eq!(device.trusted()["root"], 5);
}

/// What other clients take for a fresh start: a trusted file that was damaged, then an older repository.
#[test]
fn a_damaged_memory_is_no_fresh_start() {
    for (stem, torn) in [
        ("timestamp", true),
        ("timestamp", false),
        ("snapshot", true),
        ("root", true),
    ] {
        let (honest, device) = world(plan());
        let mut old = honest.clone();
        let timestamp = old.timestamp().of_version(1).unwrap();
        old.replace("metadata/timestamp.json", &timestamp);
        let whole = device.stored(stem).unwrap();
        let damaged = if torn {
            &whole[..whole.len() / 2]
        } else {
            b"{}"
        };
        std::fs::write(device.stored_path(stem), damaged).unwrap();
        let expected = format!("{stem}.json: damaged");
        let mut first = verdict(device.refresh(&mut old));
        if stem == "snapshot" {
            // The timestamp speaks first.
            assert_eq!(first, "timestamp: rollback 3 to 1");
            first = verdict(device.refresh(&mut honest.clone()));
        }
        assert_eq!(first, expected, "{stem}");
        // The file is left as it is, for whoever repairs it.
        assert_eq!(device.stored(stem).unwrap(), damaged);
        std::fs::write(device.stored_path(stem), whole).unwrap();
        still_follows(&device, &mut honest.clone());
    }
}
