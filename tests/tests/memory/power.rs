//! The power fails between any two changes of the state folder: what is trusted never falls, and the next run finishes the job.
//!
//! `crash` kills a process within the changes, too.

use tests::simulator::{Delegation, Simulator};
use updater::bootstrap::{note, since};

use crate::device::{Device, certified, issue_all, issue_root, time};

const FLOORS: [&str; 3] = ["root", "timestamp", "snapshot"];

fn versions(device: &Device) -> [Option<u64>; 3] {
    FLOORS.map(|role| device.version(role))
}

/// A repository as it was, as it was when the device last saw it, and as it is now: two roots later, with other online keys,
/// and something new in every role.
fn histories() -> [Simulator; 3] {
    let mut repository = certified("2030-01-01");
    repository.delegate("targets", &Delegation::new("product", &["p/*"]).keys(2, 2));
    repository.add_target("product", "p/firmware", b"v1");
    repository.publish();
    let before = repository.clone();
    issue_all(&mut repository, "2030-01-02");
    let seen = repository.clone();
    for role in ["timestamp", "snapshot", "targets", "root"] {
        repository.rotate(role);
    }
    issue_root(&mut repository, "2030-01-03");
    repository.rotate("root");
    issue_root(&mut repository, "2030-01-04");
    repository.add_target("product", "p/firmware", b"v2");
    let pki = repository.pki().unwrap().clone();
    repository.add_crl(pki.root(), 2, &[]);
    repository.add_crl(pki.firmware(), 2, &[]);
    issue_all(&mut repository, "2030-01-05");
    [before, seen, repository]
}

#[test]
fn a_refresh_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let [mut before, mut seen, mut now] = histories();
    let mut device = Device::new(&mut seen);
    device.wanted = Some("p/firmware");
    device.system = time("2030-01-05");
    device.refresh(&mut seen).unwrap();
    let trusted = versions(&device);
    let whole = device.with_power_for(u64::MAX);
    whole.refresh(&mut now).unwrap();

    let mut changes = 0;
    loop {
        let cut = device.with_power_for(changes);
        let done = cut.refresh(&mut now).is_ok();
        let cut = cut.powered();
        let never_falls = |when: &str| {
            for ((role, trusted), found) in FLOORS.iter().zip(trusted).zip(versions(&cut)) {
                // Files of keys that were retired are deleted; nothing older takes their place.
                let deleted = found.is_none() && *role != "root";
                assert!(
                    deleted || found >= trusted,
                    "{changes} changes, {when}: {role} {found:?}"
                );
            }
        };
        never_falls("cut");
        let floor = cut.floor().time();
        // A mirror takes the chance to show what was there before.
        for old in [&mut before, &mut seen] {
            let shown = cut.with_power_for(u64::MAX);
            let trusted = versions(&shown);
            if shown.refresh(old).is_ok() {
                assert!(
                    versions(&shown) >= trusted,
                    "{changes} changes: an old mirror"
                );
                assert!(
                    shown.version("timestamp") >= Some(2),
                    "{changes} changes: an old mirror"
                );
            }
            assert!(shown.floor().time() >= floor.min(time("2030-01-04")));
        }
        cut.refresh(&mut now).unwrap();
        never_falls("finished");
        assert_eq!(cut.files(), whole.files(), "{changes} changes");
        if done {
            break;
        }
        changes += 1;
    }
    assert!(
        changes >= 15,
        "{changes} changes are too few for all that is new"
    );
}

#[test]
fn a_beginning_that_is_cut_off_anywhere_leaves_a_device_blank_or_begun() {
    let [_, _, mut now] = histories();
    let device = Device::new(&mut now);
    let mut changes = 0;
    loop {
        let cut = device.with_power_for(changes);
        let done = cut.begin(&mut now, 2).is_ok();
        let mut cut = cut.powered();
        let states = cut.states();
        if since(&states).unwrap().is_none() {
            assert!(
                !done && !cut.path("metadata/root.json").exists(),
                "{changes} changes"
            );
            states.tidy().unwrap();
            assert!(!cut.path("metadata.new").exists());
            cut.begin(&mut now, 2).unwrap();
        }
        cut.root = std::fs::read(cut.path("metadata/root.json")).unwrap();
        cut.refresh(&mut now).unwrap();
        note(&states, cut.system).unwrap();
        assert!(states.origin().unwrap().is_some(), "{changes} changes");
        if done {
            break;
        }
        changes += 1;
    }
    assert!(changes >= 15, "{changes} changes");
}

/// At somebody's word a device begins again: it then trusts what it did, or the new, or says that it has lost both.
#[test]
fn a_second_beginning_that_is_cut_off_anywhere_is_never_taken_for_the_first() {
    let [_, _, mut now] = histories();
    let device = Device::new(&mut now);
    device.begin(&mut now, 2).unwrap();
    let mut changes = 0;
    while device.with_power_for(changes).begin(&mut now, 2).is_err() {
        let cut = device.with_power_for(changes);
        assert!(cut.begin(&mut now, 2).is_err());
        let cut = cut.powered();
        let since = since(&cut.states());
        assert!(!matches!(since, Ok(None)), "{changes} changes");
        cut.begin(&mut now, 2).unwrap();
        changes += 1;
    }
    assert!(changes >= 15, "{changes} changes");
}
