//! Files that are signed, but not by the keys that may: of another role, of an older version, of nobody.

use tests::simulator::{KeyKind, Simulator};

use crate::support::{START, plan, still_follows, trusted, verdict, world};

const ROLES: [(&str, u32); 6] = [
    ("root", 2),
    ("timestamp", 1),
    ("snapshot", 1),
    ("targets", 2),
    ("lamp", 2),
    ("router", 2),
];

/// Has everything changed and published, with one role signed by these keys only.
fn signed_by(honest: &mut Simulator, role: &str, signers: Vec<tests::simulator::Key>) -> Simulator {
    for changed in ["targets", "lamp", "router"] {
        honest.targets(changed).edit();
    }
    let mut evil = honest.clone();
    if role == "root" {
        evil.publish_root();
        evil.root().also_mut().clear();
    }
    *evil.signers_mut(role) = signers;
    evil.publish();
    evil
}

#[test]
fn each_roles_file_by_each_other_roles_keys() {
    for (role, needed) in ROLES {
        for (other, _) in ROLES {
            if role == other {
                continue;
            }
            let (mut honest, device) = world(plan());
            let keys = honest.signers(other);
            let mut evil = signed_by(&mut honest, role, keys);
            let expected = format!("{role}: threshold 0/{needed}");
            let path = if role == "router" {
                "router/fw"
            } else {
                "lamp/fw"
            };
            assert_eq!(verdict(device.find(&mut evil, path)), expected, "{other}");
            if role == "root" {
                assert_eq!(trusted(&device), START);
            }
            honest.publish().publish();
            still_follows(&device, &mut honest);
        }
    }
}

#[test]
fn by_nobody_or_by_strangers() {
    for (role, needed) in ROLES {
        for strangers in [0, 1, 3] {
            let (mut honest, device) = world(plan());
            let names: Vec<String> = (0..strangers).map(|n| format!("stranger-{n}")).collect();
            let keys = names.iter().map(|name| honest.key(name)).collect();
            let mut evil = signed_by(&mut honest, role, keys);
            let expected = format!("{role}: threshold 0/{needed}");
            let path = if role == "router" {
                "router/fw"
            } else {
                "lamp/fw"
            };
            assert_eq!(verdict(device.find(&mut evil, path)), expected);
            honest.publish().publish();
            still_follows(&device, &mut honest);
        }
    }
}

/// A key that metadata lists is not a key that may sign for the role.
#[test]
fn keys_that_are_listed_but_not_for_the_role() {
    let (mut honest, device) = world(plan());
    let key = honest.key("listed");
    let id = key.public().id().clone();
    honest
        .root()
        .edit()
        .keys
        .insert(id.clone(), key.public().clone());
    let delegations = honest.targets("targets").edit().delegations.as_mut();
    delegations.unwrap().keys.insert(id, key.public().clone());
    honest.publish_root().publish();
    device.refresh(&mut honest).unwrap();
    for role in ["timestamp", "snapshot", "targets", "lamp"] {
        let mut evil = signed_by(&mut honest, role, vec![key.clone(), key.clone()]);
        let end = verdict(device.find(&mut evil, "lamp/fw"));
        assert!(end.starts_with(&format!("{role}: threshold 0/")), "{end}");
        honest.publish().publish();
        device.find(&mut honest, "lamp/fw").unwrap();
    }
    still_follows(&device, &mut honest);
}

/// 5.3.4: a new root needs a threshold of the old keys and one of its own. Names of keys that sign, of three old ones of which
/// two must and three new ones of which two must.
#[test]
fn a_new_root_needs_both_thresholds() {
    for (old, new, expected) in [
        (2, 2, "accepted"),
        (3, 3, "accepted"),
        (3, 0, "root: threshold 0/2"),
        (0, 3, "root: threshold 0/2"),
        (1, 3, "root: threshold 1/2"),
        (3, 1, "root: threshold 1/2"),
        (2, 1, "root: threshold 1/2"),
        (0, 0, "root: threshold 0/2"),
    ] {
        let (mut honest, device) = world(plan());
        let before = honest.signers("root");
        honest.rotate("root");
        let after = honest.signers("root");
        honest.publish_root();
        let mut evil = honest.clone();
        *evil.root().also_mut() = before[..old].to_vec();
        *evil.signers_mut("root") = after[..new].to_vec();
        let end = verdict(device.refresh(&mut evil));
        assert_eq!(end, expected, "{old} old and {new} new keys");
        let root = if expected == "accepted" { 3 } else { 2 };
        assert_eq!(device.trusted()["root"], root);
        device.refresh(&mut honest).unwrap();
        still_follows(&device, &mut honest);
    }
}

/// Also a root on the way has to be signed by its own keys (5.3.4), not only the one that the walk leads to.
#[test]
fn a_root_on_the_way_needs_both_thresholds() {
    for (old, new, expected) in [
        (2, 0, "root: threshold 0/2"),
        (2, 1, "root: threshold 1/2"),
        (1, 2, "root: threshold 1/2"),
        (2, 2, "accepted"),
    ] {
        let (mut honest, device) = world(plan());
        let before = honest.signers("root");
        honest.rotate("root");
        let after = honest.signers("root");
        honest.publish_root();
        let mut evil = honest.clone();
        *evil.root().also_mut() = before[..old].to_vec();
        *evil.signers_mut("root") = after[..new].to_vec();
        let third = evil.root().bytes();
        let mut evil = honest.clone();
        evil.publish_root();
        evil.replace("metadata/3.root.json", &third);
        let end = verdict(device.refresh(&mut evil));
        assert_eq!(end, expected, "{old} old and {new} new keys");
        assert_eq!(
            device.trusted()["root"],
            if expected == "accepted" { 4 } else { 2 }
        );
        honest.publish_root();
        still_follows(&device, &mut honest);
    }
}

/// A rotation of several steps: each is proven by the one before, and none can be left out.
#[test]
fn no_step_of_the_walk_can_be_left_out() {
    let (mut honest, device) = world(plan());
    for _ in 0..3 {
        honest.rotate("root").publish_root();
    }
    let mut evil = honest.clone();
    let later = evil.file("metadata/4.root.json").unwrap();
    evil.replace("metadata/3.root.json", &later);
    assert_eq!(verdict(device.refresh(&mut evil)), "root: threshold 0/2");
    assert_eq!(trusted(&device), START);
    device.refresh(&mut honest).unwrap();
    assert_eq!(device.trusted()["root"], 5);
    still_follows(&device, &mut honest);
}

/// A signature of the right key over other bytes; and one by the right key of another kind.
#[test]
fn signatures_that_are_not_over_this() {
    for kind in KeyKind::ALL {
        let (mut honest, device) = world(plan());
        let old = honest.signers("timestamp");
        for key in old {
            honest.remove_key("timestamp", &key);
        }
        honest.add_key_of(kind, "timestamp");
        honest.publish_root().publish();
        device.refresh(&mut honest).unwrap();
        let mut evil = honest.clone();
        evil.publish_timestamp();
        let file = evil.timestamp().bytes();
        let changed = String::from_utf8(file.to_vec()).unwrap();
        let version = format!("\"version\": {}", evil.timestamp().version());
        assert!(changed.contains(&version), "{changed}");
        let changed = changed.replace(&version, "\"version\": 99");
        evil.replace("metadata/timestamp.json", changed.as_bytes());
        let end = verdict(device.refresh(&mut evil));
        assert_eq!(end, "timestamp: threshold 0/1", "{kind:?}");
        still_follows(&device, &mut honest);
    }
}
