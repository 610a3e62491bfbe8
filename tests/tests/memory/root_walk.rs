//! A root walk that is cut off goes on where it was, and never leads anywhere that an honest walk does not.

use device_pki::Validity;
use metadata_schema::time::Timestamp;
use tests::simulator::{Fault, Key, Pki, Simulator, crl_path};
use updater::error::Error;

use crate::device::{Device, certified, issue, issue_all, issue_root, repository, text, time};

/// Days that the certificates of passing keyholders are valid: two months before the repository began, and a day.
const SHORT: u32 = 61;

/// New keyholders for root, whose certificates have run out on the second day.
fn pass_root_on(repository: &mut Simulator) {
    repository.rotate("root");
    let pki = repository.pki().unwrap().clone();
    for key in repository.signers("root") {
        let chain = pki.certify_for(&key, &["root"], Validity::days(pki.start(), SHORT));
        repository.set_chain("root", &key, chain);
    }
    issue_root(repository, "2030-01-01");
}

/// Root versions 2 to `last`, of which only the last holds by itself on the fifth day.
fn long_way(repository: &mut Simulator, last: u64) {
    for _ in 2..last {
        pass_root_on(repository);
    }
    repository.rotate("root");
    issue_root(repository, "2030-01-05");
    issue_all(repository, "2030-01-05");
}

fn asked_roots(repository: &mut Simulator) -> Vec<u64> {
    let version = |name: &String| {
        let name = name.strip_prefix("metadata/")?;
        name.strip_suffix(".root.json")?.parse().ok()
    };
    repository
        .take_requests()
        .iter()
        .filter_map(version)
        .collect()
}

fn fifth_day(repository: &mut Simulator) -> Device {
    let mut device = Device::new(repository);
    device.system = time("2030-01-05");
    device.limits.root_rotations = 3;
    device
}

#[test]
fn a_walk_beyond_the_limit_takes_several_runs_and_asks_for_each_root_once() {
    let mut repository = certified("2030-01-01");
    long_way(&mut repository, 9);
    let device = fifth_day(&mut repository);
    for (asked, came_to) in [([2, 3, 4], 4), ([5, 6, 7], 7)] {
        let error = device.refresh(&mut repository).err().unwrap();
        let Error::WalkCut { version, .. } = &error else {
            panic!("{}", error.in_one_line())
        };
        assert_eq!(version.number(), came_to);
        assert_eq!(asked_roots(&mut repository), asked);
        // What does not hold by itself is not trusted, however far the walk has come.
        assert_eq!(device.version("root"), None);
    }
    assert_eq!(device.history().len(), 6);
    device.refresh(&mut repository).unwrap();
    assert_eq!(asked_roots(&mut repository), [8, 9, 10]);
    assert_eq!(device.version("root"), Some(9));
    assert!(device.history().is_empty(), "{:?}", device.history());
    device.refresh(&mut repository).unwrap();
    assert_eq!(asked_roots(&mut repository), [10]);
}

/// Where the root in the middle does hold, it is trusted there and then.
#[test]
fn a_cut_walk_confirms_what_holds() {
    let mut repository = repository("2030-01-01");
    for _ in 2..=5 {
        repository.rotate("root");
        issue_root(&mut repository, "2030-01-01");
    }
    let mut device = Device::new(&mut repository);
    device.limits.root_rotations = 3;
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("root"), Some(4));
    assert!(device.history().is_empty());
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("root"), Some(5));
}

#[test]
fn a_walk_that_the_network_cut_off_goes_on_where_it_was() {
    let mut repository = repository("2030-01-01");
    for _ in 2..=6 {
        repository.rotate("root");
        issue_root(&mut repository, "2030-01-01");
    }
    let device = Device::new(&mut repository);
    repository.fault("metadata/5.root.json", Fault::Cut(100));
    assert!(device.refresh(&mut repository).is_err());
    assert_eq!(device.version("root"), None, "the walk has not ended");
    repository.heal().take_requests();
    device.refresh(&mut repository).unwrap();
    assert_eq!(asked_roots(&mut repository), [5, 6, 7]);
    assert_eq!(device.version("root"), Some(6));
}

/// The online keys were stolen and pushed to version 1000; root retires them in a step that an earlier run has walked.
#[test]
fn fast_forward_recovery_survives_the_cut() {
    let mut repository = certified("2030-01-01");
    let device = fifth_day(&mut repository);
    let mut thief = repository.stolen(&["timestamp", "snapshot"]);
    thief.snapshot().set_version(1000);
    thief.timestamp().set_version(1000);
    thief.publish_snapshot();
    device.refresh(&mut thief).unwrap();
    assert_eq!(device.version("timestamp"), Some(1001));

    repository.rotate("timestamp").rotate("snapshot");
    long_way(&mut repository, 6);
    assert!(matches!(
        device.refresh(&mut repository),
        Err(Error::WalkCut { .. })
    ));
    assert_eq!(device.version("timestamp"), Some(1001));
    device.refresh(&mut repository).unwrap();
    let honest = repository.timestamp().version();
    assert_eq!(device.version("timestamp"), Some(honest));
    assert_eq!(device.version("root"), Some(6));
}

/// Nor does it depend on the keys' staying away: what was out of force once is retired.
#[test]
fn a_key_that_was_retired_and_came_back_is_not_trusted_with_its_past() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    let old = repository.signers("timestamp")[0].clone();
    let mut thief = repository.stolen(&["timestamp"]);
    thief.timestamp().set_version(1000);
    device.refresh(&mut thief).unwrap();
    let new = repository.add_key("timestamp");
    repository.remove_key("timestamp", &old);
    issue_root(&mut repository, "2030-01-02");
    repository.authorise("root", "timestamp", &old);
    repository.remove_key("timestamp", &new);
    repository.signers_mut("timestamp").push(old);
    issue_root(&mut repository, "2030-01-03");
    repository.publish();
    device.refresh(&mut repository).unwrap();
    assert!(device.version("timestamp") < Some(1000));
}

/// Old keyholders whose certificates have run out can make steps. They must not keep a device on their way.
#[test]
fn a_thief_of_expired_root_keys_does_not_lead_a_device_astray_for_good() {
    let mut repository = certified("2030-01-01");
    pass_root_on(&mut repository);
    let mut device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("root"), Some(2));
    let expired: Vec<Key> = repository.signers("root");
    device.system = time("2030-01-05");

    let mut thief = repository.clone();
    for _ in 3..=7 {
        issue(thief.root(), "2030-01-05");
        thief.publish_root();
    }
    repository.rotate("root");
    issue_root(&mut repository, "2030-01-05");
    issue_all(&mut repository, "2030-01-05");
    assert_ne!(repository.signers("root"), expired);

    device.limits.root_rotations = 3;
    // The thief's walk goes on after three steps, and so is kept.
    let error = device.refresh(&mut thief).err().unwrap();
    assert!(matches!(error, Error::WalkCut { .. }), "{error}");
    assert_eq!(device.history().len(), 3);
    // The honest repository has no sixth root: the kept steps lead nowhere, and the walk begins again.
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("root"), Some(3));
    assert!(device.history().is_empty());
}

/// A root that retires online keys takes their word out of the floor, but not back to when its signers' certificates held: the
/// CAs have witnessed a later day. The device's own clock is behind.
#[test]
fn expired_root_keys_do_not_take_the_time_back_to_when_they_held() {
    let mut repository = certified("2030-01-01");
    pass_root_on(&mut repository);
    let pki = repository.pki().unwrap().clone();
    let list = Pki::crl(pki.firmware(), 2, time("2030-01-04"), &[]);
    repository.add_target("pki", &crl_path(pki.firmware()), list.der());
    issue_all(&mut repository, "2030-01-05");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.floor().time(), time("2030-01-05"));

    let mut thief = repository.clone();
    thief.rotate("timestamp");
    issue_root(&mut thief, "2030-01-01");
    thief.publish();
    let refused = text(device.refresh(&mut thief));
    assert!(refused.contains("expired on 2030-01-02"), "{refused}");
    assert_eq!(device.version("root"), Some(2));
    assert_eq!(device.floor().time(), time("2030-01-05"));
}

#[test]
fn a_walk_whose_end_does_not_hold_is_forgotten() {
    let mut repository = certified("2030-01-01");
    let mut device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    pass_root_on(&mut repository);
    device.system = time("2030-01-05");
    let refused = text(device.refresh(&mut repository));
    assert!(refused.contains("expired on 2030-01-02"), "{refused}");
    assert!(device.history().is_empty());
    assert_eq!(device.version("root"), Some(1));
}

/// Steps that were kept are verified like new ones: a damaged one is fetched again, with all that follow.
#[test]
fn damaged_steps_are_fetched_again() {
    for damage in [&b""[..], b"{", b"another file", &[0; 100]] {
        let mut repository = certified("2030-01-01");
        long_way(&mut repository, 7);
        let device = fifth_day(&mut repository);
        assert!(matches!(
            device.refresh(&mut repository),
            Err(Error::WalkCut { .. })
        ));
        repository.take_requests();
        std::fs::write(device.path("metadata/root_history/3.root.json"), damage).unwrap();
        assert!(matches!(
            device.refresh(&mut repository),
            Err(Error::WalkCut { .. })
        ));
        assert_eq!(asked_roots(&mut repository), [3, 4, 5]);
        device.refresh(&mut repository).unwrap();
        assert_eq!(device.version("root"), Some(7));
    }
}

/// A file that somebody puts into the history is no step, whoever signed it.
#[test]
fn a_foreign_step_proves_nothing() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let mut stranger = Simulator::new(tests::simulator::Plan::new("other", time("2030-01-01")));
    stranger.publish_root();
    let history = device.path("metadata/root_history");
    let foreign = stranger.root().of_version(2).unwrap();
    std::fs::write(history.join("2.root.json"), &foreign).unwrap();
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("root"), Some(1));
    assert!(device.history().is_empty());
}

/// Versions that the threshold's raising leaves behind: the old file is dropped, not taken for damaged.
#[test]
fn a_raised_threshold_does_not_make_the_old_files_damaged() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    repository.add_key("timestamp");
    repository.set_threshold("timestamp", 2);
    issue_root(&mut repository, "2030-01-02");
    issue_all(&mut repository, "2030-01-02");
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("timestamp"), Some(2));
}

/// New firmware brings a root that is newer than the stored one, past a rotation of the online keys.
#[test]
fn a_newer_factory_root_retires_keys_like_a_walk() {
    let mut repository = repository("2030-01-01");
    let mut device = Device::new(&mut repository);
    // The stolen key signs together with one that stays in force.
    repository.add_key("timestamp");
    issue_root(&mut repository, "2030-01-01");
    let mut thief = repository.clone();
    thief.timestamp().set_version(1000);
    device.refresh(&mut thief).unwrap();
    let stolen = repository.signers("timestamp")[0].clone();
    repository.remove_key("timestamp", &stolen);
    issue_root(&mut repository, "2030-01-02");
    repository.publish();
    device.root = repository.root().of_version(3).unwrap().to_vec();
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.version("root"), Some(3));
    assert!(device.version("timestamp") < Some(1000));
    assert_eq!(asked_roots(&mut repository), [4]);
}

/// A root that expires is stored all the same: the next run starts from there.
#[test]
fn an_expired_end_is_confirmed_and_refused() {
    let mut repository = repository("2030-01-01");
    let mut device = Device::new(&mut repository);
    issue_root(&mut repository, "2030-01-02");
    device.system = time("2031-06-01");
    let refused = text(device.refresh(&mut repository));
    assert!(refused.contains("root metadata v2 expired"), "{refused}");
    assert_eq!(device.version("root"), Some(2));
    assert!(device.floor().time() < Timestamp::MAX);
}
