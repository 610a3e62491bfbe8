//! A device without a network, and a bundle that somebody carries to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use device_pki::folder::{Ceremony, PkiFolder};
use device_pki::{Passphrase, Protection, ScryptCost, SystemEntropy};
use metadata_schema::MetadataError;
use metadata_schema::time::Timestamp;
use repo_tool::{BundleOptions, Bundled, Repository, silent};
use updater::error::{BootstrapError, Error, TransportError};
use updater::install::PayloadKind;
use updater::progress::{Progress, Silent};
use updater::slot::SlotName;
use updater::transport::bundle::tar::Index;
use updater::{Outcome, Updater};

use super::blank::{blank, publish_lists};
use super::world::{World, holds, image};

pub(super) const DAY: i64 = 24 * 3600;

impl World {
    /// Makes a bundle of what is offered, with deltas from these versions.
    pub(super) fn bundle(&self, name: &str, from: &[&str]) -> (PathBuf, Bundled) {
        let repository = Repository::open(&self.path("repository")).unwrap();
        let options = BundleOptions {
            from: from
                .iter()
                .map(|version| version.parse().unwrap())
                .collect(),
            ..BundleOptions::default()
        };
        let path = self.path(name);
        let made = repository.bundle(&path, &options, self.now, &silent);
        (path, made.unwrap())
    }

    /// Takes the network away.
    pub(super) fn carry_into_the_cellar(&self) {
        self.ask_at(1);
    }

    pub(super) async fn install(&self, bundle: &Path, system: Timestamp) -> Result<Outcome, Error> {
        self.updater()
            .install_bundle(bundle, system, false, &mut Silent)
            .await
    }

    /// The metadata that the bundle's device trusts now.
    fn stored(&self, role: &str) -> String {
        let path = self
            .path("device/state/metadata")
            .join(format!("{role}.json"));
        std::fs::read_to_string(path).unwrap()
    }

    /// The same bundle, with its files changed by `change`: unpacked and packed by the system's `tar`.
    pub(super) fn repacked(
        &self,
        bundle: &Path,
        name: &str,
        change: impl FnOnce(&Path),
    ) -> PathBuf {
        let folder = self.path(&format!("{name}.unpacked"));
        std::fs::create_dir_all(&folder).unwrap();
        tar(&["-xf", text(bundle), "-C", text(&folder)]);
        change(&folder);
        let packed = self.path(name);
        tar(&[
            "--format=pax",
            "-cf",
            text(&packed),
            "-C",
            text(&folder),
            "metadata",
            "targets",
        ]);
        packed
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn tar(arguments: &[&str]) -> String {
    let output = Command::new("tar").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn version(outcome: &Outcome) -> (String, PayloadKind) {
    match outcome {
        Outcome::Armed { version, kind, .. } => (version.to_string(), *kind),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_brings_a_device_without_a_network_up_to_date() {
    let world = World::new().await;
    world.carry_into_the_cellar();
    let first = image(1, 3_000_000);
    world.release("1.0.0", &first);
    let (bundle, made) = world.bundle("one.bundle", &[]);
    assert_eq!(made.expires, world.now.plus_seconds(90 * DAY));
    assert_eq!(made.bytes, std::fs::metadata(&bundle).unwrap().len());
    let listed = tar(&["-tf", text(&bundle)]);
    assert!(listed.starts_with("metadata/bundle.json\n"), "{listed}");
    // Two months later, with a timestamp that was good for three days; nobody has been online meanwhile.
    let later = world.now.plus_seconds(60 * DAY);
    let armed = world.install(&bundle, later).await.unwrap();
    assert_eq!(version(&armed), ("1.0.0".to_owned(), PayloadKind::Full));
    assert_eq!(world.restart(), SlotName::B);
    let kept = world.updater().once(later, &mut Silent).await.unwrap();
    assert!(matches!(kept, Outcome::Committed { .. }), "{kept:?}");
    let again = world.install(&bundle, later).await.unwrap();
    assert!(
        matches!(&again, Outcome::NothingToDo { why, .. } if why == "1.0.0 is the newest release"),
        "{again:?}"
    );

    let mut second = first.clone();
    second.splice(1_000_000..1_000_000, image(2, 5000));
    world.release("1.1.0", &second);
    let (full, _) = world.bundle("two-full.bundle", &[]);
    let (both, made) = world.bundle("two.bundle", &["1.0.0", "0.1.0"]);
    assert_eq!(made.without_delta, ["0.1.0"]);
    assert_eq!(made.payloads.len(), 2);
    let armed = world.install(&both, later).await.unwrap();
    assert_eq!(version(&armed), ("1.1.0".to_owned(), PayloadKind::Delta));
    assert!(holds(&world.slot(SlotName::A), &second));
    // The delta that a bundle leaves out is no failure of it.
    world.updater().give_up(later).unwrap();
    let armed = world.install(&full, later).await.unwrap();
    assert_eq!(version(&armed), ("1.1.0".to_owned(), PayloadKind::Full));
    assert!(world.updater().memory().deltas.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_taken_until_its_time_is_over_and_no_longer() {
    let world = World::new().await;
    world.carry_into_the_cellar();
    world.release("1.0.0", &image(1, 300_000));
    let (bundle, made) = world.bundle("a.bundle", &[]);
    let refused = world.install(&bundle, made.expires).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Metadata(MetadataError::BundleExpired { expires, .. }) if *expires == made.expires),
        "{refused:?}"
    );
    let last = made.expires.plus_seconds(-1);
    let armed = world.install(&bundle, last).await.unwrap();
    assert_eq!(version(&armed).0, "1.0.0");

    // Without a statement the ordinary times hold.
    let plain = world.repacked(&bundle, "plain.bundle", |folder| {
        std::fs::remove_file(folder.join("metadata/bundle.json")).unwrap();
    });
    world.updater().give_up(last).unwrap();
    let refused = world.install(&plain, last).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Metadata(MetadataError::Expired { role, .. }) if role.as_str() == "timestamp"),
        "{refused:?}"
    );
    let armed = world.install(&plain, world.now).await.unwrap();
    assert_eq!(version(&armed).0, "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_older_than_what_machines_signed_since_is_taken_and_lowers_nothing() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 300_000));
    let (bundle, _) = world.bundle("a.bundle", &[]);
    let repository = Repository::open(&world.path("repository")).unwrap();
    repository.refresh(world.now, true).unwrap();
    world.updater().check(world.now).await.unwrap();
    let stored = ["root", "timestamp", "snapshot", "targets"].map(|role| world.stored(role));
    world.carry_into_the_cellar();
    let armed = world.install(&bundle, world.now).await.unwrap();
    assert_eq!(version(&armed).0, "1.0.0");
    let after = ["root", "timestamp", "snapshot", "targets"].map(|role| world.stored(role));
    assert_eq!(stored, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_older_than_what_people_signed_since_is_refused() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 300_000));
    let (bundle, _) = world.bundle("a.bundle", &[]);
    world.release("1.1.0", &image(2, 300_000));
    world.updater().check(world.now).await.unwrap();
    world.carry_into_the_cellar();
    let refused = world.install(&bundle, world.now).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Metadata(MetadataError::Rollback { role, .. }) if role.as_str() == "router-x"),
        "{refused:?}"
    );
}

/// Pulls the medium out when so many bytes have come.
struct Pulling {
    bundle: PathBuf,
    after: u64,
}

impl Progress for Pulling {
    fn begin(&mut self, _what: &str, _length: u64) {}

    fn advance(&mut self, done: u64) {
        if done >= self.after {
            let file = std::fs::OpenOptions::new().write(true).open(&self.bundle);
            file.unwrap().set_len(1024).unwrap();
        }
    }

    fn end(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_that_is_pulled_out_is_an_interruption_that_the_next_run_goes_on_from() {
    let world = World::new().await;
    world.carry_into_the_cellar();
    let firmware = image(1, 6_000_000);
    world.release("1.0.0", &firmware);
    let (bundle, made) = world.bundle("a.bundle", &[]);
    let copy = world.path("copy.bundle");
    std::fs::copy(&bundle, &copy).unwrap();
    let mut pulling = Pulling {
        bundle: bundle.clone(),
        after: 4_000_000,
    };
    let mut updater: Updater = world.updater();
    let stopped = updater
        .install_bundle(&bundle, world.now, false, &mut pulling)
        .await
        .unwrap_err();
    assert!(
        matches!(stopped, Error::Transport(TransportError::BundleGone { .. })),
        "{stopped:?}"
    );
    assert!(stopped.may_pass());
    drop(updater);
    let armed = world.install(&copy, world.now).await.unwrap();
    let Outcome::Armed { downloaded, .. } = armed else {
        panic!("{armed:?}")
    };
    assert!(downloaded < made.payloads[0].bytes, "{downloaded}");
    assert!(holds(&world.slot(SlotName::B), &firmware));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_that_a_bundle_has_is_where_its_index_says() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 300_000));
    let (bundle, made) = world.bundle("a.bundle", &[]);
    let bytes = std::fs::read(&bundle).unwrap();
    let index = Index::read(&mut std::io::Cursor::new(&bytes)).unwrap();
    let published = world.path("repository/published");
    let mut compared = 0;
    for (path, place) in index
        .iter()
        .filter(|(path, _)| !path.ends_with("/bundle.json"))
    {
        let from = usize::try_from(place.offset).unwrap();
        let to = from + usize::try_from(place.length).unwrap();
        assert_eq!(
            bytes[from..to],
            std::fs::read(published.join(path)).unwrap(),
            "{path}"
        );
        compared += 1;
    }
    assert!(compared >= made.metadata_files + made.payloads.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_device_begins_with_a_bundle_under_the_rules_for_blank_devices() {
    let world = World::new().await;
    blank(&world);
    world.carry_into_the_cellar();
    world.release("1.0.0", &image(1, 300_000));
    let (bare, _) = world.bundle("bare.bundle", &[]);
    let refused = world.install(&bare, world.now).await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Bootstrap(BootstrapError::NoRevocationList { .. })
        ),
        "{refused:?}"
    );
    assert!(
        !world.path("device/state/metadata").exists(),
        "nothing was trusted"
    );
    publish_lists(&world);
    let (bundle, _) = world.bundle("a.bundle", &[]);
    let armed = world.install(&bundle, world.now).await.unwrap();
    assert_eq!(version(&armed).0, "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_bundle_brings_no_older_revocation_list() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 300_000));
    publish_lists(&world);
    let (bundle, _) = world.bundle("a.bundle", &[]);
    let lists = || -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = world.path("device/state/metadata/crls");
        let paths = std::fs::read_dir(folder).unwrap();
        let paths = paths.map(|entry| entry.unwrap().path());
        paths
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect()
    };
    world.updater().check(world.now).await.unwrap();
    let older = lists();
    let pki = PkiFolder::open(&world.path("pki")).unwrap();
    let pass = Passphrase::new("test");
    let mut ceremony = Ceremony {
        now: world.now,
        protection: Protection::Passphrase(&pass, ScryptCost::FAST),
        entropy: &mut SystemEntropy,
    };
    pki.write_crls(30, &mut ceremony).unwrap();
    publish_lists(&world);
    world.updater().check(world.now).await.unwrap();
    let newer = lists();
    assert_ne!(older, newer);
    world.carry_into_the_cellar();
    let armed = world.install(&bundle, world.now).await.unwrap();
    assert_eq!(version(&armed).0, "1.0.0");
    assert_eq!(lists(), newer);
}
