//! Bundles that were changed on their way, made by the wrong people, or used where they do not belong.

use std::path::Path;

use device_pki::{FileKey, KeyAlgorithm, KeyPair, KeySource, SigningKey, SystemEntropy};
use metadata_schema::MetadataError;
use metadata_schema::envelope::Envelope;
use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use repo_tool::Repository;
use repo_tool::assemble::sign_role;
use tempfile::TempDir;
use updater::error::{Error, TransportError};
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::transport::folder::Folder;
use updater::trust::Trust;

use super::bundle::DAY;
use super::world::{World, image};

const STATEMENT: &str = "metadata/bundle.json";

/// A device without a network, and a bundle of 1.0.0.
async fn world() -> (World, std::path::PathBuf) {
    let world = World::new().await;
    world.carry_into_the_cellar();
    world.release("1.0.0", &image(1, 300_000));
    let (bundle, _) = world.bundle("honest.bundle", &[]);
    (world, bundle)
}

impl World {
    async fn refuses(&self, bundle: &Path) -> Error {
        self.refuses_at(bundle, self.now).await
    }

    async fn refuses_at(&self, bundle: &Path, system: Timestamp) -> Error {
        let refused = self.install(bundle, system).await.unwrap_err();
        let slot = self.slot(updater::slot::SlotName::B);
        assert!(
            slot.iter().all(|byte| *byte == 0),
            "{refused}: the slot was written"
        );
        refused
    }

    /// The statement of the bundle, signed by another key.
    fn signed_by(&self, bundle: &Path, name: &str, key: &dyn SigningKey) -> std::path::PathBuf {
        self.repacked(bundle, name, |folder| {
            let path = folder.join(STATEMENT);
            let envelope = Envelope::read(&RoleName::timestamp(), &std::fs::read(&path).unwrap());
            let signed = sign_role(envelope.unwrap().signed, &[key]).unwrap();
            std::fs::write(&path, signed.to_bytes()).unwrap();
        })
    }
}

fn said(error: &Error) -> String {
    error.in_one_line()
}

fn of_the_bundle(error: &Error) -> bool {
    matches!(error, Error::Metadata(MetadataError::Bundle { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_timestamp_role_did_not_sign() {
    let (world, bundle) = world().await;
    let stranger = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
    let stranger: FileKey = stranger.into_tuf_signer().unwrap();
    let repository = Repository::open(&world.path("repository")).unwrap();
    let snapshot = repository.online_key(&RoleName::snapshot()).unwrap();
    let keys: [(&str, &dyn SigningKey); 3] = [
        ("stranger", &stranger),
        ("snapshot", &*snapshot),
        // A signer of root, targets and the product, whoever revokes her.
        ("alice", &world.people[0]),
    ];
    for (name, key) in keys {
        let refused = world.refuses(&world.signed_by(&bundle, name, key)).await;
        assert!(of_the_bundle(&refused), "{name}: {refused:?}");
        assert!(
            said(&refused).contains("needs 1 signatures, 0 count"),
            "{refused:?}"
        );
    }
    // A timestamp that is passed off as a statement, and nonsense.
    let disguised = world.repacked(&bundle, "disguised", |folder| {
        std::fs::copy(
            folder.join("metadata/timestamp.json"),
            folder.join(STATEMENT),
        )
        .unwrap();
    });
    let refused = world.refuses(&disguised).await;
    assert!(
        said(&refused).contains("expected \"x-bundle\""),
        "{refused:?}"
    );
    let nonsense = world.repacked(&bundle, "nonsense", |folder| {
        std::fs::write(folder.join(STATEMENT), "a captive portal").unwrap();
    });
    let refused = world.refuses(&nonsense).await;
    assert!(matches!(
        refused,
        Error::Transport(TransportError::Otherwise { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_key_that_was_retired_makes_no_bundle_any_more() {
    let (world, bundle) = world().await;
    let folder = world.path("repository");
    let repository = Repository::open(&folder).unwrap();
    let old = std::fs::read(folder.join("online/timestamp.key")).unwrap();
    let kept = world.path("stolen.key");
    std::fs::write(&kept, old).unwrap();
    repository
        .rotate_online(&[RoleName::timestamp()], world.now, &mut SystemEntropy)
        .unwrap();
    super::world::sign_and_publish(&repository, &world.people, world.now);
    let (new, _) = world.bundle("new.bundle", &[]);
    let stolen = KeySource::File(kept).open_unattended().unwrap();
    let refused = world
        .refuses(&world.signed_by(&new, "stolen", &*stolen))
        .await;
    assert!(of_the_bundle(&refused), "{refused:?}");
    // The device has walked to the new root by now: the old bundle is void.
    let refused = world.refuses(&bundle).await;
    assert!(of_the_bundle(&refused), "{refused:?}");
    world.install(&new, world.now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beside_another_timestamp() {
    let (world, bundle) = world().await;
    let repository = Repository::open(&world.path("repository")).unwrap();
    repository.refresh(world.now, true).unwrap();
    let published = world.path("repository/published");
    let replayed = world.repacked(&bundle, "replayed", |folder| {
        for entry in std::fs::read_dir(published.join("metadata")).unwrap() {
            let entry = entry.unwrap();
            let to = folder.join("metadata").join(entry.file_name());
            std::fs::copy(entry.path(), to).unwrap();
        }
    });
    let late = world.now.plus_seconds(30 * DAY);
    let refused = world.refuses_at(&replayed, late).await;
    assert!(of_the_bundle(&refused), "{refused:?}");
    assert!(
        said(&refused).contains("not the file that was announced"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_signed_expires_in_a_bundle_as_anywhere() {
    let (world, bundle) = world().await;
    let repository = Repository::open(&world.path("repository")).unwrap();
    // Whoever has the timestamp key says that the bundle lasts for years.
    let key = repository.online_key(&RoleName::timestamp()).unwrap();
    let lasting = world.repacked(&bundle, "lasting", |folder| {
        let path = folder.join(STATEMENT);
        let text = std::fs::read_to_string(&path).unwrap();
        let expires = world.now.plus_seconds(90 * DAY).to_string();
        let text = text.replace(&expires, "2090-01-01T00:00:00Z");
        let envelope = Envelope::read(&RoleName::timestamp(), text.as_bytes()).unwrap();
        let signed = sign_role(envelope.signed, &[&*key]).unwrap();
        std::fs::write(&path, signed.to_bytes()).unwrap();
    });
    let late = world.now.plus_seconds(200 * DAY);
    let refused = world.refuses_at(&lasting, late).await;
    assert!(
        matches!(&refused, Error::Metadata(MetadataError::Expired { role, .. }) if role.as_str() == "targets"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_for_other_devices() {
    let (world, bundle) = world().await;
    let folder = world.path("device/updater.d");
    std::fs::write(folder.join("z.toml"), "[device]\nchannel = 'beta'\n").unwrap();
    let refused = world.refuses(&bundle).await;
    assert_eq!(
        refused.to_string(),
        "the bundle is for router-x/stable; this device takes router-x/beta"
    );
    assert!(refused.hint().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_off_or_changed_on_its_way() {
    let (world, bundle) = world().await;
    let whole = std::fs::read(&bundle).unwrap();
    let bad = world.path("bad.bundle");
    for length in [0, 1, 511, 512, 5000, whole.len() / 2, whole.len() - 1024] {
        std::fs::write(&bad, &whole[..length]).unwrap();
        let refused = world.refuses(&bad).await;
        assert!(matches!(
            refused,
            Error::Transport(TransportError::NoBundle { .. })
        ));
        assert!(
            said(&refused).contains("the copy is not whole"),
            "{refused:?}"
        );
    }
    // A bit in each kind of file: in its header, and in its content.
    let mut content = std::io::Cursor::new(&whole);
    let index = updater::transport::bundle::tar::Index::read(&mut content).unwrap();
    for (path, place) in index.iter() {
        let at = usize::try_from(place.offset).unwrap();
        let half = usize::try_from(place.length / 2).unwrap();
        for (what, byte) in [("header", at - 512 + 130), ("content", at + half)] {
            // The first root is in the firmware.
            if (path, what) == ("metadata/1.root.json", "content") {
                continue;
            }
            let mut changed = whole.clone();
            changed[byte] ^= 1;
            std::fs::write(&bad, &changed).unwrap();
            // What an earlier round has stored would not be looked at again.
            let _none_yet = std::fs::remove_dir_all(world.path("device/state"));
            let result = world.install(&bad, world.now).await;
            let refused = result.err().unwrap_or_else(|| panic!("{path}: {what}"));
            let expected = match (what, path.starts_with("targets/")) {
                ("header", _) => {
                    matches!(refused, Error::Transport(TransportError::NoBundle { .. }))
                }
                (_, true) => matches!(refused, Error::Target { .. } | Error::Payload { .. }),
                (_, false) => matches!(refused, Error::Metadata(_)),
            };
            assert!(expected, "{path}: {what}: {refused:?}");
        }
    }
    world.install(&bundle, world.now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_without_the_payload_says_what_is_missing() {
    let (world, bundle) = world().await;
    let bare = world.repacked(&bundle, "bare", |folder| {
        for entry in std::fs::read_dir(folder.join("targets/router-x")).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "full")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
    });
    let refused = world.refuses(&bare).await;
    assert!(
        matches!(&refused, Error::Missing { what } if what.ends_with(".full")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_on_a_server_is_never_asked_for() {
    let (world, bundle) = world().await;
    let published = world.path("repository/published");
    world.repacked(&bundle, "again", |folder| {
        std::fs::copy(folder.join(STATEMENT), published.join(STATEMENT)).unwrap();
    });
    let state = TempDir::new().unwrap();
    let store = MetadataStore::open(state.path()).unwrap();
    let mut server = Folder::new(&published);
    let mut client = Client {
        transport: &mut server,
        store: &store,
        trust: &Trust::Plain,
        limits: Limits::default(),
    };
    let root = std::fs::read(published.join("metadata/1.root.json")).unwrap();
    let late = world.now.plus_seconds(10 * DAY);
    let refused = client.refresh(&root, late).await.err().unwrap();
    assert!(
        matches!(&refused, Error::Metadata(MetadataError::Expired { role, .. }) if role.as_str() == "timestamp"),
        "{refused:?}"
    );
    let set = client.refresh(&root, world.now).await.unwrap();
    assert!(set.bundle().is_none());
    assert!(!server.asked().iter().any(|path| path == STATEMENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_lags_does_not_bring_back_a_bundle_whose_time_is_over() {
    let (world, bundle) = world().await;
    // The device has heard of a later time: a timestamp, and what people signed then.
    let later = world.now.plus_seconds(100 * DAY);
    let repository = Repository::open(&world.path("repository")).unwrap();
    repository
        .renew(&[RoleName::root(), RoleName::targets()], later)
        .unwrap();
    super::world::sign_and_publish(&repository, &world.people, later);
    let options = repo_tool::BundleOptions::default();
    let new = world.path("later.bundle");
    repository
        .bundle(&new, &options, later, &repo_tool::silent)
        .unwrap();
    world.install(&new, later).await.unwrap();
    world.updater().give_up(later).unwrap();
    let refused = world.install(&bundle, world.now).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Metadata(MetadataError::BundleExpired { now, .. }) if *now == later),
        "{refused:?}"
    );
}
