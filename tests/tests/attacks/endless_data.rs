//! Endless data: files that do not stop, or are larger, deeper or more numerous than anything honest.

use tests::simulator::{Describe, Fault, Plan};

use crate::support::{START, plan, plans, still_follows, trusted, verdict, world};

/// The limit of each file is the least of what is announced and what the device allows.
#[test]
fn files_without_an_end() {
    for plan in plans() {
        let (mut honest, device) = world(plan.clone());
        honest.add_target("targets", "top", b"top");
        honest.add_target("lamp", "lamp/new", b"new");
        honest.publish_root().publish();
        let announced = plan.describe != Describe::Version;
        let mut length = |name: &str, limit: u64| {
            let file = honest.file(&format!("metadata/{name}")).unwrap();
            if announced {
                u64::try_from(file.len()).unwrap()
            } else {
                limit
            }
        };
        let prefixed = |version: &str, role: &str| {
            let prefix = if plan.consistent_snapshot {
                version
            } else {
                ""
            };
            format!("{prefix}{role}.json")
        };
        let snapshot = prefixed("4.", "snapshot");
        let targets = prefixed("3.", "targets");
        let lamp = prefixed("3.", "lamp");
        let limits = [
            ("4.root.json".to_owned(), device.limits.root_length),
            ("timestamp.json".to_owned(), device.limits.timestamp_length),
            (
                snapshot.clone(),
                length(&snapshot, device.limits.snapshot_length),
            ),
            (
                targets.clone(),
                length(&targets, device.limits.targets_length),
            ),
            (lamp.clone(), length(&lamp, device.limits.targets_length)),
        ];
        for (name, limit) in limits {
            let mut evil = honest.clone();
            let at = format!("metadata/{name}");
            if name == "4.root.json" {
                // Root 4 is not published: it is made of nothing but zeros.
                evil.replace(&at, &vec![b' '; usize::try_from(limit).unwrap() + 1]);
            } else {
                evil.fault(&at, Fault::Endless);
            }
            let end = verdict(device.download(&mut evil, "lamp/new"));
            assert_eq!(end, format!("{name}: longer than {limit}"), "{plan:?}");
        }
        let digest = metadata_schema::digest::Sha256Digest::of(b"new");
        let name = if plan.consistent_snapshot {
            format!("lamp/{digest}.new")
        } else {
            "lamp/new".to_owned()
        };
        let mut evil = honest.clone();
        evil.fault(&format!("targets/{name}"), Fault::Endless);
        let end = verdict(device.download(&mut evil, "lamp/new"));
        assert_eq!(end, format!("{name}: longer than 3"));
        still_follows(&device, &mut honest);
    }
}

/// A length that metadata announces does not lift the device's own bound.
#[test]
fn an_announced_length_is_no_licence() {
    let describe = Describe::Length;
    let (mut honest, device) = world(Plan { describe, ..plan() });
    let mut evil = honest.stolen(&["timestamp", "snapshot"]);
    evil.publish_snapshot();
    evil.timestamp().edit().snapshot.length = Some(u64::MAX);
    evil.fault("metadata/4.snapshot.json", Fault::Endless);
    let expected = format!(
        "4.snapshot.json: longer than {}",
        device.limits.snapshot_length
    );
    assert_eq!(verdict(device.refresh(&mut evil)), expected);
    honest.publish_timestamp().publish_timestamp();
    still_follows(&device, &mut honest);
}

/// What is not metadata at all, or is built to exhaust a reader.
#[test]
fn files_that_are_bombs() {
    let deep = "[".repeat(100_000);
    let nested = format!(r#"{{"signed":{}"#, r#"{"a":"#.repeat(100_000));
    let signatures: Vec<String> = (0..257)
        .map(|n| format!(r#"{{"keyid":"{n:064x}","sig":"00"}}"#))
        .collect();
    let many = format!(
        r#"{{"signed":{{}},"signatures":[{}]}}"#,
        signatures.join(",")
    );
    let number = format!(r#"{{"signed":{},"signatures":[]}}"#, "9".repeat(10_000));
    let cases = [
        ("nothing", String::new(), "not metadata"),
        ("a page", "<!doctype html>".to_owned(), "not metadata"),
        ("an array within arrays", deep, "not metadata"),
        ("an object within objects", nested.clone(), "json"),
        (
            "two names that are the same",
            r#"{"signed":{},"signed":{},"signatures":[]}"#.to_owned(),
            "json",
        ),
        (
            "no signatures",
            r#"{"signed":{}}"#.to_owned(),
            "shape of file.signatures",
        ),
        (
            "more signatures than anybody has",
            many,
            "shape of file.signatures",
        ),
        ("a number of ten thousand digits", number, "threshold"),
        (
            "half a file",
            r#"{"signed":{"_type":"ro"#.to_owned(),
            "json",
        ),
    ];
    for (name, role, needed) in [
        ("3.root.json", "root", 2),
        ("timestamp.json", "timestamp", 1),
        ("4.snapshot.json", "snapshot", 1),
        ("3.targets.json", "targets", 2),
        ("3.lamp.json", "lamp", 2),
    ] {
        let (mut honest, mut device) = world(plan());
        device.limits.timestamp_length = 1 << 20;
        honest.root().edit();
        honest.publish_root();
        honest.add_target("targets", "top", b"top");
        honest.add_target("lamp", "lamp/new", b"new").publish();
        for (what, bytes, kind) in &cases {
            let mut evil = honest.clone();
            evil.replace(&format!("metadata/{name}"), bytes.as_bytes());
            let end = verdict(device.download(&mut evil, "lamp/new"));
            let subject = if *kind == "not metadata" { name } else { role };
            let expected = match *kind {
                // Numbers may be of any length; nobody signed this one.
                "threshold" => format!("{role}: threshold 0/{needed}"),
                kind => format!("{subject}: {kind}"),
            };
            assert_eq!(end, expected, "{what} as {name}");
        }
        still_follows(&device, &mut honest);
    }
}

/// More roots than one walk takes: it ends with what it has, and the next run goes on from there.
#[test]
fn roots_without_an_end() {
    let (mut honest, mut device) = world(plan());
    device.limits.root_rotations = 5;
    for _ in 0..12 {
        honest.publish_root();
    }
    honest.publish();
    for root in [7, 12, 14] {
        assert_eq!(verdict(device.refresh(&mut honest)), "accepted");
        assert_eq!(device.trusted()["root"], root);
        let asked = honest.take_requests();
        let roots = asked.iter().filter(|name| name.ends_with(".root.json"));
        assert!(roots.count() <= 5, "{asked:?}");
    }
    still_follows(&device, &mut honest);
    assert_ne!(trusted(&device), START);
}
