//! Threshold games: one signer who would like to look like several, and thresholds that are none.

use metadata_schema::json::Json;
use metadata_schema::key::PublicKey;
use tests::simulator::{Plan, Simulator, TestClient};

use crate::support::{START, member, plan, reasons, still_follows, trusted, verdict, world};

/// The targets change, signed by one of the two who must; the rest of the file is the thief's.
fn by_one(honest: &mut Simulator) -> Simulator {
    honest.targets("targets").edit();
    let mut evil = honest.clone();
    evil.keep_signers("targets", 1);
    evil
}

fn signatures(file: &mut Json) -> &mut Vec<Json> {
    match member(file, "signatures") {
        Json::Array(entries) => entries,
        other => panic!("{}", other.kind()),
    }
}

#[test]
fn one_signer_alone() {
    let (mut honest, device) = world(plan());
    let mut evil = by_one(&mut honest);
    evil.publish();
    assert_eq!(verdict(device.refresh(&mut evil)), "targets: threshold 1/2");
    honest.publish();
    still_follows(&device, &mut honest);
}

type Games = Vec<(&'static str, fn(&mut Json), &'static str)>;

/// The thief writes into the list of signatures what he likes.
#[test]
fn one_signer_in_many_entries() {
    let games: Games = vec![
        (
            "the same signature twice",
            |file| {
                let entries = signatures(file);
                entries.push(entries[0].clone());
            },
            "targets: shape of file.signatures",
        ),
        (
            "the same key with another signature",
            |file| {
                let mut second = signatures(file)[0].clone();
                *member(&mut second, "sig") = Json::from("00".repeat(64).as_str());
                signatures(file).push(second);
            },
            "targets: shape of file.signatures",
        ),
        (
            "the key id in capitals",
            |file| {
                let mut second = signatures(file)[0].clone();
                if let Json::String(id) = member(&mut second, "keyid") {
                    *id = id.to_uppercase();
                }
                signatures(file).push(second);
            },
            "targets: threshold 1/2",
        ),
        (
            "the signature under made-up key ids",
            |file| {
                for n in 0..200 {
                    let mut more = signatures(file)[0].clone();
                    *member(&mut more, "keyid") = Json::from(format!("{n:064x}"));
                    signatures(file).push(more);
                }
            },
            "targets: threshold 1/2",
        ),
        (
            "an empty key id and an empty signature",
            |file| {
                signatures(file).push(Json::object(
                    [("keyid", ""), ("sig", "")].map(|(k, v)| (k, Json::from(v))),
                ));
            },
            "targets: threshold 1/2",
        ),
    ];
    for (what, game, expected) in games {
        let (mut honest, device) = world(plan());
        let mut evil = by_one(&mut honest);
        evil.targets("targets").tamper_file(game);
        evil.publish();
        assert_eq!(verdict(device.refresh(&mut evil)), expected, "{what}");
        assert_eq!(device.trusted()["targets"], 2, "{what}");
        honest.publish();
        still_follows(&device, &mut honest);
    }
}

/// The other's entry names his key and holds something else: it does not harm those that are good, and does not count.
#[test]
fn bad_signatures_beside_good_ones() {
    for bad in [
        "",
        "00",
        "zz",
        "not hex at all",
        &"00".repeat(64),
        &"ff".repeat(10_000),
    ] {
        let (mut honest, device) = world(plan());
        honest.add_key("targets");
        honest.publish_root();
        let bad = bad.to_owned();
        let spoil = move |file: &mut Json| {
            *member(&mut signatures(file)[0], "sig") = Json::from(bad.as_str());
        };
        honest.targets("targets").tamper_file(spoil);
        honest.publish();
        assert_eq!(verdict(device.refresh(&mut honest)), "accepted");
        // With one good signature fewer, it is not enough.
        let mut evil = honest.clone();
        evil.keep_signers("targets", 2);
        evil.publish();
        assert_eq!(verdict(device.refresh(&mut evil)), "targets: threshold 1/2");
        honest.targets("targets").mend();
        honest.publish().publish();
        still_follows(&device, &mut honest);
    }
}

/// One key, listed twice: as the same object under the same id, and written in another way under another.
#[test]
fn one_key_under_several_ids() {
    let (mut honest, device) = world(plan());
    let one = honest.signers("targets")[0].clone();
    // The same key material; an additional member makes it another object with another id.
    let mut other = one.public().json().clone();
    *member(&mut other, "x-note") = Json::from("the same key");
    let other = PublicKey::from_json(other, "key").unwrap();
    assert_ne!(other.id(), one.public().id());
    let (id, object) = (other.id().clone(), other);
    let root = honest.root().edit();
    root.keys.insert(id.clone(), object);
    root.targets.key_ids.insert(id.clone());
    honest.publish_root();
    device.refresh(&mut honest).unwrap();
    let mut evil = by_one(&mut honest);
    evil.targets("targets").tamper_file(move |file| {
        let mut second = signatures(file)[0].clone();
        *member(&mut second, "keyid") = Json::from(id.clone());
        signatures(file).push(second);
    });
    evil.publish();
    let end = device.refresh(&mut evil);
    assert_eq!(reasons(end), "the same key has counted under another id");
    assert_eq!(device.trusted()["targets"], 2);
    honest.publish();
    still_follows(&device, &mut honest);
}

/// A key id that is listed more than once in a role does not raise anybody's weight.
#[test]
fn a_key_id_listed_twice_in_the_role() {
    let (mut honest, device) = world(plan());
    honest.root().tamper_signed(|signed| {
        if let Json::Array(ids) = member(signed, "roles.targets.keyids") {
            let first = ids[0].clone();
            ids.extend([first.clone(), first]);
        }
    });
    honest.publish_root();
    device.refresh(&mut honest).unwrap();
    let mut evil = by_one(&mut honest);
    evil.publish();
    assert_eq!(verdict(device.refresh(&mut evil)), "targets: threshold 1/2");
    honest.publish();
    still_follows(&device, &mut honest);
}

/// Thresholds that are no numbers of people: the root that has one is refused, whoever signed it.
#[test]
fn thresholds_that_are_none() {
    let table = [
        ("0", Json::from(0)),
        ("2^32", Json::from(1 << 32)),
        ("2^64", Json::Integer("18446744073709551616".into())),
        ("-1", Json::Integer("-1".into())),
        ("text", Json::from("2")),
        ("null", Json::Null),
        ("true", Json::from(true)),
        ("a list", Json::Array(Vec::new())),
    ];
    for role in ["root", "timestamp", "snapshot", "targets"] {
        for (what, threshold) in table.clone() {
            let (mut honest, device) = world(plan());
            let mut evil = honest.clone();
            let path = format!("roles.{role}.threshold");
            let at = path.clone();
            evil.root().tamper_signed(move |signed| {
                *member(signed, &path) = threshold.clone();
            });
            evil.publish_root().publish();
            let expected = format!("root: shape of signed.{at}");
            assert_eq!(verdict(device.refresh(&mut evil)), expected, "{what}");
            assert_eq!(trusted(&device), START, "{what}");
            still_follows(&device, &mut honest);
        }
    }
}

/// A threshold that nobody can reach is honest foolishness, and no way in.
#[test]
fn a_threshold_of_more_than_there_are() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.clone();
    evil.set_threshold("targets", 3).publish_root();
    evil.targets("targets").edit();
    evil.publish();
    assert_eq!(verdict(device.refresh(&mut evil)), "targets: threshold 2/3");
    evil.set_threshold("targets", u32::MAX).publish_root();
    let end = verdict(device.refresh(&mut evil));
    assert_eq!(end, format!("targets: threshold 2/{}", u32::MAX));
    honest = evil;
    honest.set_threshold("targets", 2).publish_root();
    still_follows(&device, &mut honest);
}

/// Lowering a root's threshold takes the threshold that is in force (5.3.4), and holds from the next version on.
#[test]
fn a_lower_threshold_does_not_lower_itself() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.clone();
    evil.keep_signers("root", 1).set_threshold("root", 1);
    evil.publish_root();
    assert_eq!(verdict(device.refresh(&mut evil)), "root: threshold 1/2");
    assert_eq!(trusted(&device), START);
    honest.set_threshold("root", 1).publish_root();
    device.refresh(&mut honest).unwrap();
    assert_eq!(device.trusted()["root"], 3);
    still_follows(&device, &mut honest);
}

/// Two keys of one person are one person, where there are certificates to tell.
#[test]
fn one_person_with_two_keys() {
    let (mut honest, device) = world(plan().with_pki());
    let pki = honest.pki().unwrap().clone();
    let people = honest.signers("targets");
    let second = honest.key("targets-1 again");
    honest.authorise("root", "targets", &second);
    // The certificate of the second key names the first one's holder.
    let name = people[0].name().to_owned();
    let leaf = pki.rogue(pki.firmware(), &second, &["targets"], |params| {
        let urn = format!("urn:example:person:{name}");
        params.subject_alt_names = vec![rcgen::SanType::URI(urn.as_str().try_into().unwrap())];
    });
    honest.set_chain(
        "root",
        &second,
        vec![leaf.pem(), pki.firmware().certificate().pem()],
    );
    honest.publish_root();
    device.refresh(&mut honest).unwrap();
    honest.targets("targets").edit();
    let mut evil = honest.clone();
    *evil.signers_mut("targets") = vec![people[0].clone(), second];
    evil.publish();
    let end = device.refresh(&mut evil);
    assert_eq!(
        reasons(end),
        "urn:example:person:targets-1 has signed with another key"
    );
    assert_eq!(verdict(device.refresh(&mut evil)), "targets: threshold 1/2");
    honest.publish();
    still_follows(&device, &mut honest);
}

/// A key whose id is not its digest (4.3) never counts; those beside it do.
#[test]
fn a_key_under_a_wrong_id() {
    let (mut honest, device) = world(plan());
    let thief = honest.key("thief");
    let made_up = "0".repeat(64);
    let (id, object) = (made_up.clone(), thief.public().json().clone());
    honest.root().tamper_signed(move |signed| {
        *member(signed, &format!("keys.{id}")) = object.clone();
        if let Json::Array(ids) = member(signed, "roles.targets.keyids") {
            ids.push(Json::from(id.as_str()));
        }
    });
    honest.publish_root();
    assert_eq!(verdict(device.refresh(&mut honest)), "accepted");
    let mut evil = by_one(&mut honest);
    evil.signers_mut("targets").push(thief);
    evil.targets("targets").tamper_file(move |file| {
        for entry in signatures(file) {
            if let Json::String(id) = member(entry, "keyid")
                && !honest_ids().contains(id)
            {
                *id = made_up.clone();
            }
        }
    });
    evil.publish();
    assert_eq!(verdict(device.refresh(&mut evil)), "targets: threshold 1/2");
    honest.publish();
    still_follows(&device, &mut honest);
}

/// The ids of the honest targets keys of [`plan`].
fn honest_ids() -> Vec<String> {
    let mut simulator = Simulator::new(plan());
    let signers = simulator.signers("targets");
    signers
        .iter()
        .map(|key| key.public().id().as_str().to_owned())
        .collect()
}

/// 1 of 1 to 5 of 9 keys of a role: exactly the threshold is enough, and one fewer is not.
#[test]
fn exactly_the_threshold() {
    for (count, needed) in [(1, 1), (2, 1), (2, 2), (3, 2), (5, 3), (9, 5)] {
        let mut honest = Simulator::new(Plan {
            targets: (count, needed),
            ..plan()
        });
        let device = TestClient::new(&mut honest);
        device.refresh(&mut honest).unwrap();
        honest.targets("targets").edit();
        let enough = usize::try_from(needed).unwrap();
        let mut fewer = honest.clone();
        fewer.keep_signers("targets", enough - 1).publish();
        let end = verdict(device.refresh(&mut fewer));
        assert_eq!(end, format!("targets: threshold {}/{needed}", needed - 1));
        honest.keep_signers("targets", enough).publish();
        device.refresh(&mut honest).unwrap();
    }
}
