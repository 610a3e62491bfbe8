//! Names that would like to be paths: of targets, of roles, of files in the snapshot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::json::Json;
use metadata_schema::name::Version;
use metadata_schema::roles::{MetaFile, TargetFile};
use tests::simulator::{Delegation, Simulator, TestClient};

use crate::support::{member, plan, still_follows, verdict, world};

const CLIMBERS: [&str; 10] = [
    "../up",
    "..",
    ".",
    "/etc/passwd",
    "a/../../up",
    "a//b",
    "./a",
    "a/",
    "a\\..\\b",
    "a\u{0}b",
];

fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.insert(path);
        }
    }
}

/// A repository may list such targets; nobody can be made to fetch one, and the others are as good as ever.
#[test]
fn target_names_that_climb() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.stolen(&["timestamp", "snapshot", "lamp"]);
    for name in CLIMBERS {
        let file = TargetFile::new(4, Hashes::sha256(Sha256Digest::of(b"evil")));
        evil.targets("lamp")
            .edit()
            .targets
            .insert(name.to_owned(), file);
    }
    evil.publish();
    for name in CLIMBERS {
        let end = verdict(device.find(&mut evil, name));
        assert!(end.starts_with("target path "), "{end}");
    }
    assert!(device.find(&mut evil, "lamp/fw").unwrap().is_some());
    // The honest role has to come after the thief's.
    honest.targets("lamp").edit();
    honest.publish().publish();
    still_follows(&device, &mut honest);
}

/// Role names are free text: whatever they are, their files stay in the folder, one file each.
#[test]
fn role_names_that_climb() {
    let names = [
        "../up",
        "..",
        ".",
        "/etc/passwd",
        "a/../../up",
        "a//b",
        "./a",
        "a/",
        "a\\..\\b",
        ".hidden",
        "%2e%2e%2fup",
        "root_history/1.root",
        "1.root",
        "crls/x",
        "CON",
        "a b",
        "é",
        "e\u{301}",
        "-rf",
        "~",
        "root.json",
        "Root",
        "timestamp.json",
        "*",
        "?",
    ];
    let mut repository = Simulator::new(plan());
    for (number, name) in names.iter().enumerate() {
        let pattern = format!("t{number}");
        repository.delegate("targets", &Delegation::new(name, &[&pattern]));
        repository.add_target(name, &pattern, name.as_bytes());
    }
    repository.publish();
    let device = TestClient::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let around = device.folder().parent().unwrap();
    let mut before = BTreeSet::new();
    files(device.folder(), &mut before);
    for (number, name) in names.iter().enumerate() {
        let found = device
            .download(&mut repository, &format!("t{number}"))
            .unwrap();
        assert_eq!(found.unwrap(), name.as_bytes(), "{name}");
        assert!(
            repository
                .take_requests()
                .contains(&format!("metadata/1.{name}.json"))
        );
        let mut after = BTreeSet::new();
        files(device.folder(), &mut after);
        let new: Vec<&PathBuf> = after.difference(&before).collect();
        assert_eq!(new.len(), 1, "{name}: {new:?}");
        assert_eq!(new[0].parent().unwrap(), device.folder(), "{name}");
        assert!(before.is_subset(&after), "{name}");
        before = after;
        // The stored copy is used: its name is found again.
        device.find(&mut repository, &format!("t{number}")).unwrap();
        assert!(
            !repository
                .take_requests()
                .contains(&format!("metadata/1.{name}.json"))
        );
    }
    assert!(!around.join("up.json").exists());
}

/// Names that no role can have: whoever delegates to one is refused, and nobody else.
#[test]
fn role_names_that_are_none() {
    let long = "x".repeat(201);
    for name in [
        "",
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "a\u{0}b",
        "a\nb",
        "\u{7f}",
        &long,
    ] {
        let (mut honest, device) = world(plan());
        honest.delegate("lamp", &Delegation::new("x", &["lamp/*"]));
        let mut evil = honest.clone();
        let hostile = name.to_owned();
        evil.targets("lamp").tamper_signed(move |signed| {
            *member(signed, "delegations.roles.0.name") = Json::from(hostile.as_str());
        });
        evil.publish();
        let end = verdict(device.find(&mut evil, "lamp/fw"));
        assert_eq!(
            end, "lamp: shape of signed.delegations.roles.name",
            "{name:?}"
        );
        assert!(
            device.find(&mut evil, "router/fw").unwrap().is_some(),
            "{name:?}"
        );
        honest.publish();
        still_follows(&device, &mut honest);
    }
}

/// The snapshot may list whatever it likes: what nobody asks for is nobody's file.
#[test]
fn file_names_in_the_snapshot() {
    let (mut honest, device) = world(plan());
    let odd = [
        "../../etc/passwd.json",
        "",
        ".json",
        "no-suffix",
        "a\nb.json",
        "root.json",
        "timestamp.json",
        "é.json",
    ];
    for name in odd {
        let file = MetaFile::version(Version::new(7).unwrap());
        honest.snapshot().edit().meta.insert(name.to_owned(), file);
    }
    honest.publish();
    device.refresh(&mut honest).unwrap();
    still_follows(&device, &mut honest);
    // What could be a role's file is held to its version; what no role is ever looked up under is nothing to hold to.
    for (name, expected) in [
        ("é.json", "é: rollback 7 to 1"),
        ("no-suffix", "accepted"),
        ("", "accepted"),
    ] {
        let mut evil = honest.clone();
        evil.snapshot().edit().meta.get_mut(name).unwrap().version = Version::FIRST;
        evil.publish_snapshot();
        assert_eq!(verdict(device.refresh(&mut evil)), expected, "{name}");
        honest.publish().publish();
        device.refresh(&mut honest).unwrap();
    }
    for name in odd
        .into_iter()
        .filter(|name| *name != "é.json" && !name.starts_with(".."))
    {
        honest.snapshot().edit().meta.remove(name);
    }
    honest.publish();
    still_follows(&device, &mut honest);
}
