//! The root walk: both thresholds, one version at a time.

use metadata_schema::envelope::Envelope;
use metadata_schema::json::Json;
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Role as _, Root};
use metadata_schema::trusted::{Retired, RootWalk};

use crate::repository::{Repository, at, keys, plain, role_keys, signed_by, version};

fn stepped(change: impl FnOnce(&mut Repository), signers: &[&str]) -> Result<RootWalk, String> {
    let mut repository = Repository::new();
    let mut walk = RootWalk::from_trusted(&repository.root_file(), plain()).unwrap();
    repository.root.common.version = version(2);
    change(&mut repository);
    walk.step(&signed_by(repository.root.to_json(), signers))
        .map_err(|e| e.to_string())?;
    Ok(walk)
}

/// Replaces r1 and r2 by n1 and n2.
fn rotate(repository: &mut Repository) {
    repository.root.keys.extend(keys(&["n1", "n2"]));
    repository.root.root = role_keys(&["r3", "n1", "n2"], 2);
}

#[test]
fn needs_both_thresholds() {
    assert!(stepped(|_| {}, &["r1", "r3"]).is_ok());
    assert!(stepped(rotate, &["r1", "r2", "n1", "n2"]).is_ok());
    assert!(
        stepped(rotate, &["r1", "r3", "n1"]).is_ok(),
        "r3 counts on both sides"
    );
    for signers in [
        &["r1", "r2"][..],
        &["n1", "n2"],
        &["r1", "n1", "n2"],
        &["r1"],
        &[],
    ] {
        let error = stepped(rotate, signers).err().unwrap();
        assert!(
            error.contains("root metadata needs 2 signatures"),
            "{signers:?}: {error}"
        );
    }
}

#[test]
fn goes_one_version_at_a_time() {
    let jump = |number| {
        move |repository: &mut Repository| repository.root.common.version = version(number)
    };
    for number in [1, 3] {
        let error = stepped(jump(number), &["r1", "r2"]).err().unwrap();
        assert_eq!(
            error,
            format!("root metadata has version {number}, expected 2")
        );
    }
}

#[test]
fn the_last_root_must_be_in_force_and_the_ones_before_need_not() {
    let mut repository = Repository::new();
    repository.root.common.expires = at("2029-01-01T00:00:00Z");
    let mut walk = RootWalk::from_trusted(&repository.root_file(), plain()).unwrap();
    let now = at("2030-01-01T00:00:00Z");
    let error = RootWalk::from_trusted(&repository.root_file(), plain())
        .unwrap()
        .finish(now)
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "root metadata v1 expired at 2029-01-01T00:00:00Z; the reference time is 2030-01-01T00:00:00Z"
    );
    repository.root.common.version = version(2);
    repository.root.common.expires = at("2031-01-01T00:00:00Z");
    walk.step(&repository.root_file()).unwrap();
    assert_eq!(walk.finish(now).unwrap().retired(), Retired::default());
}

#[test]
fn says_whose_keys_were_retired() {
    let replaced = |change: fn(&mut Repository)| {
        let with_new_keys = |repository: &mut Repository| {
            repository.root.keys.extend(keys(&["online2", "t3"]));
            change(repository);
        };
        let walk = stepped(with_new_keys, &["r1", "r2"]).unwrap();
        let Retired {
            timestamp,
            snapshot,
            targets,
            ..
        } = walk.finish(at("2030-01-01T00:00:00Z")).unwrap().retired();
        (timestamp, snapshot, targets)
    };
    let timestamp = |r: &mut Repository| r.root.timestamp = role_keys(&["online2"], 1);
    let snapshot = |r: &mut Repository| r.root.snapshot = role_keys(&["online2"], 1);
    let one_of_targets = |r: &mut Repository| r.root.targets = role_keys(&["t1", "t3"], 2);
    let one_more = |r: &mut Repository| r.root.targets = role_keys(&["t1", "t2", "t3"], 2);
    assert_eq!(replaced(timestamp), (true, false, false));
    assert_eq!(replaced(snapshot), (false, true, false));
    assert_eq!(replaced(one_of_targets), (false, false, true));
    assert_eq!(replaced(one_more), (false, false, false));
}

#[test]
fn what_was_retired_once_stays_so_for_the_rest_of_the_walk() {
    let mut repository = Repository::new();
    let first = repository.clone();
    repository.root.keys.extend(keys(&["online2"]));
    repository.root.timestamp = role_keys(&["online2"], 1);
    repository.root.common.version = version(2);
    let mut walk = RootWalk::from_trusted(&first.root_file(), plain()).unwrap();
    walk.step(&repository.root_file()).unwrap();
    // The old key comes back: in between it was out of force.
    repository.root.timestamp = first.root.timestamp.clone();
    repository.root.common.version = version(3);
    walk.step(&repository.root_file()).unwrap();
    assert!(walk.retired().timestamp && walk.retired().online());

    // New firmware brings a newer root: no walk, and all the same a key of the old one is retired.
    repository.root.timestamp = role_keys(&["online2"], 1);
    let walk = RootWalk::from_trusted(&repository.root_file(), plain()).unwrap();
    assert!(!walk.retired().timestamp);
    assert!(walk.in_place_of(&first.root).retired().timestamp);
}

#[test]
fn a_damaged_local_root_is_not_a_start() {
    let mut file = Repository::new().root_file();
    let at = file.windows(9).position(|w| w == b"2031-01-0").unwrap();
    file[at + 3] = b'9';
    assert!(RootWalk::from_trusted(&file, plain()).is_err());
    assert!(RootWalk::from_trusted(b"{", plain()).is_err());
}

/// Section 4.3: clients MUST calculate each key id. A key under a false one never counts, and does no harm to the others.
#[test]
fn key_ids_must_match_their_keys() {
    let root_with_false_id_of = |name: &str| {
        let mut repository = Repository::new();
        let right = keys(&[name]).into_keys().next().unwrap();
        let other = "0".repeat(64);
        let text = repository.root.to_json().pretty();
        let text = String::from_utf8(text)
            .unwrap()
            .replace(right.as_str(), &other);
        let signed = Json::read(text.as_bytes()).unwrap();
        repository.root = Root::parse(signed, "signed").unwrap();
        repository
    };
    let repository = root_with_false_id_of("t1");
    let mut envelope = Envelope::read(&RoleName::targets(), &repository.targets_file()).unwrap();
    let of_t1 = keys(&["t1"]).into_keys().next().unwrap();
    for signature in &mut envelope.signatures {
        if signature.key == of_t1 {
            signature.key = KeyId::claimed("0".repeat(64));
        }
    }
    let (timestamp, _) = repository
        .at_root()
        .timestamp(None, &repository.timestamp_file())
        .unwrap();
    let snapshot = timestamp
        .snapshot(None, &repository.snapshot_file())
        .unwrap();
    let error = snapshot.targets(&envelope.to_bytes()).err().unwrap();
    let expected = format!("does not: its id is not that of the key, which is {of_t1}");
    assert!(error.to_string().contains(&expected), "{error}");

    let another = root_with_false_id_of("r3");
    assert!(another.refreshed().is_ok());
}

#[test]
fn unknown_keys_roles_and_members_are_kept_and_ignored() {
    use metadata_schema::key::PublicKey;
    let strange = Json::object([
        ("keytype", Json::from("sphinx")),
        ("scheme", Json::from("sphinx-1")),
        ("keyval", Json::object([("public", Json::from("?"))])),
    ]);
    let strange = PublicKey::from_json(strange, "key").unwrap();
    let mut repository = Repository::new();
    let root = &mut repository.root;
    root.root.key_ids.insert(strange.id().clone());
    root.keys.insert(strange.id().clone(), strange);
    let mirrors = Json::object([
        ("keyids", Json::Array(Vec::new())),
        ("threshold", Json::from(1)),
    ]);
    root.other_roles.insert("mirrors".to_owned(), mirrors);
    root.extra
        .insert("custom".to_owned(), Json::object::<String>([]));
    let big = Json::Integer("123456789012345678901234567890".into());
    root.extra.insert("e\u{301}".to_owned(), big);
    let walk = RootWalk::from_trusted(&repository.root_file(), plain()).unwrap();
    assert_eq!(walk.root().to_json(), repository.root.to_json());
}
