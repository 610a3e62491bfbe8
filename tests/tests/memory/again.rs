//! A device begins again at somebody's word: the recovery from a stolen root threshold must not be the thieves' second chance.

use tests::simulator::{Simulator, crl_path};
use updater::bootstrap::First;

use crate::device::{Device, certified, issue_all, issue_root, text, time};

/// A repository whose root threshold was stolen, as it was and as it is: others hold root, and the thieves' certificates are
/// revoked.
fn stolen_and_mended() -> [Simulator; 2] {
    let mut repository = certified("2030-01-01");
    let stolen = repository.clone();
    let serials: Vec<_> = repository
        .signers("root")
        .iter()
        .map(|key| repository.chain("root", key)[0].serial().clone())
        .collect();
    repository.rotate("root");
    issue_root(&mut repository, "2030-01-02");
    let pki = repository.pki().unwrap().clone();
    repository.add_crl(pki.firmware(), 2, &serials);
    issue_all(&mut repository, "2030-01-02");
    [stolen, repository]
}

fn without_lists(repository: &Simulator) -> Simulator {
    let mut without = repository.clone();
    let pki = repository.pki().unwrap();
    for ca in [pki.root(), pki.firmware()] {
        without.targets("pki").edit().targets.remove(&crl_path(ca));
    }
    without.publish();
    without
}

#[test]
fn those_who_were_revoked_cannot_take_a_device_that_begins_again() {
    let [stolen, mut mended] = stolen_and_mended();
    let mut device = Device::new(&mut mended);
    device.system = time("2030-01-02");
    device.refresh(&mut mended).unwrap();
    let trusted = device.files();
    let root = device.root.clone();
    // Lists of before the theft are still current by their dates.
    for mut thieves in [without_lists(&stolen), stolen] {
        for first in [
            First::FactoryAgain(&root),
            First::Network(metadata_schema::name::Version::FIRST),
        ] {
            let why = text(device.begin_by(&mut thieves, first));
            assert!(why.contains("was revoked"), "{why}");
            let mut now = device.files();
            now.retain(|path, _| path.starts_with("metadata"));
            let mut before = trusted.clone();
            before.retain(|path, _| path.starts_with("metadata"));
            assert_eq!(now, before);
        }
    }
    device
        .begin_by(&mut mended, First::FactoryAgain(&root))
        .unwrap();
    assert_eq!(device.version("root"), Some(2));
}

/// Where its lists are gone, too, it is as blank as any.
#[test]
fn a_device_that_begins_again_asks_for_current_lists() {
    let [stolen, mut mended] = stolen_and_mended();
    let mut device = Device::new(&mut mended);
    let root = device.root.clone();
    let again = First::FactoryAgain(&root);
    let mut none = without_lists(&stolen);
    // The first time it needs none: nobody was revoked when its firmware was made.
    device.begin_by(&mut none, First::Factory(&root)).unwrap();
    let why = text(device.begin_by(&mut none, again));
    assert!(why.contains("no revocation list of"), "{why}");
    let mut later = mended.clone();
    issue_root(&mut later, "2030-03-01");
    issue_all(&mut later, "2030-03-01");
    device.system = time("2030-03-01");
    let why = text(device.begin_by(&mut later, again));
    assert!(why.contains("was due to be replaced"), "{why}");
    device.system = time("2030-01-02");
    device.begin_by(&mut mended, again).unwrap();
}

/// What is damaged is what one begins again for.
#[test]
fn damaged_lists_are_left_behind() {
    let [_, mut mended] = stolen_and_mended();
    let device = Device::new(&mut mended);
    device.refresh(&mut mended).unwrap();
    let lists: Vec<_> = std::fs::read_dir(device.path("metadata/crls"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(lists.len(), 2);
    std::fs::write(&lists[0], b"torn").unwrap();
    std::fs::create_dir(device.path("metadata/crls/folder.crl")).unwrap();
    let again = First::FactoryAgain(&device.root);
    device.begin_by(&mut mended, again).unwrap();
    assert_eq!(
        std::fs::read_dir(device.path("metadata/crls"))
            .unwrap()
            .count(),
        2
    );
}
