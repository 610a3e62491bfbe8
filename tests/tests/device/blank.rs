//! A device without root metadata begins by itself, once; and again only at somebody's word.

use device_pki::CaKind;
use device_pki::folder::PkiFolder;
use repo_tool::Repository;
use updater::error::{BootstrapError, Error, StoreError};
use updater::progress::Silent;
use updater::{Outcome, Updater};

use crate::world::{World, image};

/// The device's firmware brings no root metadata, only the version that it begins with.
pub(super) fn blank(world: &World) {
    let path = world.path("device/updater.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let factory = "root = \"../repository/published/metadata/1.root.json\"";
    assert!(text.contains(factory));
    let network = "bootstrap = { minimum_root_version = 1 }";
    std::fs::write(&path, text.replace(factory, network)).unwrap();
}

pub(super) fn publish_lists(world: &World) {
    let pki = PkiFolder::open(&world.path("pki")).unwrap();
    let list = |kind: CaKind| {
        let bytes = std::fs::read(pki.crl_path(kind).unwrap()).unwrap();
        (format!("{kind:?}"), bytes)
    };
    let lists = [list(CaKind::Root), list(CaKind::FirmwareSigning)];
    let repository = Repository::open(&world.path("repository")).unwrap();
    repository.add_crls(&lists, world.now).unwrap();
    repository.publish(world.now).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_device_begins_by_itself_once() {
    let world = World::new().await;
    blank(&world);
    world.release("1.0.0", &image(1, 100_000));
    let error = world.once().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Bootstrap(BootstrapError::NoRevocationList { .. })
        ),
        "{}",
        error.in_one_line()
    );
    let metadata = world.path("device/state/metadata");
    assert!(!metadata.exists(), "nothing was trusted");

    publish_lists(&world);
    assert_eq!(world.update().await.0, "1.0.0");
    let outcome = world.once().await.unwrap();
    assert!(
        matches!(outcome, Outcome::NothingToDo { .. }),
        "{outcome:?}"
    );
    let again = world.updater().bootstrap(false, world.now).await;
    let not_blank = |e: &Error| matches!(e, Error::Bootstrap(BootstrapError::NotBlank { .. }));
    assert!(again.is_err_and(|e| not_blank(&e)));

    // What is lost is not begun by itself a second time.
    std::fs::remove_dir_all(&metadata).unwrap();
    for _ in 0..2 {
        let error = world.once().await.unwrap_err();
        assert!(
            matches!(error, Error::Store(StoreError::Lost { .. })),
            "{}",
            error.in_one_line()
        );
        assert!(!metadata.exists());
    }
    world.updater().bootstrap(true, world.now).await.unwrap();
    world.once().await.unwrap();
}

/// The same holds for a device whose firmware brought root metadata: it does not start afresh because a folder is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_lost_its_metadata_does_not_start_afresh() {
    let world = World::new().await;
    world.once().await.unwrap();
    std::fs::remove_dir_all(world.path("device/state/metadata")).unwrap();
    let mut updater: Updater = world.updater();
    let error = updater.once(world.now, &mut Silent).await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Lost { .. })));
    // Nor can those who were revoked since lead it at the reset.
    let error = updater.bootstrap(true, world.now).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Bootstrap(BootstrapError::NoRevocationList { .. })
        ),
        "{}",
        error.in_one_line()
    );
    publish_lists(&world);
    updater.bootstrap(true, world.now).await.unwrap();
    updater.once(world.now, &mut Silent).await.unwrap();
}
