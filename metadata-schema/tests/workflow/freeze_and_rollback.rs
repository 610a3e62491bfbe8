//! Old metadata, expired metadata, and metadata that does not belong together.

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::json::Json;
use metadata_schema::roles::{MetaFile, Role as _};
use metadata_schema::trusted::Freshness;

use crate::repository::{Repository, at, signed_by, targets, version};

#[test]
fn an_older_timestamp_is_a_rollback_and_an_equal_one_is_not_taken() {
    let mut repository = Repository::new();
    let root = repository.at_root();
    let local =
        |repository: &Repository| root.recall_timestamp(&repository.timestamp_file()).unwrap();
    repository.bump(5);
    let trusted = local(&repository);
    let mut older = repository.clone();
    older.timestamp.common.version = version(4);
    let error = root
        .timestamp(Some(trusted.clone()), &older.timestamp_file())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "timestamp metadata v4 is older than the trusted v5"
    );
    // The same version with another content is not taken.
    let mut same = repository.clone();
    same.timestamp.snapshot.version = version(9);
    let (kept, freshness) = root
        .timestamp(Some(trusted.clone()), &same.timestamp_file())
        .unwrap();
    assert_eq!(
        (kept.snapshot_file().version, freshness),
        (version(5), Freshness::Unchanged)
    );
    // A newer timestamp with an older snapshot.
    let mut mixed = repository.clone();
    mixed.timestamp.common.version = version(6);
    mixed.timestamp.snapshot.version = version(4);
    let error = root
        .timestamp(Some(trusted), &mixed.timestamp_file())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "snapshot metadata v4 is older than the trusted v5"
    );
}

#[test]
fn a_snapshot_may_not_fall_back_nor_lose_a_role() {
    let mut repository = Repository::new();
    repository
        .snapshot
        .meta
        .insert("targets.json".to_owned(), MetaFile::version(version(3)));
    repository
        .snapshot
        .meta
        .insert("router-x.json".to_owned(), MetaFile::version(version(2)));
    let root = repository.at_root();
    let local = root.recall_snapshot(&repository.snapshot_file()).unwrap();
    let after = |change: &dyn Fn(&mut Repository)| {
        let mut next = repository.clone();
        next.bump(2);
        change(&mut next);
        let (timestamp, _) = root.timestamp(None, &next.timestamp_file()).unwrap();
        timestamp
            .snapshot(Some(&local), &next.snapshot_file())
            .map(drop)
            .map_err(|e| e.to_string())
    };
    let set = |name: &'static str, number| {
        move |r: &mut Repository| {
            r.snapshot
                .meta
                .insert(name.to_owned(), MetaFile::version(version(number)));
        }
    };
    assert_eq!(after(&|_| {}), Ok(()));
    assert_eq!(after(&set("router-x.json", 7)), Ok(()));
    assert_eq!(
        after(&set("router-x.json", 1)),
        Err("router-x metadata v1 is older than the trusted v2".to_owned())
    );
    assert_eq!(
        after(&set("targets.json", 2)),
        Err("targets metadata v2 is older than the trusted v3".to_owned())
    );
    let lose = |r: &mut Repository| drop(r.snapshot.meta.remove("router-x.json"));
    assert_eq!(
        after(&lose),
        Err("router-x metadata, trusted in v2, is missing from the new snapshot".to_owned())
    );
}

#[test]
fn expired_metadata_of_each_role_is_refused() {
    type Change = fn(&mut Repository);
    let changes: [(&str, Change); 4] = [
        ("root", |r| {
            r.root.common.expires = at("2030-01-01T00:00:00Z");
        }),
        ("timestamp", |r| {
            r.timestamp.common.expires = at("2030-01-01T00:00:00Z");
        }),
        ("snapshot", |r| {
            r.snapshot.common.expires = at("2029-06-01T00:00:00Z");
        }),
        ("targets", |r| {
            r.targets.common.expires = at("1970-01-01T00:00:00Z");
        }),
    ];
    for (role, change) in changes {
        let mut repository = Repository::new();
        change(&mut repository);
        let error = repository.refreshed().err().unwrap().to_string();
        assert!(
            error.starts_with(&format!("{role} metadata v1 expired at")),
            "{error}"
        );
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    type Change = fn(&mut Repository);
    let changes: [(&str, Change); 5] = [
        ("snapshot metadata has version 1, expected 2", |r| {
            r.timestamp.snapshot.version = version(2);
        }),
        ("targets metadata has version 1, expected 4", |r| {
            r.snapshot
                .meta
                .insert("targets.json".to_owned(), MetaFile::version(version(4)));
        }),
        ("targets metadata is not listed in the snapshot", |r| {
            r.snapshot.meta.clear();
        }),
        (
            "snapshot metadata is not the file that was announced",
            |r| r.timestamp.snapshot.length = Some(10),
        ),
        (
            "snapshot metadata is not the file that was announced",
            |r| {
                r.timestamp.snapshot.hashes = Some(Hashes::sha256(Sha256Digest::of(b"another")));
            },
        ),
    ];
    for (expected, change) in changes {
        let mut repository = Repository::new();
        change(&mut repository);
        assert_eq!(repository.refreshed().err().unwrap().to_string(), expected);
    }
}

#[test]
fn wrong_keys_are_refused_for_each_role() {
    let repository = Repository::new();
    let root = repository.at_root();
    assert!(
        root.timestamp(None, &signed_by(repository.timestamp.to_json(), &["t1"]))
            .is_err()
    );
    let (timestamp, _) = root.timestamp(None, &repository.timestamp_file()).unwrap();
    assert!(
        timestamp
            .snapshot(
                None,
                &signed_by(repository.snapshot.to_json(), &["r1", "r2"])
            )
            .is_err()
    );
    let snapshot = timestamp
        .snapshot(None, &repository.snapshot_file())
        .unwrap();
    assert!(
        snapshot
            .targets(&signed_by(repository.targets.to_json(), &["online"]))
            .is_err()
    );
}

#[test]
fn the_next_version_of_the_specification_is_refused() {
    for spec in ["2.0.0", "1", "1.x", "10.0.0", ""] {
        let mut repository = Repository::new();
        repository.targets = targets(1, &[]);
        repository.targets.common.spec_version = spec.to_owned();
        assert!(repository.refreshed().is_err(), "{spec}");
    }
}

/// Section 5.5.5 is about targets metadata: repositories of old listed root in their snapshots, and later no more.
#[test]
fn a_snapshot_may_stop_listing_what_is_not_targets_metadata() {
    let mut repository = Repository::new();
    let listed = MetaFile::version(version(7));
    let odd = [
        "root.json",
        "timestamp.json",
        "",
        ".json",
        "a\nb.json",
        "lamp",
    ];
    for name in odd {
        let meta = &mut repository.snapshot.meta;
        meta.insert(name.to_owned(), listed.clone());
    }
    let root = repository.at_root();
    let local = root.recall_snapshot(&repository.snapshot_file()).unwrap();
    // Neither kept nor gone do they do any harm.
    for version in [2, 3] {
        repository.bump(version);
        let (timestamp, _) = root.timestamp(None, &repository.timestamp_file()).unwrap();
        let file = repository.snapshot_file();
        assert!(timestamp.snapshot(Some(&local), &file).is_ok());
        repository
            .snapshot
            .meta
            .retain(|name, _| !odd.contains(&name.as_str()));
    }
}

#[test]
fn digests_of_kinds_that_nobody_checks_match_nothing() {
    let mut repository = Repository::new();
    let file = repository.snapshot_file();
    let digest = Sha256Digest::of(&file);
    let blake = ("blake2b-256".to_owned(), Json::from("00"));
    for (hashes, expected) in [
        (Hashes::sha256(digest), None),
        (
            Hashes {
                others: [blake.clone()].into(),
                ..Hashes::sha256(digest)
            },
            None,
        ),
        (
            Hashes {
                sha256: None,
                sha512: None,
                others: [blake].into(),
            },
            Some("expected a sha256 or sha512 digest to check it by, found [\"blake2b-256\"]"),
        ),
    ] {
        repository.timestamp.snapshot.hashes = Some(hashes);
        let (timestamp, _) = repository
            .at_root()
            .timestamp(None, &repository.timestamp_file())
            .unwrap();
        // What is not known is kept.
        let written = timestamp.timestamp().to_json();
        assert_eq!(written, repository.timestamp.to_json());
        let refused = timestamp.snapshot(None, &file).err();
        let cause = refused.map(|e| std::error::Error::source(&e).unwrap().to_string());
        assert_eq!(cause.as_deref(), expected);
    }
}
