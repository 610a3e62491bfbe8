//! What is strange and no attack: it must neither break a signature nor shut anybody out. And what costs nothing must stay so.

use metadata_schema::digest::Hashes;
use metadata_schema::json::Json;
use metadata_schema::roles::TargetFile;
use sha2::{Digest as _, Sha512};
use tests::simulator::{Describe, Plan};

use crate::support::{member, now, plan, still_follows, verdict, world};

fn sha512(content: &[u8]) -> Hashes {
    let digest: [u8; 64] = Sha512::digest(content).into();
    let json = Json::object([("sha512", Json::from(hex::encode(digest)))]);
    Hashes::from_json(json, "hashes").unwrap()
}

type Oddity = (&'static str, fn(&mut Json));

/// What stands in signed metadata beyond what we know: it is covered by the signatures, and kept.
fn oddities() -> Vec<Oddity> {
    vec![
        ("an unknown member", |signed| {
            *member(signed, "x-unknown") = "value".into();
        }),
        ("an empty object", |signed| {
            *member(signed, "x-unknown") = Json::object::<String>([]);
        }),
        ("null", |signed| *member(signed, "x-unknown") = Json::Null),
        ("an integer beyond 2^53", |signed| {
            *member(signed, "x-unknown") = 9_007_199_254_740_993.into();
        }),
        ("an integer beyond 2^64", |signed| {
            *member(signed, "x-unknown") = Json::Integer("-123456789012345678901234567890".into());
        }),
        ("letters in another normal form", |signed| {
            *member(signed, "x-e\u{301}") = "e\u{301} \u{212b} \u{1f600}".into();
        }),
        ("both normal forms side by side", |signed| {
            *member(signed, "x-e\u{301}") = 1.into();
            *member(signed, "x-\u{e9}") = 2.into();
        }),
        ("characters that are escaped", |signed| {
            *member(signed, "x-\"\\/") = "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{2028}".into();
        }),
        ("names that sort otherwise when escaped", |signed| {
            for name in ["x", "x y", "x\"", "x\\", "x!", "x\u{10000}", "x\u{ffff}"] {
                *member(signed, name) = name.into();
            }
        }),
        ("deep nesting", |signed| {
            let deep = (0..20).fold(Json::Null, |inner, _| Json::Array(vec![inner]));
            *member(signed, "x-unknown") = deep;
        }),
        ("the specification's first version", |signed| {
            *member(signed, "spec_version") = "1.0".into();
        }),
        ("a later version of the specification", |signed| {
            *member(signed, "spec_version") = "1.99.0".into();
        }),
    ]
}

#[test]
fn unknown_members_survive_and_verify() {
    for (what, change) in oddities() {
        for plan in [plan(), plan().with_pki()] {
            let (mut honest, device) = world(plan);
            honest.root().tamper_signed(change);
            honest.timestamp().tamper_signed(change);
            honest.snapshot().tamper_signed(change);
            for role in ["targets", "lamp", "router"] {
                honest.targets(role).tamper_signed(change);
            }
            honest.publish_root().publish();
            let end = verdict(device.find(&mut honest, "lamp/fw"));
            assert_eq!(end, "accepted", "{what}");
            // Byte for byte what was served, so that it verifies again.
            let names = [
                ("root", "3.root"),
                ("timestamp", "timestamp"),
                ("snapshot", "4.snapshot"),
                ("targets", "3.targets"),
                ("lamp", "3.lamp"),
            ];
            for (stem, name) in names {
                let served = honest.file(&format!("metadata/{name}.json")).unwrap();
                assert_eq!(device.stored(stem).unwrap(), *served, "{what}: {name}");
            }
            still_follows(&device, &mut honest);
        }
    }
}

#[test]
fn unknown_members_in_every_corner() {
    let places = [
        ("root", "keys"),
        ("root", "roles.root.x-unknown"),
        ("root", "roles.timestamp.x-unknown"),
        ("timestamp", "meta.snapshot-json.x-unknown"),
        ("snapshot", "meta.targets-json.x-unknown"),
        ("targets", "targets.fw.x-unknown"),
        ("targets", "targets.fw.custom"),
        ("targets", "targets.fw.hashes.blake2b-256"),
        ("targets", "delegations.x-unknown"),
        ("targets", "delegations.roles.0.x-unknown"),
    ];
    let values = [
        Json::object::<String>([]),
        Json::Null,
        Json::from("text"),
        Json::from(u64::MAX),
    ];
    for (role, place) in places {
        for value in &values {
            // A digest of another kind is text, as the specification has it; a key is an object.
            if place.contains("hashes") && !matches!(value, Json::String(_)) || place == "keys" {
                continue;
            }
            let (mut honest, device) = world(plan());
            honest.add_target("targets", "fw", b"fw");
            let value = value.clone();
            let change = move |signed: &mut Json| {
                let path: Vec<String> = place
                    .split('.')
                    .map(|name| name.replace("-json", ".json"))
                    .collect();
                let mut at = signed;
                for name in &path {
                    at = match at {
                        Json::Object(members) => members.entry(name.clone()).or_insert(Json::Null),
                        Json::Array(items) => &mut items[name.parse::<usize>().unwrap()],
                        other => panic!("{}", other.kind()),
                    };
                }
                *at = value.clone();
            };
            match role {
                "root" => honest.root().tamper_signed(change),
                "timestamp" => honest.timestamp().tamper_signed(change),
                "snapshot" => honest.snapshot().tamper_signed(change),
                role => honest.targets(role).tamper_signed(change),
            }
            honest.publish_root().publish();
            let end = verdict(device.find(&mut honest, "fw"));
            assert_eq!(end, "accepted", "{role} {place}");
            assert!(device.find(&mut honest, "lamp/fw").unwrap().is_some());
            still_follows(&device, &mut honest);
        }
    }
}

#[test]
fn custom_is_kept_as_it_is() {
    for custom in [
        Json::object::<String>([]),
        Json::Null,
        Json::Array(Vec::new()),
        Json::from("x"),
    ] {
        let (mut honest, device) = world(plan());
        honest.add_target("lamp", "lamp/custom", b"it");
        let files = &mut honest.targets("lamp").edit().targets;
        files.get_mut("lamp/custom").unwrap().custom = Some(custom.clone());
        honest.publish();
        let found = device.find(&mut honest, "lamp/custom").unwrap().unwrap();
        assert_eq!(found.custom(), Some(&custom));
        still_follows(&device, &mut honest);
    }
}

/// Keys of types that nobody here knows, and roles that nobody here knows: listed, kept, without weight.
#[test]
fn unknown_key_types_and_roles() {
    let (mut honest, device) = world(plan());
    let unknown = Json::object([
        ("keytype", Json::from("future")),
        ("scheme", Json::from("future-sign/9")),
        (
            "keyval",
            Json::object([("public", "?"), ("more", "?")].map(|(k, v)| (k, Json::from(v)))),
        ),
    ]);
    let no_public = Json::object([
        ("keytype", Json::from("future")),
        ("scheme", Json::from("future-sign/9")),
        ("keyval", Json::object([("point", Json::Array(Vec::new()))])),
    ]);
    for (number, json) in [unknown, no_public].into_iter().enumerate() {
        let key = metadata_schema::key::PublicKey::from_json(json, "key").unwrap();
        let id = key.id().clone();
        let root = honest.root().edit();
        root.keys.insert(id.clone(), key.clone());
        root.root.key_ids.insert(id.clone());
        root.targets.key_ids.insert(id.clone());
        let delegations = honest
            .targets("targets")
            .edit()
            .delegations
            .as_mut()
            .unwrap();
        delegations.keys.insert(id.clone(), key);
        delegations.roles[0].keys.key_ids.insert(id.clone());
        // It even signs, in a way that nobody can verify.
        honest.targets("lamp").tamper_file(move |file| {
            if let Json::Array(entries) = member(file, "signatures") {
                let entry = [
                    ("keyid", Json::from(id.clone())),
                    ("sig", Json::from(format!("0{number}"))),
                ];
                entries.push(Json::object(entry));
            }
        });
    }
    let mirrors = Json::object([
        ("keyids", Json::Array(Vec::new())),
        ("threshold", Json::from(1)),
    ]);
    honest
        .root()
        .tamper_signed(move |signed| *member(signed, "roles.mirrors") = mirrors.clone());
    honest.publish_root().publish();
    assert_eq!(verdict(device.find(&mut honest, "lamp/fw")), "accepted");
    still_follows(&device, &mut honest);
    honest.keep_signers("lamp", 1);
    honest.targets("lamp").edit();
    honest.publish();
    assert_eq!(
        verdict(device.find(&mut honest, "lamp/fw")),
        "lamp: threshold 1/2"
    );
}

/// Digests of one kind only, in targets and in the listings.
#[test]
fn sha512_alone() {
    let (mut honest, device) = world(Plan {
        describe: Describe::Length,
        ..plan()
    });
    let file = TargetFile::new(6, sha512(b"sha512"));
    honest
        .targets("lamp")
        .edit()
        .targets
        .insert("lamp/512".to_owned(), file);
    honest.add_content("lamp/512", b"sha512");
    honest.publish_targets("lamp");
    let lamp = honest.targets("lamp").bytes();
    let meta = &mut honest.snapshot().edit().meta;
    meta.get_mut("lamp.json").unwrap().hashes = Some(sha512(&lamp));
    honest.publish_snapshot();
    let snapshot = honest.snapshot().bytes();
    honest.timestamp().edit().snapshot.hashes = Some(sha512(&snapshot));
    honest.publish_timestamp();
    let found = device.download(&mut honest, "lamp/512").unwrap();
    assert_eq!(found.unwrap(), b"sha512");
    let digest = hex::encode(Sha512::digest(b"sha512"));
    let name = format!("targets/lamp/{digest}.512");
    let mut evil = honest.clone();
    evil.replace(&name, b"SHA512");
    assert_eq!(
        verdict(device.download(&mut evil, "lamp/512")),
        "lamp/512: sha512"
    );
    still_follows(&device, &mut honest);
}

/// `consistent_snapshot` may be absent (it then is false), and `terminating` and `delegations` may.
#[test]
fn absent_members() {
    let (mut honest, device) = world(Plan {
        consistent_snapshot: false,
        ..plan()
    });
    honest.root().tamper_signed(|signed| {
        if let Json::Object(members) = signed {
            assert!(members.remove("consistent_snapshot").is_some());
        }
    });
    honest.targets("targets").tamper_signed(|signed| {
        if let Json::Object(role) = member(signed, "delegations.roles.0") {
            assert!(role.remove("terminating").is_some());
        }
    });
    honest.publish_root().publish();
    assert_eq!(verdict(device.download(&mut honest, "lamp/fw")), "accepted");
    assert!(
        honest
            .take_requests()
            .contains(&"metadata/snapshot.json".to_owned())
    );
    still_follows(&device, &mut honest);
}

/// A repository may begin with, or go over to, consistent snapshots at any time.
#[test]
fn consistent_snapshots_come_and_go() {
    let (mut honest, device) = world(Plan {
        consistent_snapshot: false,
        ..plan()
    });
    for consistent in [true, false, true] {
        honest.root().edit().consistent_snapshot = consistent;
        still_follows(&device, &mut honest);
        let requests = honest.take_requests();
        let versioned = requests.iter().any(|r| r.ends_with(".snapshot.json"));
        assert_eq!(versioned, consistent, "{requests:?}");
    }
}

/// Expiry far ahead, and times that only just fit.
#[test]
fn the_end_of_time() {
    let (mut honest, mut device) = world(plan());
    let last = metadata_schema::time::Timestamp::MAX;
    honest.root().edit().common.expires = last;
    honest.timestamp().edit().common.expires = last;
    honest.snapshot().edit().common.expires = last;
    for role in ["targets", "lamp", "router"] {
        honest.targets(role).edit().common.expires = last;
    }
    honest.publish_root().publish();
    device.now = last.plus_seconds(-1);
    assert_eq!(verdict(device.find(&mut honest, "lamp/fw")), "accepted");
    device.now = last;
    assert_eq!(
        verdict(device.find(&mut honest, "lamp/fw")),
        "root: 3 expired"
    );
    device.now = now();
    still_follows(&device, &mut honest);
}
