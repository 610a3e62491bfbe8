//! Files of the store that are torn, foreign or swapped: found, and named with what to do about it; never a silent fresh start.

use std::path::Path;

use tests::simulator::{Delegation, Plan, Simulator};
use updater::error::Error;

use crate::device::{Device, certified, issue_all, issue_root, repository, text, time};

/// A repository with a delegated role, and a device that trusts it.
fn trusting() -> (Simulator, Device) {
    let mut repository = certified("2030-01-01");
    repository.delegate("targets", &Delegation::new("product", &["p/*"]).keys(2, 2));
    repository.add_target("product", "p/firmware", b"v1");
    issue_root(&mut repository, "2030-01-01");
    issue_all(&mut repository, "2030-01-01");
    let mut device = Device::new(&mut repository);
    device.wanted = Some("p/firmware");
    device.refresh(&mut repository).unwrap();
    (repository, device)
}

/// What a file may have become.
fn damages(genuine: &[u8], foreign: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = genuine.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    vec![
        ("empty", Vec::new()),
        ("cut off", genuine[..genuine.len() / 2].to_vec()),
        ("without its end", genuine[..genuine.len() - 2].to_vec()),
        ("zeros", vec![0; genuine.len()]),
        ("a flipped bit", flipped),
        ("twice", [genuine, genuine].concat()),
        ("somebody else's", foreign.to_vec()),
    ]
}

fn replaced(path: &Path, bytes: &[u8], check: impl FnOnce()) {
    let genuine = std::fs::read(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    check();
    std::fs::write(path, genuine).unwrap();
}

#[test]
fn files_that_hold_a_floor_are_errors_that_name_them() {
    let (mut repository, device) = trusting();
    let mut other = Simulator::new(Plan::new("other", time("2030-01-01")));
    for role in ["root", "timestamp", "snapshot"] {
        let path = device.path(&format!("metadata/{role}.json"));
        let genuine = std::fs::read(&path).unwrap();
        let foreign = match role {
            "timestamp" => other.timestamp().bytes(),
            "snapshot" => other.snapshot().bytes(),
            // A foreign root would be its own proof: only who can write here can put it here.
            _ => other.timestamp().bytes(),
        };
        for (what, bytes) in damages(&genuine, &foreign) {
            if *bytes == *genuine {
                continue;
            }
            let before = device.files().len();
            replaced(&path, &bytes, || {
                let error = device.refresh(&mut repository).err().unwrap();
                let message = error.in_one_line();
                assert!(matches!(error, Error::Store(_)), "{role} {what}: {message}");
                assert!(
                    message.contains(&path.display().to_string()) && message.contains("damaged"),
                    "{role} {what}: {message}"
                );
                assert!(error.hint().unwrap().contains("backup"), "{role} {what}");
                assert_eq!(
                    std::fs::read(&path).unwrap(),
                    bytes,
                    "{role} {what}: left alone"
                );
            });
            assert_eq!(device.files().len(), before);
        }
    }
    device.refresh(&mut repository).unwrap();
}

/// A device that began over the network has no other root than the stored one.
#[test]
fn a_damaged_root_is_named_where_there_is_no_other() {
    let (mut repository, mut device) = trusting();
    device.root = b"{".to_vec();
    std::fs::write(device.path("metadata/root.json"), b"{").unwrap();
    let message = text(device.refresh(&mut repository));
    assert!(
        message.contains("metadata/root.json is damaged"),
        "{message}"
    );
}

#[test]
fn files_in_each_others_places_are_errors() {
    let (mut repository, device) = trusting();
    let path = |role: &str| device.path(&format!("metadata/{role}.json"));
    for (role, other) in [
        ("timestamp", "snapshot"),
        ("snapshot", "targets"),
        ("root", "targets"),
    ] {
        let bytes = std::fs::read(path(other)).unwrap();
        replaced(&path(role), &bytes, || {
            let message = text(device.refresh(&mut repository));
            let name = format!("{role}.json is damaged");
            assert!(message.contains(&name), "{message}");
        });
    }
}

/// They carry no floor: the snapshot names their versions.
#[test]
fn copies_without_a_floor_are_fetched_again() {
    let (mut repository, device) = trusting();
    for role in ["targets", "product"] {
        let path = device.path(&format!("metadata/{role}.json"));
        let genuine = std::fs::read(&path).unwrap();
        let foreign = std::fs::read(device.path("metadata/snapshot.json")).unwrap();
        for (what, bytes) in damages(&genuine, &foreign) {
            std::fs::write(&path, bytes).unwrap();
            repository.take_requests();
            device.refresh(&mut repository).unwrap();
            let asked = repository.take_requests();
            assert!(
                asked
                    .iter()
                    .any(|name| name.ends_with(&format!(".{role}.json"))),
                "{role} {what}: {asked:?}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), genuine, "{role} {what}");
        }
    }
}

#[test]
fn revocation_lists_clock_and_origin_are_errors_that_name_them() {
    let (mut repository, device) = trusting();
    let lists = device.path("metadata/crls");
    let list = std::fs::read_dir(&lists)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for damage in [&b""[..], b"{", &[0x30; 50]] {
        replaced(&list, damage, || {
            let message = text(device.refresh(&mut repository));
            let name = list.file_name().unwrap().to_str().unwrap();
            assert!(
                message.contains(name) && message.contains("damaged"),
                "{message}"
            );
        });
        for name in ["time-floor.json", "origin.json"] {
            let path = device.path(name);
            std::fs::write(&path, damage).unwrap();
            let states = device.states();
            let error = match name {
                "origin.json" => states.origin().err(),
                _ => states.time_floor().err(),
            };
            let message = Error::from(error.unwrap()).in_one_line();
            assert!(
                message.contains(name) && message.contains("damaged"),
                "{message}"
            );
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_root_that_is_gone_is_an_error() {
    let (mut repository, device) = trusting();
    std::fs::remove_file(device.path("metadata/root.json")).unwrap();
    let message = text(device.refresh(&mut repository));
    assert!(
        message.contains("root.json is damaged: it is missing, although"),
        "{message}"
    );
}

/// Larger than anything that was ever stored, or no file at all.
#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let (mut repository, device) = trusting();
    let path = device.path("metadata/timestamp.json");
    std::fs::remove_file(&path).unwrap();
    let huge = std::fs::File::create(&path).unwrap();
    huge.set_len(1 << 40).unwrap();
    let message = text(device.refresh(&mut repository));
    assert!(
        message.contains("timestamp.json is larger than"),
        "{message}"
    );
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let message = text(device.refresh(&mut repository));
    assert!(message.contains("timestamp.json"), "{message}");
}

#[test]
fn leftovers_are_cleared_away_and_nothing_else() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let before = device.files();
    for name in [
        ".time-floor.json.0011223344556677.tmp",
        "metadata/.root.json.0011223344556677.tmp",
        "metadata/root_history/.2.root.json.0011223344556677.tmp",
        "metadata/crls/.00ff.crl.0011223344556677.tmp",
    ] {
        std::fs::write(device.path(name), b"{").unwrap();
    }
    device.states().tidy().unwrap();
    updater::metadata_store::MetadataStore::open(&device.path("metadata"))
        .unwrap()
        .tidy()
        .unwrap();
    assert_eq!(device.files(), before);
}
