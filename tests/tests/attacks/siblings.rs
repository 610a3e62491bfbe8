//! Roles beside each other: what is expired, missing or hostile harms nobody who does not need it, and one delegator's word is not
//! another's.

use metadata_schema::json::Json;
use tests::simulator::{Delegation, Fault, Simulator, TestClient};

use crate::support::{asked, delegating, member, now, plan, still_follows, to, verdict, world};

type Harm = (&'static str, fn(&mut Simulator), &'static str);

/// What can be wrong with the role `lamp`, in version 3.
fn harms() -> Vec<Harm> {
    vec![
        (
            "expired",
            |r| r.targets("lamp").edit().common.expires = now(),
            "lamp: 3 expired",
        ),
        (
            "unsigned",
            |r| r.signers_mut("lamp").clear(),
            "lamp: threshold 0/2",
        ),
        (
            "signed by one",
            |r| {
                r.keep_signers("lamp", 1);
            },
            "lamp: threshold 1/2",
        ),
        (
            "not there",
            |r| {
                r.fault("metadata/3.lamp.json", Fault::Missing);
            },
            "3.lamp.json: missing",
        ),
        (
            "a failure of the server",
            |r| {
                r.fault("metadata/3.lamp.json", Fault::Status(500));
            },
            "3.lamp.json: status 500",
        ),
        (
            "endless",
            |r| {
                r.fault("metadata/3.lamp.json", Fault::Endless);
            },
            "3.lamp.json: longer than 5000000",
        ),
        (
            "rubbish",
            |r| {
                r.replace("metadata/3.lamp.json", b"{]");
            },
            "lamp: json",
        ),
        (
            "of another form",
            |r| {
                r.targets("lamp")
                    .tamper_signed(|signed| *member(signed, "targets") = Json::Null);
            },
            "lamp: shape of signed.targets",
        ),
        (
            "of another specification",
            |r| {
                r.targets("lamp")
                    .tamper_signed(|signed| *member(signed, "spec_version") = "2.0.0".into());
            },
            "lamp: shape of signed.spec_version",
        ),
        (
            "another version than it should be",
            |r| {
                r.targets("lamp")
                    .tamper_signed(|signed| *member(signed, "version") = 7.into());
            },
            "lamp: version 7 for 3",
        ),
        (
            "delegating to a top-level role",
            |r| {
                r.delegate("lamp", &Delegation::new("x", &["lamp/*"]));
                r.targets("lamp").tamper_signed(|signed| {
                    *member(signed, "delegations.roles.0.name") = "root".into();
                });
            },
            "lamp: shape of signed.delegations.roles.name",
        ),
        (
            "delegating to a role twice",
            |r| {
                r.delegate("lamp", &Delegation::new("x", &["lamp/*"]));
                r.targets("lamp").tamper_signed(|signed| {
                    if let Json::Array(roles) = member(signed, "delegations.roles") {
                        roles.push(roles[0].clone());
                    }
                });
            },
            "lamp: shape of signed.delegations.roles",
        ),
        (
            "delegating by patterns and by bins",
            |r| {
                r.delegate("lamp", &Delegation::new("x", &["lamp/*"]));
                r.targets("lamp").tamper_signed(|signed| {
                    *member(signed, "delegations.roles.0.path_hash_prefixes") =
                        Json::Array(Vec::new());
                });
            },
            "lamp: shape of signed.delegations.roles",
        ),
    ]
}

/// Whatever is wrong with one product's role, the other product's devices do not even ask for it.
#[test]
fn siblings_that_are_not_needed_do_no_harm() {
    for (what, harm, expected) in harms() {
        let (mut honest, device) = world(plan());
        honest.add_target("router", "router/fw", b"router 2");
        honest.targets("lamp").edit();
        let mut evil = honest.clone();
        evil.publish();
        harm(&mut evil);
        let found = device.download(&mut evil, "router/fw").unwrap();
        assert_eq!(found.unwrap(), b"router 2", "{what}");
        assert!(
            !asked(&mut evil).iter().any(|r| r.contains("lamp")),
            "{what}"
        );
        // Where the role is needed, what is wrong is said, and the copy that was good stays.
        assert_eq!(
            verdict(device.find(&mut evil, "lamp/fw")),
            expected,
            "{what}"
        );
        assert_eq!(device.trusted()["lamp"], 2, "{what}");
        honest.publish();
        still_follows(&device, &mut honest);
    }
}

/// A role that may speak about the path and comes first is on the way: what is wrong with it must not be passed over, or whoever
/// breaks it could have the next one answer in its place. One that comes later is not asked.
#[test]
fn siblings_on_the_way() {
    for (first, second, expected) in [
        ("bad", "good", "bad: threshold 0/1"),
        ("good", "bad", "accepted"),
    ] {
        let mut repository = delegating(&[("targets", to(first)), ("targets", to(second))]);
        repository.add_target("good", "fw", b"good");
        repository.add_target("bad", "fw", b"bad");
        repository.signers_mut("bad").clear();
        repository.publish();
        let device = TestClient::new(&mut repository);
        assert_eq!(verdict(device.find(&mut repository, "fw")), expected);
        if expected == "accepted" {
            assert_eq!(asked(&mut repository).last().unwrap(), "2.good");
        }
    }
}

/// A copy from before counts only if the keys that its delegator names now have signed it.
#[test]
fn a_stored_role_is_verified_against_its_current_delegator() {
    let (mut honest, device) = world(plan());
    // The role is unchanged and its keys are others now; nobody has signed it with them.
    let old = honest.targets("lamp").bytes();
    honest.rotate("lamp");
    honest.publish_targets("targets").publish_snapshot();
    let mut evil = honest.clone();
    evil.replace("metadata/2.lamp.json", &old);
    assert_eq!(
        verdict(device.find(&mut evil, "lamp/fw")),
        "lamp: threshold 0/2"
    );
    assert!(
        asked(&mut evil).contains(&"2.lamp".to_owned()),
        "the copy was not taken"
    );
    assert_eq!(device.stored("lamp").unwrap(), *old, "nor replaced");
    // The same file with new signatures is the same version.
    assert_eq!(verdict(device.find(&mut honest, "lamp/fw")), "accepted");
    still_follows(&device, &mut honest);
    // A higher threshold counts for the copy as well.
    honest.add_key("lamp");
    honest.keep_signers("lamp", 2).set_threshold("lamp", 3);
    honest.publish_targets("targets").publish_snapshot();
    let end = verdict(device.find(&mut honest, "lamp/fw"));
    assert_eq!(end, "lamp: threshold 2/3");
    honest.set_threshold("lamp", 2);
    still_follows(&device, &mut honest);
}

/// A delegation that is taken back: the copy is worth nothing, and neither are its keys.
#[test]
fn a_delegation_that_was_taken_back() {
    let (mut honest, device) = world(plan());
    honest.undelegate("targets", "lamp");
    honest.publish();
    assert!(device.find(&mut honest, "lamp/fw").unwrap().is_none());
    assert!(device.find(&mut honest, "router/fw").unwrap().is_some());
}

/// Two roles delegate to a third, each with keys of its own: each path is judged by its own delegator.
#[test]
fn each_delegator_vouches_for_itself() {
    let mut repository = delegating(&[
        ("targets", Delegation::new("a", &["x"])),
        ("targets", Delegation::new("b", &["x", "y"])),
        ("a", to("shared")),
        ("b", to("shared")),
    ]);
    for path in ["x", "y"] {
        repository.add_target("shared", path, path.as_bytes());
    }
    // b names another key, which did not sign.
    let key = repository.signers("shared")[0].clone();
    let other = repository.key("other");
    repository.deauthorise("b", "shared", key.public().id());
    repository.authorise("b", "shared", &other);
    repository.publish();
    let device = TestClient::new(&mut repository);
    assert!(device.find(&mut repository, "x").unwrap().is_some(), "by a");
    assert_eq!(
        verdict(device.find(&mut repository, "y")),
        "shared: threshold 0/1"
    );
    // Also in the same run, after a has vouched for it, and the other way round.
    for order in [["x", "y"], ["y", "x"]] {
        let end = verdict(device.find_all(&mut repository, &order));
        assert_eq!(end, "shared: threshold 0/1", "{order:?}");
    }
    let found = device.find_all(&mut repository, &["x", "x"]).unwrap();
    assert_eq!(
        found,
        [Some("shared".to_owned()), Some("shared".to_owned())]
    );
    repository.signers_mut("shared").push(other);
    repository.publish();
    assert!(device.find(&mut repository, "y").unwrap().is_some(), "by b");
}
