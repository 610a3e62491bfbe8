//! Mix and match: files that are each well signed, and do not belong together.

use std::num::NonZeroU32;

use metadata_schema::name::Version;
use metadata_schema::roles::RoleKeys;
use tests::simulator::{Describe, Plan, Simulator, TestClient};

use crate::support::{START, plan, still_follows, trusted, verdict, world};

/// A snapshot of another time than the targets, with the right name and the right signatures.
#[test]
fn versions_that_were_never_published_together() {
    for (role, name, expected) in [
        (
            "targets",
            "metadata/3.targets.json",
            "targets: version 2 for 3",
        ),
        (
            "router",
            "metadata/2.router.json",
            "router: version 1 for 2",
        ),
    ] {
        let (mut honest, device) = world(plan());
        let old = honest.targets(role).bytes();
        honest.add_target("targets", "top", b"top");
        honest
            .add_target("router", "router/fw", b"router 2")
            .publish();
        let mut evil = honest.clone();
        evil.replace(name, &old);
        assert_eq!(verdict(device.download(&mut evil, "router/fw")), expected);
        still_follows(&device, &mut honest);
    }
}

/// The newer file under the older name: also one that was never published with this snapshot.
#[test]
fn newer_files_than_the_snapshot_names() {
    for describe in [Describe::Version, Describe::LengthAndHashes] {
        let mut honest = Simulator::new(Plan { describe, ..plan() });
        let device = TestClient::new(&mut honest);
        let mut evil = honest.clone();
        honest.add_target("targets", "top", b"top").publish();
        let newer = honest.targets("targets").bytes();
        evil.replace("metadata/1.targets.json", &newer);
        let end = verdict(device.refresh(&mut evil));
        let expected = match describe {
            Describe::Version => "targets: version 2 for 1".to_owned(),
            _ => {
                let length = honest.targets("targets").of_version(1).unwrap().len();
                format!("1.targets.json: longer than {length}")
            }
        };
        assert_eq!(end, expected);
        assert_eq!(trusted(&device), "root 1, snapshot 1, timestamp 1");
        device.refresh(&mut honest).unwrap();
    }
}

/// What length and digests say of files, where they say it.
#[test]
fn other_bytes_than_were_announced() {
    for (role, name) in [
        ("snapshot", "metadata/4.snapshot.json"),
        ("targets", "metadata/3.targets.json"),
        ("lamp", "metadata/3.lamp.json"),
    ] {
        let describe = Describe::LengthAndHashes;
        let (mut honest, device) = world(Plan { describe, ..plan() });
        honest.add_target("targets", "top", b"top");
        honest.add_target("lamp", "lamp/new", b"new").publish();
        let whole = honest.file(name).unwrap();
        // White space changes no signature, and it is another file all the same.
        let (mut longer, mut shorter, mut other) = (whole.to_vec(), whole.to_vec(), whole.to_vec());
        longer.push(b'\n');
        assert_eq!(shorter.pop(), Some(b'\n'));
        *other.last_mut().unwrap() = b' ';
        for (bytes, expected) in [
            (
                longer,
                format!("{}: longer than {}", &name[9..], whole.len()),
            ),
            (shorter, format!("{role}: length")),
            (other, format!("{role}: sha256")),
        ] {
            let mut evil = honest.clone();
            evil.replace(name, &bytes);
            assert_eq!(verdict(device.download(&mut evil, "lamp/new")), expected);
        }
        still_follows(&device, &mut honest);
    }
}

/// One key for all roles: then only what a file says of itself tells it from another role's.
#[test]
fn each_roles_file_in_the_place_of_each_other() {
    let mut honest = Simulator::new(plan());
    let device = TestClient::new(&mut honest);
    let key = honest.key("everything");
    let root = honest.root().edit();
    root.keys = [(key.public().id().clone(), key.public().clone())].into();
    let only = RoleKeys::new([key.public().id().clone()], NonZeroU32::MIN);
    (root.root, root.timestamp) = (only.clone(), only.clone());
    (root.snapshot, root.targets) = (only.clone(), only);
    for role in ["root", "timestamp", "snapshot", "targets"] {
        *honest.signers_mut(role) = vec![key.clone()];
    }
    honest.publish_root().publish_targets("targets").publish();
    device.refresh(&mut honest).unwrap();
    assert_eq!(
        trusted(&device),
        "root 2, snapshot 2, targets 2, timestamp 2"
    );
    // All at one version, so that no check of versions comes before.
    for role in ["root", "timestamp", "snapshot", "targets"] {
        match role {
            "root" => honest.root().set_version(3),
            "timestamp" => honest.timestamp().set_version(3),
            "snapshot" => honest.snapshot().set_version(3),
            _ => honest.targets("targets").set_version(3),
        }
    }
    let meta = &mut honest.snapshot().edit().meta;
    meta.get_mut("targets.json").unwrap().version = Version::new(3).unwrap();
    honest.timestamp().edit().snapshot.version = Version::new(3).unwrap();
    device.refresh(&mut honest.clone()).unwrap();
    let names = ["3.root", "timestamp", "3.snapshot", "3.targets"];
    for there in names {
        for instead in names {
            if there == instead {
                continue;
            }
            let device = TestClient::new(&mut honest);
            let mut evil = honest.clone();
            let bytes = evil.file(&format!("metadata/{instead}.json")).unwrap();
            evil.replace(&format!("metadata/{there}.json"), &bytes);
            let role = there.trim_start_matches("3.");
            let expected = format!("{role}: shape of signed._type");
            assert_eq!(verdict(device.refresh(&mut evil)), expected, "{instead}");
            assert!(!device.trusted().contains_key(role) || role == "root");
        }
    }
}

/// The people who sign one product sign another, too: their file for one must not be served as the other's.
#[test]
fn one_products_file_as_anothers() {
    let (mut honest, device) = world(plan());
    let people = honest.signers("lamp");
    for old in honest.signers("router") {
        honest.remove_key("router", &old);
    }
    for key in &people {
        honest.authorise("targets", "router", key);
        honest.signers_mut("router").push(key.clone());
    }
    for role in ["lamp", "router"] {
        let name = role.to_owned();
        let extra = &mut honest.targets(role).edit().extra;
        extra.insert("x-role".to_owned(), name.into());
    }
    honest.publish();
    // A thief of the online keys gives the router's name to the lamp's file; the versions agree.
    let mut evil = honest.stolen(&["timestamp", "snapshot"]);
    let lamp = evil.targets("lamp").bytes();
    let version = evil.targets("lamp").version();
    let meta = &mut evil.snapshot().edit().meta;
    meta.get_mut("router.json").unwrap().version = Version::new(version).unwrap();
    evil.publish_snapshot();
    evil.replace(&format!("metadata/{version}.router.json"), &lamp);
    let end = verdict(device.find(&mut evil, "router/fw"));
    assert_eq!(end, "router: shape of signed.x-role");
    assert_eq!(device.trusted()["router"], 1);
    honest.timestamp().set_version(9);
    honest.publish_snapshot().publish_snapshot();
    honest.targets("router").edit();
    still_follows(&device, &mut honest);
}

/// A timestamp that names a snapshot which is not there: half a publication, or half an attack.
#[test]
fn files_that_are_not_there() {
    for name in ["timestamp", "4.snapshot", "3.targets", "3.lamp"] {
        let (mut honest, device) = world(plan());
        honest.add_target("targets", "top", b"top");
        honest.add_target("lamp", "lamp/new", b"new").publish();
        let mut evil = honest.clone();
        evil.fault(
            &format!("metadata/{name}.json"),
            tests::simulator::Fault::Missing,
        );
        let end = verdict(device.download(&mut evil, "lamp/new"));
        assert_eq!(end, format!("{name}.json: missing"));
        if name == "timestamp" {
            assert_eq!(trusted(&device), START);
        }
        still_follows(&device, &mut honest);
    }
}

/// Repositories that share keys and differ in the rest: the other one's online files are older or newer, never a mixture.
#[test]
fn a_twin_repository_of_the_same_keys() {
    let (mut honest, device) = world(plan());
    let mut twin = Simulator::new(plan());
    twin.add_target("targets", "twin", b"twin").publish();
    assert_eq!(
        verdict(device.refresh(&mut twin)),
        "timestamp: rollback 3 to 2"
    );
    assert_eq!(trusted(&device), START);
    twin.publish().publish();
    // Newer than what the device knows, and its snapshot lists less.
    assert_eq!(verdict(device.refresh(&mut twin)), "lamp: 2 vanished");
    honest.timestamp().set_version(9);
    honest.publish().publish();
    still_follows(&device, &mut honest);
}
