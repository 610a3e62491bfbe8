//! Games with signatures and keys.

use metadata_schema::envelope::Envelope;
use metadata_schema::json::Json;
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::roles::Role as _;

use crate::repository::{Key, Repository, signed_by};

fn targets_with(envelope: &Envelope) -> Result<(), String> {
    let repository = Repository::new();
    let (timestamp, _) = repository
        .at_root()
        .timestamp(None, &repository.timestamp_file())
        .unwrap();
    let snapshot = timestamp
        .snapshot(None, &repository.snapshot_file())
        .unwrap();
    snapshot
        .targets(&envelope.to_bytes())
        .map(drop)
        .map_err(|e| e.to_string())
}

fn envelope(signers: &[&str]) -> Envelope {
    let signed = Repository::new().targets.to_json();
    let payload = signed.canonical();
    let signatures = signers
        .iter()
        .map(|name| Key::new(name).sign(&payload))
        .collect();
    Envelope { signed, signatures }
}

#[test]
fn one_key_counts_once() {
    assert_eq!(targets_with(&envelope(&["t1", "t2"])), Ok(()));
    for signers in [&["t1"][..], &["t1", "r1"], &["t1", "online"], &[]] {
        let error = targets_with(&envelope(signers)).unwrap_err();
        assert!(
            error.starts_with("targets metadata needs 2 signatures"),
            "{signers:?}: {error}"
        );
    }
}

/// Section 4.2: the keyid MUST be unique in the array, even if the threshold is reached without the second one.
#[test]
fn two_signatures_under_one_key_id_are_refused() {
    for signers in [&["t1", "t1"][..], &["t1", "t2", "t1"]] {
        let bytes = envelope(signers).to_bytes();
        let error = Envelope::read(&RoleName::targets(), &bytes).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        let expected = "file.signatures: expected one signature of each key, found two of ";
        assert!(cause.starts_with(expected), "{cause}");
        assert!(targets_with(&envelope(signers)).is_err());
    }
}

#[test]
fn a_bad_signature_does_no_harm_to_the_good_ones() {
    for bytes in [vec![], vec![0; 3], vec![0; 64]] {
        let mut with_bad = envelope(&["r1", "t1", "t2"]);
        with_bad.signatures[0].bytes = bytes;
        assert_eq!(targets_with(&with_bad), Ok(()));
    }
    let text = String::from_utf8(envelope(&["t1", "t2"]).to_bytes()).unwrap();
    let not_hex = text.replacen(
        "\"signatures\": [",
        "\"signatures\": [{\"keyid\": \"x\", \"sig\": \"?\"},",
        1,
    );
    assert!(
        Envelope::read(&RoleName::targets(), not_hex.as_bytes())
            .unwrap()
            .signatures
            .len()
            == 2
    );
}

#[test]
fn the_error_says_who_is_missing_and_why() {
    let mut one_wrong = envelope(&["t1", "t2"]);
    one_wrong.signatures[1].bytes[0] ^= 1;
    let error = targets_with(&one_wrong).unwrap_err();
    let t2 = Key::new("t2").public().id().short();
    assert!(
        error.contains("1 count") && error.contains(&format!("key {t2} does not: wrong signature")),
        "{error}"
    );
}

#[test]
fn the_same_key_under_two_ids_counts_once() {
    let mut repository = Repository::new();
    let Json::Object(mut members) = Key::new("t1").public().json().clone() else {
        panic!()
    };
    members.insert("x-note".to_owned(), Json::from("again"));
    let twin = PublicKey::from_json(Json::Object(members), "key").unwrap();
    let root = &mut repository.root;
    root.targets.key_ids = [Key::new("t1").public().id().clone(), twin.id().clone()].into();
    root.keys.insert(twin.id().clone(), twin.clone());
    let mut envelope = envelope(&["t1", "t1"]);
    envelope.signatures[1].key = twin.id().clone();
    let (timestamp, _) = repository
        .at_root()
        .timestamp(None, &repository.timestamp_file())
        .unwrap();
    let snapshot = timestamp
        .snapshot(None, &repository.snapshot_file())
        .unwrap();
    let error = snapshot
        .targets(&envelope.to_bytes())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("the same key has counted under another id"),
        "{error}"
    );
}

#[test]
fn metadata_of_another_role_is_refused_even_under_a_valid_key() {
    let repository = Repository::new();
    let snapshot_as_timestamp = signed_by(repository.snapshot.to_json(), &["online"]);
    let error = repository
        .at_root()
        .timestamp(None, &snapshot_as_timestamp)
        .err()
        .unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "signed._type: expected \"timestamp\", found \"snapshot\""
    );
}

#[test]
fn any_changed_byte_of_what_is_signed_is_refused() {
    let repository = Repository::new();
    let file = repository.timestamp_file();
    let root = repository.at_root();
    let mut harmless = 0;
    for index in 0..file.len() {
        let mut changed = file.clone();
        changed[index] ^= 1;
        if let Ok((timestamp, _)) = root.timestamp(None, &changed) {
            // White space, and the names in the list of signatures, are not signed.
            assert_eq!(
                timestamp.timestamp().to_json(),
                repository.timestamp.to_json()
            );
            harmless += 1;
        }
    }
    assert!(harmless < file.len() / 2);
}
