//! Removing what nothing leads to any more.

use std::collections::BTreeSet;
use std::path::Path;

use metadata_schema::time::Timestamp;
use repo_tool::remote::{FolderRemote, Remote as _};
use repo_tool::{Error, PruneOptions, Pruned, PushOptions, Repository, silent};

use crate::support::{Person, World, image, later, release, sign_and_publish};

fn publish(repository: &Repository, version: &str, number: u32, people: &[&Person], at: Timestamp) {
    repository
        .stage_release(&release(version, &image(number)), at, &silent)
        .unwrap();
    sign_and_publish(repository, people, at);
}

fn prune(repository: &Repository, mirror: &Path, grace_days: u32, at: Timestamp) -> Pruned {
    let remote = FolderRemote::new(mirror);
    let options = PruneOptions {
        grace_days,
        dry_run: false,
    };
    repository.prune(Some(&remote), &options, at).unwrap()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let found = FolderRemote::new(folder).list().unwrap().unwrap();
    found.into_keys().collect()
}

#[test]
fn old_files_go_after_their_grace_time_and_roots_never() {
    let (world, repository, [alice, bob, _]) = World::published();
    let people = [&alice, &bob];
    let mirror = tempfile::tempdir().unwrap();
    let published = repository.layout().published().to_owned();
    for (version, number, day) in [("1.0.0", 1, 0), ("1.1.0", 2, 10), ("1.2.0", 3, 20)] {
        publish(&repository, version, number, &people, later(day));
    }
    let roles = [metadata_schema::name::RoleName::root()];
    repository.renew(&roles, later(20)).unwrap();
    sign_and_publish(&repository, &people, later(20));
    let options = PushOptions::default();
    let remote = FolderRemote::new(mirror.path());
    repository
        .push(&remote, &options, later(20), &silent)
        .unwrap();
    // The mirror has had the earlier states, too.
    super::pushing::copy(&published, mirror.path());
    let before = files(&published);
    std::fs::write(published.join("targets/readme.txt"), "ours").unwrap();

    // On day 20, with 15 days of grace: what was replaced on day 0 only.
    let first = prune(&repository, mirror.path(), 15, later(20));
    assert!(!first.removed.is_empty() && first.waiting > 0, "{first:?}");
    assert!(
        first.removed.iter().all(|file| file.since == later(0)),
        "{first:?}"
    );
    assert!(files(&published).contains("metadata/3.router-x.json"));
    assert_eq!(first.next, Some(later(25)));
    assert_eq!(prune(&repository, mirror.path(), 15, later(20)).removed, []);

    // Ten days on, everything that is not of the current state, in both places.
    repository.refresh(later(40), true).unwrap();
    let error = repository
        .prune(
            Some(&remote),
            &PruneOptions {
                grace_days: 0,
                dry_run: false,
            },
            later(40),
        )
        .unwrap_err();
    assert!(
        matches!(error, Error::RemoteDiffers { .. }),
        "the mirror lags: {error}"
    );
    repository
        .push(&remote, &options, later(40), &silent)
        .unwrap();
    let second = prune(&repository, mirror.path(), 15, later(40));
    let places: BTreeSet<_> = second.removed.iter().map(|file| &file.place).collect();
    assert_eq!(places.len(), 2);
    let after = files(&published);
    for root in ["metadata/1.root.json", "metadata/2.root.json"] {
        assert!(after.contains(root) && files(mirror.path()).contains(root));
    }
    assert!(after.contains("targets/readme.txt"));
    assert!(after.len() < before.len());
    assert_eq!(
        second.waiting, 4,
        "snapshot and pki of day 20, here and there: {second:?}"
    );
    assert_eq!(
        files(mirror.path()).difference(&after).next(),
        None,
        "nothing stays on the mirror that has gone here"
    );
    let offered = world.verify(later(40)).unwrap();
    assert_eq!(offered.releases[0].version, "1.2.0");
}

#[test]
fn a_dry_run_removes_nothing_and_what_is_staged_stays() {
    let (_world, repository, [alice, bob, _]) = World::published();
    publish(&repository, "1.0.0", 1, &[&alice, &bob], later(0));
    publish(&repository, "1.1.0", 2, &[&alice, &bob], later(1));
    let published = repository.layout().published().to_owned();
    let before = files(&published);
    let options = PruneOptions {
        grace_days: 0,
        dry_run: true,
    };
    let told = repository.prune(None, &options, later(2)).unwrap();
    assert!(told.dry_run && told.bytes > 0);
    assert_eq!(files(&published), before);
    let named: BTreeSet<_> = told.removed.iter().map(|file| file.path.clone()).collect();
    let manifest = named
        .iter()
        .find(|path| path.ends_with("stable.release.json"));
    assert!(manifest.is_some(), "{named:?}");
    for keep in ["root.json", "timestamp.json"] {
        assert!(!named.iter().any(|path| path.ends_with(keep)), "{named:?}");
    }
}
