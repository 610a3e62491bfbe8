//! Publishing, refreshing, and what `verify` finds in a repository that was tampered with.

use std::fs;
use std::path::PathBuf;

use repo_tool::{Error, Kind, Repository, silent};

use crate::support::{World, image, later, now, release, sign_and_publish};

#[test]
fn publishing_twice_changes_nothing() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let before = files(world.folder.path().join("published"));
    assert_eq!(
        repository.publish(later(1)).unwrap(),
        repo_tool::Publication::default()
    );
    assert_eq!(files(world.folder.path().join("published")), before);
    assert!(repository.show().unwrap().changes.is_empty());
}

#[test]
fn an_interrupted_publication_goes_on() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let staged = world.folder.path().join("staged");
    let copy = world.folder.path().join("copy");
    copy_folder(&staged, &copy);
    // As if the power had gone before the timestamp was written.
    let timestamp = repository.layout().metadata().join("timestamp.json");
    let old = fs::read(&timestamp).unwrap();
    repository.publish(now()).unwrap();
    fs::write(&timestamp, old).unwrap();
    fs::remove_dir_all(&staged).unwrap();
    copy_folder(&copy, &staged);
    let publication = repository.publish(later(1)).unwrap();
    assert!(
        publication.roles.contains(&("snapshot".to_owned(), 3)),
        "{publication:?}"
    );
    assert_eq!(world.verify(later(1)).unwrap().releases.len(), 1);
    // As if it had gone after that, before the event was cleared away.
    copy_folder(&copy, &staged);
    assert_eq!(
        repository.publish(later(2)).unwrap(),
        repo_tool::Publication::default()
    );
    assert!(repository.show().unwrap().changes.is_empty());
}

#[test]
fn an_interrupted_first_publication_goes_on() {
    let mut world = World::new();
    let (alice, bob) = (world.person("Alice"), world.person("Bob"));
    let repository = world.init(&[&alice, &bob], 2);
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let (staged, copy) = (
        world.folder.path().join("staged"),
        world.folder.path().join("copy"),
    );
    copy_folder(&staged, &copy);
    let metadata = repository.layout().metadata();
    let order = [
        "timestamp.json",
        "1.root.json",
        "1.snapshot.json",
        "1.targets.json",
    ];
    repository.publish(now()).unwrap();
    // As if the power had gone before each of the last files.
    for count in 1..=order.len() {
        for name in &order[..count] {
            fs::remove_file(metadata.join(name)).unwrap();
        }
        copy_folder(&copy, &staged);
        repository.publish(now()).unwrap();
        world.verify(now()).unwrap();
        for extra in fs::read_dir(&metadata)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if !extra.ends_with("1.snapshot.json") && extra.to_string_lossy().contains("snapshot") {
                fs::rename(&extra, metadata.join("1.snapshot.json")).unwrap();
            }
        }
    }
}

#[test]
fn of_two_events_from_the_same_state_one_is_published() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let (staged, copy) = (
        world.folder.path().join("staged"),
        world.folder.path().join("copy"),
    );
    copy_folder(&staged, &copy);
    fs::remove_dir_all(&staged).unwrap();
    repository
        .stage_release(&release("1.0.1", &image(2)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    copy_folder(&copy, &staged);
    let error = repository.publish(now()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Overtaken {
                staged: 2,
                published: 2,
                ..
            }
        ),
        "{error}"
    );
    // Nor is a role published that nobody delegates to.
    fs::remove_dir_all(&staged).unwrap();
    fs::create_dir(&staged).unwrap();
    fs::copy(copy.join("router-x.json"), staged.join("router-z.json")).unwrap();
    assert!(matches!(
        repository.publish(now()),
        Err(Error::NoSuchProduct { .. })
    ));
}

#[test]
fn files_of_abandoned_drafts_are_not_published() {
    let (world, repository, [alice, bob, _]) = World::published();
    for (number, version) in [(1, "1.0.0"), (2, "1.0.1")] {
        repository
            .stage_release(&release(version, &image(number)), now(), &silent)
            .unwrap();
    }
    sign_and_publish(&repository, &[&alice, &bob], now());
    assert_eq!(
        files(world.folder.path().join("published/targets")).len(),
        2
    );
}

#[test]
fn tampered_payloads_are_found() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let payload = files(world.folder.path().join("published/targets"))
        .into_iter()
        .map(|(path, _)| path)
        .find(|path| path.extension().is_some_and(|end| end == "full"))
        .unwrap();
    let mut bytes = fs::read(&payload).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&payload, &bytes).unwrap();
    let error = world.verify(now()).unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Payload);
    fs::remove_file(&payload).unwrap();
    assert!(matches!(world.verify(now()), Err(Error::Missing { .. })));
}

#[test]
fn a_staged_payload_that_was_exchanged_is_not_published() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    for (path, bytes) in files(world.folder.path().join("staged/targets")) {
        fs::write(path, [&bytes[..], b"more"].concat()).unwrap();
    }
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let error = repository.publish(now()).unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_staged_link_is_not_published() {
    let (world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    // The content is right, today.
    for (number, (path, bytes)) in files(world.folder.path().join("staged/targets"))
        .into_iter()
        .enumerate()
    {
        let elsewhere = world.folder.path().join(format!("elsewhere-{number}"));
        fs::write(&elsewhere, bytes).unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(elsewhere, path).unwrap();
    }
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let error = repository.publish(now()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                step: "publish",
                ..
            }
        ),
        "{error}"
    );
    assert!(files(world.folder.path().join("published/targets")).is_empty());
}

#[test]
fn nothing_that_is_staged_is_passed_over() {
    let (world, repository, _) = World::published();
    let signatures = world.folder.path().join("staged/signatures");
    fs::create_dir_all(&signatures).unwrap();
    for number in 0..=10_000 {
        fs::File::create(signatures.join(format!("x{number}.json"))).unwrap();
    }
    let error = repository.show().unwrap_err();
    assert!(matches!(error, Error::Io { step: "list", .. }), "{error}");
}

#[test]
fn refreshing_keeps_a_repository_alive() {
    let (world, repository, _) = World::published();
    assert_eq!(repository.refresh(now(), false).unwrap().roles, []);
    let error = world.verify(later(4)).unwrap_err().to_string();
    assert!(
        error.starts_with("timestamp metadata v1 expired"),
        "{error}"
    );
    let roles = repository.refresh(later(2), false).unwrap().roles;
    assert_eq!(roles, [("timestamp".to_owned(), 2)]);
    assert_eq!(repository.refresh(later(2), false).unwrap().roles, []);
    let names: Vec<String> = repository
        .refresh(later(20), false)
        .unwrap()
        .roles
        .into_iter()
        .map(|r| r.0)
        .collect();
    assert_eq!(names, ["pki", "snapshot", "timestamp"]);
    world.verify(later(20)).unwrap();
    assert_eq!(repository.refresh(later(20), true).unwrap().roles.len(), 3);
    // Root ends after a year, and no online key can help that.
    assert!(matches!(
        repository.refresh(later(200), false),
        Err(Error::Metadata(_))
    ));
}

#[test]
fn publishing_renews_the_role_of_revocation_lists() {
    let (world, repository, [alice, bob, _]) = World::published();
    // Before half of its thirty days are gone, after that, and when it has expired.
    for (number, days, expected) in [(1, 5, false), (2, 20, true), (3, 60, true)] {
        let request = release(&format!("{number}.0.0"), &image(number));
        let day = later(days);
        repository.stage_release(&request, day, &silent).unwrap();
        for person in [&alice, &bob] {
            repository.sign(&person.key).unwrap();
        }
        let roles = repository.publish(day).unwrap().roles;
        let renewed = roles.iter().any(|(role, _)| role == "pki");
        assert_eq!(renewed, expected, "day {days}: {roles:?}");
        world.verify(day).unwrap();
    }
}

#[test]
fn one_process_at_a_time() {
    let (world, repository, _) = World::published();
    let lock = fs::File::open(world.folder.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(
        repository.refresh(now(), true),
        Err(Error::Locked { .. })
    ));
    assert!(
        Repository::open(world.folder.path())
            .unwrap()
            .status(now())
            .is_ok()
    );
    drop(lock);
    repository.refresh(now(), true).unwrap();
}

#[test]
fn the_same_input_makes_the_same_repository() {
    let make = || {
        let (world, repository, [alice, bob, _]) = World::published();
        repository
            .stage_release(&release("1.0.0", &image(1)), now(), &silent)
            .unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now());
        let base = world.folder.path().join("published");
        files(base.clone())
            .into_iter()
            .map(|(path, bytes)| (path.strip_prefix(&base).unwrap().to_owned(), bytes))
            .collect::<Vec<_>>()
    };
    let (a, b) = (make(), make());
    let names =
        |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    // ECDSA signatures of the CAs are random, and the certificates stand in the metadata: the names must agree.
    assert_eq!(names(&a), names(&b));
    let targets = |files: &[(PathBuf, Vec<u8>)]| {
        files
            .iter()
            .filter(|f| f.0.starts_with("targets"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(targets(&a), targets(&b));
}

pub(crate) fn files(folder: PathBuf) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    for (path, bytes) in files(from.to_owned()) {
        let to = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
}
