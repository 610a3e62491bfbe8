//! What must not work, each with the words that a user reads.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use metadata_schema::time::Timestamp;
use repo_tool::Repository;
use serde_json::json;

use super::devices::{SERIALS, updater, updater_for_people};
use super::images::Images;
use super::keepers::{add_crls, add_release, publish, publish_crls, release, sign, sign_again};
use super::releases::{install, keep};
use super::{Failure, World};

/// The mirror changes one byte of a payload.
pub(super) fn tampered_payload(world: &World, images: &Images) -> Result<(), Failure> {
    let screen = world.screen();
    screen.chapter("7. What must not work");
    copy_tree(&world.path("repository/published"), &world.path("older"))?;
    std::fs::copy(&images.first, world.path("images/1.3.0.img"))
        .map_err(Failure::io("copy an image"))?;
    release(
        world,
        "1.3.0",
        "1.3.0.img",
        "The updater of 1.0.0 again",
        ["alice", "bob"],
    )?;
    let changed: Vec<(PathBuf, Vec<u8>)> = payloads(world)?;
    for (path, genuine) in &changed {
        let mut tampered = genuine.clone();
        let middle = tampered.len() / 2;
        if let Some(byte) = tampered.get_mut(middle) {
            *byte ^= 1;
        }
        std::fs::write(path, tampered).map_err(Failure::io("tamper with a payload"))?;
    }
    let serial = SERIALS[1];
    let ended = updater_for_people(world, serial, &["once"])?.must_end(5, "is refused")?;
    screen.refused(
        "tampered-payload",
        "the mirror changes one byte of the payloads",
        &ended,
    );
    for (path, genuine) in &changed {
        std::fs::write(path, genuine).map_err(Failure::io("restore a payload"))?;
    }
    install(world, serial, "1.3.0", "delta", images)?;
    keep(world, serial, "1.3.0")
}

/// The mirror serves what was right yesterday.
pub(super) fn replayed_repository(world: &World) -> Result<(), Failure> {
    let (published, aside) = (world.path("repository/published"), world.path("aside"));
    let rename = |from: &Path, to: &Path| {
        std::fs::rename(from, to).map_err(Failure::io("exchange the repository"))
    };
    rename(&published, &aside)?;
    rename(&world.path("older"), &published)?;
    let ended = updater_for_people(world, SERIALS[1], &["once"])?
        .must_end(4, "is older than the trusted")?;
    world.screen().refused(
        "replayed-repository",
        "the mirror replays yesterday's repository, correctly signed",
        &ended,
    );
    rename(&published, &world.path("older"))?;
    rename(&aside, &published)
}

/// One person alone makes a release.
pub(super) fn one_signer(world: &World, images: &Images) -> Result<(), Failure> {
    std::fs::copy(&images.second, world.path("images/1.4.0.img"))
        .map_err(Failure::io("copy an image"))?;
    add_release(world, "1.4.0", "1.4.0.img", "Signed by one person only")?;
    sign(world, "alice")?;
    let ended = world
        .run("repo-tool", &["publish", "repository"])?
        .must_end(4, "1 count")?;
    world.screen().refused(
        "one-signer-publish",
        "alice alone tries to publish a release",
        &ended,
    );
    publish_by_force(world)?;
    let ended = updater_for_people(world, SERIALS[1], &["once"])?
        .must_end(4, "needs 2 signatures, 1 count")?;
    world.screen().refused(
        "one-signer",
        "a thief of the online keys publishes what only alice has signed",
        &ended,
    );
    Ok(())
}

/// A person whose certificate was revoked makes a release with somebody else.
pub(super) fn revoked_signer(world: &World, images: &Images) -> Result<(), Failure> {
    let screen = world.screen();
    release(
        world,
        "1.4.1",
        "1.4.0.img",
        "Signed by two again",
        ["alice", "bob"],
    )?;
    let serial = SERIALS[1];
    install(world, serial, "1.4.1", "delta", images)?;
    keep(world, serial, "1.4.1")?;
    let arguments = ["revoke", "pki", "carol", "--passphrase-file", "passphrase"];
    world.succeed("device-pki", &arguments)?;
    publish_crls(world)?;
    add_crls(world)?;
    publish(world)?;
    screen.step(
        "revoke-signer",
        "carol has left; her certificate is revoked, the list is published",
        &json!({}),
    );
    std::fs::copy(&images.first, world.path("images/1.5.0.img"))
        .map_err(Failure::io("copy an image"))?;
    add_release(
        world,
        "1.5.0",
        "1.5.0.img",
        "Signed by bob and by carol, who has left",
    )?;
    sign(world, "bob")?;
    sign(world, "carol")?;
    publish_by_force(world)?;
    let ended = updater_for_people(world, serial, &["once"])?.must_end(4, "revoked")?;
    screen.refused(
        "revoked-signer",
        "carol, who has left, signs a release together with bob",
        &ended,
    );
    sign_again(world, ["alice", "bob"])?;
    install(world, serial, "1.5.0", "delta", images)?;
    keep(world, serial, "1.5.0")
}

/// A device that was stolen.
pub(super) fn revoked_device(world: &World) -> Result<(), Failure> {
    let screen = world.screen();
    screen.chapter("9. A device is stolen");
    let serial = SERIALS[0];
    updater(world, serial, &["check"])?;
    world.succeed(
        "api-server",
        &["devices", "--data", "server", "revoke", serial],
    )?;
    // The server issues a new list by itself, within seconds.
    for _ in 0..100 {
        let ended = updater_for_people(world, serial, &["check"])?;
        if ended.code == 8 {
            let ended = ended.must_end(8, "CertificateRevoked")?;
            screen.refused(
                "revoked-device",
                &format!("{serial}, whose certificate is revoked, at the server"),
                &ended,
            );
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let (step, expected) = (
        "a revoked device asks the server".to_owned(),
        "a refusal".to_owned(),
    );
    Err(Failure::Step {
        step,
        expected,
        found: "it was let in for 20 s".to_owned(),
    })
}

/// What somebody with the online keys could do: publish without asking whether enough people have signed.
fn publish_by_force(world: &World) -> Result<(), Failure> {
    let other = |e: repo_tool::Error| Failure::Other(e.to_string());
    let repository = Repository::open(&world.path("repository")).map_err(other)?;
    repository.publish_unchecked(now()).map(drop).map_err(other)
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_seconds(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
}

/// All published payloads with their bytes: releases of the same image share one.
fn payloads(world: &World) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let folder = world
        .path("repository/published/targets")
        .join(super::keepers::PRODUCT);
    let entries = std::fs::read_dir(&folder).map_err(Failure::io("list the payloads"))?;
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".full") || name.ends_with(".delta") {
            let bytes = std::fs::read(&path).map_err(Failure::io("read a payload"))?;
            found.push((path, bytes));
        }
    }
    if found.is_empty() {
        return Err(Failure::Other(format!(
            "there are no payloads in {}",
            folder.display()
        )));
    }
    Ok(found)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(Failure::io("make a folder"))?;
    for entry in std::fs::read_dir(from)
        .map_err(Failure::io("list a folder"))?
        .flatten()
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).map_err(Failure::io("copy a file"))?;
        }
    }
    Ok(())
}
