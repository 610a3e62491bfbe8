//! A blank device begins to trust a repository over the network: once, whole, and under current revocation lists.

use device_pki::{Authority, SerialNumber, Validity};
use metadata_schema::time::Timestamp;
use tests::simulator::{Fault, Pki, Plan, Simulator, crl_path};
use updater::bootstrap::since;
use updater::error::{Error, StoreError};

use crate::device::{Device, certified, issue_all, issue_root, text, time};

/// Three roots, the second and third by new keyholders.
fn three_roots() -> Simulator {
    let mut repository = certified("2030-01-01");
    for _ in 2..=3 {
        repository.rotate("root");
        issue_root(&mut repository, "2030-01-01");
    }
    issue_all(&mut repository, "2030-01-02");
    repository
}

fn assert_blank(device: &Device, why: &str) {
    let states = device.states();
    assert!(!device.path("metadata").exists(), "{why}");
    assert_eq!(since(&states).unwrap(), None, "{why}");
    assert_eq!(states.time_floor().unwrap(), None, "{why}");
}

/// That a blank device does not begin, and trusts nothing of what it was shown.
fn refused(repository: &mut Simulator, expected: &str) {
    let device = Device::new(repository);
    let why = text(device.begin(repository, 2));
    assert!(why.contains(expected), "expected {expected:?}: {why}");
    assert_blank(&device, expected);
}

#[test]
fn begins_with_the_version_that_its_firmware_names_and_goes_on_from_there() {
    let mut repository = three_roots();
    let device = Device::new(&mut repository);
    repository.take_requests();
    device.begin(&mut repository, 2).unwrap();
    let asked = repository.take_requests();
    assert_eq!(
        asked[..4],
        ["2.root", "3.root", "4.root", "timestamp"].map(|name| format!("metadata/{name}.json"))
    );
    assert_eq!(device.version("root"), Some(3));
    assert_eq!(since(&device.states()).unwrap(), Some(time("2030-01-01")));
    assert!(!device.path("metadata.new").exists());
    assert_eq!(device.floor().time(), time("2030-01-02"));

    let mut device = device;
    device.root = device_root(&device);
    device.refresh(&mut repository).unwrap();
    assert_eq!(
        repository.take_requests(),
        ["metadata/4.root.json", "metadata/timestamp.json"]
    );
}

fn device_root(device: &Device) -> Vec<u8> {
    std::fs::read(device.path("metadata/root.json")).unwrap()
}

#[test]
fn no_root_below_the_version_in_the_firmware() {
    let mut repository = three_roots();
    let device = Device::new(&mut repository);
    let old = repository.root().of_version(1).unwrap();
    repository.replace("metadata/2.root.json", &old);
    let why = text(device.begin(&mut repository, 2));
    assert!(
        why.contains("root metadata has version 1, expected 2"),
        "{why}"
    );
    repository.heal();
    let why = text(device.begin(&mut repository, 4));
    assert!(
        why.contains("root metadata v4, which a blank device begins with, is not on the server"),
        "{why}"
    );
    assert_blank(&device, "no root");
}

#[test]
fn people_of_another_ca_lead_nowhere() {
    let device = Device::new(&mut certified("2030-01-01"));
    let mut other = Simulator::new(Plan::new("other", time("2030-01-01")).with_pki());
    other.rotate("root");
    issue_root(&mut other, "2030-01-01");
    let why = text(device.begin(&mut other, 2));
    assert!(
        why.contains("root metadata needs 2 signatures, 0 count"),
        "{why}"
    );
    assert_blank(&device, "another CA");
}

#[test]
fn too_few_signatures_of_its_own_are_no_root() {
    let mut repository = certified("2030-01-01");
    let signers = repository.signers("root");
    repository.root().edit();
    repository.publish_root();
    repository.root().also_mut().clear();
    repository
        .signers_mut("root")
        .retain(|key| *key == signers[0]);
    refused(&mut repository, "root metadata needs 2 signatures, 1 count");
}

/// The firmware-signing CA's certificate, as the root CA's list names it.
fn ca_serial(pki: &Pki) -> SerialNumber {
    pki.firmware().certificate().serial().clone()
}

fn revoke(repository: &mut Simulator, ca: &Authority, serials: &[SerialNumber]) {
    repository.add_crl(ca, 2, serials);
    repository.publish();
}

#[test]
fn revoked_signers_lead_nowhere() {
    for role in ["root", "targets"] {
        let mut repository = three_roots();
        let pki = repository.pki().unwrap().clone();
        let signers = repository.signers(role);
        let serials: Vec<SerialNumber> = signers
            .iter()
            .take(2)
            .map(|key| repository.chain("root", key)[0].serial().clone())
            .collect();
        revoke(&mut repository, pki.firmware(), &serials);
        refused(&mut repository, "was revoked");
    }
    let mut repository = three_roots();
    let pki = repository.pki().unwrap().clone();
    revoke(&mut repository, pki.root(), &[ca_serial(&pki)]);
    refused(&mut repository, "was revoked");
}

/// Those who have left may be on the way, as long as others hold the end.
#[test]
fn revoked_signers_of_old_roots_do_no_harm() {
    let mut repository = certified("2030-01-01");
    let old = repository.signers("root");
    repository.rotate("root");
    issue_root(&mut repository, "2030-01-01");
    let pki = repository.pki().unwrap().clone();
    let first = repository.root().of_version(1).unwrap();
    let serials: Vec<SerialNumber> = {
        let mut before = certified("2030-01-01");
        assert_eq!(before.root().of_version(1).unwrap(), first);
        old.iter()
            .map(|key| before.chain("root", key)[0].serial().clone())
            .collect()
    };
    revoke(&mut repository, pki.firmware(), &serials);
    let device = Device::new(&mut repository);
    device.begin(&mut repository, 1).unwrap();
    assert_eq!(device.version("root"), Some(2));
}

#[test]
fn without_a_list_of_every_ca_nothing_is_believed() {
    let mut repository = three_roots();
    let pki = repository.pki().unwrap().clone();
    for ca in [pki.root(), pki.firmware()] {
        let mut without = repository.clone();
        let path = crl_path(ca);
        without.targets("pki").edit().targets.remove(&path);
        without.publish();
        let expected = format!("no revocation list of {}", ca.certificate().subject());
        refused(&mut without, &expected);
    }
    repository.targets("targets").edit().delegations = None;
    repository.publish();
    refused(&mut repository, "no revocation list of");
}

#[test]
fn an_overdue_list_is_no_list() {
    let mut repository = three_roots();
    let mut device = Device::new(&mut repository);
    // The lists are of the first of January, for thirty days.
    device.system = time("2030-01-31");
    device.begin(&mut repository, 2).unwrap();

    issue_root(&mut repository, "2030-02-20");
    issue_all(&mut repository, "2030-02-20");
    let mut device = Device::new(&mut repository);
    device.system = time("2030-02-20");
    let why = text(device.begin(&mut repository, 2));
    let expected = "was due to be replaced at 2030-01-31T00:00:00Z; it is 2030-02-20";
    assert!(why.contains(expected), "{why}");
    assert_blank(&device, expected);
}

/// Its firmware is of the first of January, and so are the lists: but something in the repository is of March.
#[test]
fn a_device_without_a_clock_holds_lists_against_all_that_is_signed() {
    let start = three_roots();
    let pki = start.pki().unwrap().clone();
    let march = time("2030-03-01");

    let mut issued = start.clone();
    issue_root(&mut issued, "2030-03-01");
    issue_all(&mut issued, "2030-03-01");

    let mut listed = start.clone();
    let list = Pki::crl(pki.root(), 2, march, &[]);
    listed.add_target("pki", &crl_path(pki.root()), list.der());
    listed.publish();

    let mut certified = start.clone();
    let key = certified.signers("targets").remove(0);
    let chain = pki.certify_for(&key, &["targets"], Validity::days(march, 365));
    certified.set_chain("root", &key, chain);
    certified.publish_root();

    for (what, mut repository) in [
        ("issued", issued),
        ("listed", listed),
        ("certified", certified),
    ] {
        let mut device = Device::new(&mut repository);
        device.system = Timestamp::EPOCH;
        let why = text(device.begin(&mut repository, 2));
        let expected = "was due to be replaced at 2030-01-31T00:00:00Z; it is 2030-03-01";
        assert!(why.contains(expected), "{what}: {why}");
        assert_blank(&device, what);
    }
    let mut device = Device::new(&mut start.clone());
    device.system = Timestamp::EPOCH;
    device.begin(&mut start.clone(), 2).unwrap();
}

#[test]
fn an_expired_end_is_no_beginning() {
    let mut repository = three_roots();
    let mut device = Device::new(&mut repository);
    device.system = time("2031-01-01");
    let why = text(device.begin(&mut repository, 2));
    assert!(why.contains("root metadata v3 expired"), "{why}");
    assert_blank(&device, "expired");
}

#[test]
fn without_an_anchor_there_is_no_beginning() {
    let mut repository = three_roots();
    let mut device = Device::new(&mut repository);
    device.trust = updater::trust::Trust::Plain;
    let why = text(device.begin(&mut repository, 2));
    assert!(why.contains("without a trust anchor"), "{why}");
    assert_blank(&device, "no anchor");
}

/// Whatever request the network fails at, the device is as blank as before; and then begins as if nothing had been.
#[test]
fn a_cut_at_any_request_leaves_a_blank_device() {
    let mut repository = three_roots();
    Device::new(&mut repository)
        .begin(&mut repository, 2)
        .unwrap();
    let mut asked = repository.take_requests();
    asked.retain(|name| repository.file(name).is_some());
    assert!(asked.len() >= 8, "{asked:?}");
    let device = Device::new(&mut repository);
    for name in asked {
        for fault in [Fault::Cut(10), Fault::Bytes([7].into())] {
            repository.heal().fault(&name, fault);
            assert!(device.begin(&mut repository, 2).is_err(), "{name}");
            assert_blank(&device, &name);
        }
    }
    repository.heal();
    device.begin(&mut repository, 2).unwrap();
}

/// The power fails between two steps of taking the place: the device is blank, or it has begun and the next run notes the rest.
#[test]
fn a_cut_while_it_takes_its_place_leaves_it_blank_or_begun() {
    let mut repository = three_roots();
    let device = Device::new(&mut repository);
    device.begin(&mut repository, 2).unwrap();
    // After the folder is in place, before floor and origin are stored.
    std::fs::remove_file(device.path("origin.json")).unwrap();
    std::fs::remove_file(device.path("time-floor.json")).unwrap();
    let states = device.states();
    assert!(since(&states).unwrap().is_some());
    updater::bootstrap::note(&states, time("2030-01-03")).unwrap();
    std::fs::remove_dir_all(device.path("metadata")).unwrap();
    assert!(matches!(since(&states), Err(StoreError::Lost { .. })));

    // Before it is in place: the remains of the last attempt are cleared away.
    let device = Device::new(&mut repository);
    std::fs::create_dir_all(device.path("metadata.new/crls")).unwrap();
    std::fs::write(device.path("metadata.new/timestamp.json"), b"{").unwrap();
    std::fs::create_dir_all(device.path("metadata/crls")).unwrap();
    assert_eq!(since(&device.states()).unwrap(), None);
    device.begin(&mut repository, 2).unwrap();
    assert_eq!(device.version("root"), Some(3));
}

#[test]
fn what_is_lost_later_is_an_error_until_somebody_begins_again() {
    let mut repository = three_roots();
    let device = Device::new(&mut repository);
    device.begin(&mut repository, 2).unwrap();
    std::fs::remove_dir_all(device.path("metadata")).unwrap();
    let lost = Error::from(since(&device.states()).unwrap_err());
    let message = lost.in_one_line();
    assert!(
        message.contains("is gone; this device has had it since 2030-01-01"),
        "{message}"
    );
    assert!(lost.hint().unwrap().contains("bootstrap --again"));
    device.begin(&mut repository, 2).unwrap();
    assert!(since(&device.states()).unwrap().is_some());
    // Damaged or pushed too far: what takes its place takes the floor's, too.
    std::fs::write(device.path("metadata/root.json"), b"{").unwrap();
    let pushed = r#"{"build":"2090-01-01T00:00:00Z"}"#;
    std::fs::write(device.path("time-floor.json"), pushed).unwrap();
    device.begin(&mut repository, 2).unwrap();
    assert_eq!(device.version("root"), Some(3));
    assert_eq!(device.floor().time(), time("2030-01-02"));
}
