//! A device in process against a real server over mutual TLS: install, try, keep, roll back, and go on after a power cut.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod blank;
mod bundle;
mod hostile_bundle;
mod policy;
mod service;
mod wire;
mod world;

use std::path::Path;
use std::sync::Arc;

use device_pki::folder::{Ceremony, PkiFolder};
use device_pki::{CaKind, Passphrase, Protection, ScryptCost, SystemEntropy};
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use repo_tool::{Repository, SignerChange};
use tokio::sync::Notify;
use updater::config::Config;
use updater::error::Error;
use updater::install::PayloadKind;
use updater::progress::{Progress, Silent};
use updater::slot::SlotName;
use updater::{Outcome, Updater};

use world::{World, holds, image, join, sign_and_publish};

#[tokio::test(flavor = "multi_thread")]
async fn a_device_takes_a_full_release_then_a_delta_and_keeps_both() {
    let world = World::new().await;
    let nothing = world.once().await.unwrap();
    assert!(
        matches!(nothing, Outcome::NothingToDo { .. }),
        "{nothing:?}"
    );

    let first = image(1, 3_000_000);
    world.release("1.0.0", &first);
    let (version, kind, full) = world.update().await;
    assert_eq!((version.as_str(), kind), ("1.0.0", PayloadKind::Full));
    assert!(holds(&world.slot(SlotName::B), &first));

    let mut second = first.clone();
    second.splice(1_000_000..1_000_000, image(2, 5000));
    world.release("1.1.0", &second);
    let (version, kind, delta) = world.update().await;
    assert_eq!((version.as_str(), kind), ("1.1.0", PayloadKind::Delta));
    assert!(delta < full / 50, "delta {delta}, full {full}");
    assert!(holds(&world.slot(SlotName::A), &second) && holds(&world.slot(SlotName::B), &first));

    let again = world.once().await.unwrap();
    assert!(
        matches!(&again, Outcome::NothingToDo { why, .. } if why == "1.1.0 is the newest release"),
        "{again:?}"
    );
    let store = api_server::SqliteStore::open(&world.path("server")).unwrap();
    let devices = api_server::Store::devices(&store).unwrap();
    assert_eq!(devices.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn firmware_that_is_not_well_is_left_and_not_tried_again() {
    let world = World::new().await;
    let good = image(1, 500_000);
    world.release("1.0.0", &good);
    world.update().await;

    world.release("1.1.0", &image(2, 500_000));
    world.health_check(r#"[ "$UPDATER_SLOT" = A ] && [ -f "$UPDATER_IMAGE_ROOTFS" ] && [ "$UPDATER_VERSION" != 1.1.0 ]"#);
    assert!(matches!(
        world.once().await.unwrap(),
        Outcome::Armed {
            slot: SlotName::A,
            ..
        }
    ));
    assert_eq!(world.restart(), SlotName::A);
    let error = world.once().await.unwrap_err();
    assert!(matches!(error, Error::TrialFailed { .. }), "{error}");
    // The power fails before the device has restarted by itself: it comes back from the old slot all the same.
    assert_eq!(world.restart(), SlotName::B);
    let outcome = world.once().await.unwrap();
    assert!(
        matches!(&outcome, Outcome::NothingToDo { why, .. } if why.contains("it failed here before")),
        "{outcome:?}"
    );
    assert!(holds(&world.slot(SlotName::B), &good));

    // Another release is taken.
    world.health_check("true");
    world.release("1.2.0", &image(3, 500_000));
    assert_eq!(world.update().await.0, "1.2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn firmware_that_does_not_start_is_left_by_the_boot_loader() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 500_000));
    assert!(matches!(world.once().await.unwrap(), Outcome::Armed { .. }));
    // Running the updater again before the restart changes nothing.
    assert!(matches!(
        world.once().await.unwrap(),
        Outcome::AwaitingRestart { .. }
    ));
    let starts: Vec<SlotName> = (0..5).map(|_| world.restart()).collect();
    assert_eq!(
        starts,
        [
            SlotName::B,
            SlotName::B,
            SlotName::B,
            SlotName::A,
            SlotName::A
        ]
    );
    let outcome = world.once().await.unwrap();
    assert!(
        matches!(&outcome, Outcome::NothingToDo { why, .. } if why.contains("did not start")),
        "{outcome:?}"
    );
}

/// Bob leaves: the next root is signed by him for the last time, then his certificate is revoked. A mirror hides that root
/// until the device has the revocation list.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_list_does_not_keep_a_device_from_the_root_that_follows_from_it() {
    let world = World::new().await;
    world.once().await.unwrap();
    let pki = PkiFolder::open(&world.path("pki")).unwrap();
    let pass = Passphrase::new("test");
    let mut ceremony = Ceremony {
        now: world.now,
        protection: Protection::Passphrase(&pass, ScryptCost::FAST),
        entropy: &mut SystemEntropy,
    };
    let (carol, holder) = join(&pki, "carol", &mut ceremony);
    let repository = Repository::open(&world.path("repository")).unwrap();
    let change = SignerChange {
        roles: vec![RoleName::root(), RoleName::targets()],
        add: vec![holder],
        remove: vec!["bob".to_owned()],
        ..SignerChange::default()
    };
    repository.change_signers(&change, world.now).unwrap();
    repository.sign(&carol).unwrap();
    sign_and_publish(&repository, &world.people, world.now);

    pki.revoke("bob", &mut ceremony).unwrap();
    let list = std::fs::read(pki.crl_path(CaKind::FirmwareSigning).unwrap()).unwrap();
    repository
        .add_crls(&[("list".to_owned(), list)], world.now)
        .unwrap();
    // The product's role still goes by bob's signature, so a device would refuse its releases: that is another matter.
    repository.publish_unchecked(world.now).unwrap();

    let root = world.path("repository/published/metadata/2.root.json");
    std::fs::rename(&root, world.path("hidden")).unwrap();
    let error = world.once().await.unwrap_err();
    assert!(matches!(error, Error::Metadata(_)), "{error}");
    let stored = |name: &str| world.path("device/state/metadata").join(name);
    assert_eq!(
        std::fs::read_dir(stored("crls")).unwrap().count(),
        0,
        "targets v2 are not for root v1"
    );
    // The device gets the list all the same, from elsewhere.
    let ski = pki
        .authority(CaKind::FirmwareSigning, ceremony.protection)
        .unwrap();
    let ski = ski.certificate().subject_key_id().unwrap();
    std::fs::copy(
        pki.crl_path(CaKind::FirmwareSigning).unwrap(),
        stored("crls").join(format!("{ski}.crl")),
    )
    .unwrap();

    std::fs::rename(world.path("hidden"), &root).unwrap();
    let _refused = world.once().await;
    let root = std::fs::read_to_string(stored("root.json")).unwrap();
    assert!(root.contains("\"version\": 2"), "the device has followed");
}

/// Says when so many bytes of a payload have been applied.
struct Cut(u64, Arc<Notify>);

impl Progress for Cut {
    fn begin(&mut self, _what: &str, _payload_bytes: u64) {}
    fn advance(&mut self, done: u64) {
        if done >= self.0 {
            self.1.notify_one();
        }
    }
    fn end(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_that_was_cut_off_goes_on_where_it_was() {
    let world = World::new().await;
    let firmware = image(1, 24 * 1024 * 1024);
    world.release("1.0.0", &firmware);
    let cut = Arc::new(Notify::new());
    let mut progress = Cut(18 * 1024 * 1024, Arc::clone(&cut));
    let mut interrupted = world.updater();
    tokio::select! {
        ended = interrupted.once(world.now, &mut progress) => panic!("{ended:?}"),
        () = cut.notified() => {}
    }
    drop(interrupted);
    assert_eq!(
        world.restart(),
        SlotName::A,
        "the old firmware starts as if nothing had been"
    );
    let outcome = world.once().await.unwrap();
    let Outcome::Armed { downloaded, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        downloaded < 10 * 1024 * 1024,
        "downloaded {downloaded} again"
    );
    assert!(holds(&world.slot(SlotName::B), &firmware));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_that_cannot_be_used_is_replaced_by_the_full_payload() {
    let world = World::new().await;
    let first = image(1, 1_000_000);
    world.release("1.0.0", &first);
    world.update().await;
    // The running image is not what it was: a delta from it would make something else.
    let mut changed = world.slot(SlotName::B);
    changed[500_000] ^= 1;
    std::fs::write(world.path("device/b.img"), changed).unwrap();
    let mut second = first.clone();
    second[10] ^= 1;
    world.release("1.1.0", &second);
    let (version, kind, _) = world.update().await;
    assert_eq!((version.as_str(), kind), ("1.1.0", PayloadKind::Full));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_slot_is_never_written_whatever_it_is_called() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 100_000));
    std::fs::remove_file(world.path("device/b.img")).unwrap();
    std::os::unix::fs::symlink("a.img", world.path("device/b.img")).unwrap();
    let before = world.slot(SlotName::A);
    let error = world.once().await.unwrap_err();
    assert!(error.in_one_line().contains("are the same"), "{error}");
    assert!(before == world.slot(SlotName::A));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_updater_at_a_time() {
    let world = World::new().await;
    let first = world.updater();
    let second = Updater::open(Config::load(&world.path("device/updater.toml")).unwrap());
    assert!(matches!(second.err(), Some(Error::Locked { .. })));
    // Looking is possible all the same.
    Updater::look(Config::load(&world.path("device/updater.toml")).unwrap()).unwrap();
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_memory_is_an_error_and_not_a_fresh_start() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 100_000));
    world.update().await;
    for name in [
        "metadata/timestamp.json",
        "metadata/snapshot.json",
        "metadata/root.json",
        "state.json",
    ] {
        let path = world.path("device/state").join(name);
        let genuine = std::fs::read(&path).unwrap();
        std::fs::write(&path, &genuine[..genuine.len() / 2]).unwrap();
        let error = match Updater::open(Config::load(&world.path("device/updater.toml")).unwrap()) {
            Err(e) => e,
            Ok(mut updater) => updater.once(world.now, &mut Silent).await.unwrap_err(),
        };
        let message = error.in_one_line();
        assert!(
            message.contains(Path::new(name).file_name().unwrap().to_str().unwrap()),
            "{name}: {message}"
        );
        assert!(message.contains("damaged"), "{name}: {message}");
        std::fs::write(&path, genuine).unwrap();
    }
    for name in ["metadata/root.json", "state.json"] {
        let path = world.path("device/state").join(name);
        std::fs::rename(&path, world.path("lost")).unwrap();
        let error = match Updater::open(Config::load(&world.path("device/updater.toml")).unwrap()) {
            Err(e) => e,
            Ok(mut updater) => updater.once(world.now, &mut Silent).await.unwrap_err(),
        };
        let message = error.in_one_line();
        assert!(
            message.contains("it is missing, although"),
            "{name}: {message}"
        );
        std::fs::rename(world.path("lost"), &path).unwrap();
    }
    assert!(matches!(
        world.once().await.unwrap(),
        Outcome::NothingToDo { .. }
    ));
}

/// As `updater status` says it: what a device knows of the time before and after it has heard anything.
#[tokio::test(flavor = "multi_thread")]
async fn says_why_its_clock_is_not_to_be_trusted() {
    let world = World::new().await;
    let said = |system: Timestamp| {
        let doubts = world.updater().doubts(system).unwrap();
        doubts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let build_time = "it is behind: 2020-01-01T00:00:00Z has passed by the firmware's build time";
    assert_eq!(said(Timestamp::EPOCH), [build_time]);
    let years_ahead = world.now.plus_seconds(20 * 365 * 86_400);
    assert!(said(world.now).is_empty() && said(years_ahead).is_empty());

    world.once().await.unwrap();
    assert!(said(world.now).is_empty());
    let behind = said(Timestamp::EPOCH);
    let floor = format!("it is behind: {} has passed by signed", world.now);
    assert!(behind[0].starts_with(&floor), "{behind:?}");
    assert!(
        behind[1].contains("the certificate of O=Example, CN="),
        "{behind:?}"
    );
    let ahead = said(years_ahead);
    assert!(
        ahead[0].contains("trusted root metadata expired")
            && ahead[1].contains("trusted targets metadata expired"),
        "{ahead:?}"
    );

    // A clock that is years ahead stops updates, and leaves nothing behind when it is corrected.
    let error = world.updater().once(years_ahead, &mut Silent).await;
    assert!(error.is_err());
    assert!(said(world.now).is_empty());
    world.once().await.unwrap();
    // And one that says 1970 does not stop them.
    let once = world.updater().once(Timestamp::EPOCH, &mut Silent).await;
    assert!(matches!(once, Ok(Outcome::NothingToDo { .. })), "{once:?}");
}
