//! The power fails between any two changes of the state folder: what is trusted never falls, and the next run finishes the job.
//!
//! `crash` kills a process within the changes, too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tests::simulator::{Delegation, Simulator};
use updater::bootstrap::{note, since};
use updater::metadata_store::MetadataStore;

use crate::device::{Device, certified, copy_all, issue_all, issue_root, time};

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

/// At somebody's word a device begins again: it then trusts what it did, or the new, either of them whole.
#[test]
fn a_second_beginning_that_is_cut_off_anywhere_leaves_the_old_or_the_new() {
    let [_, mut seen, mut now] = histories();
    let mut device = Device::new(&mut now);
    device.system = time("2030-01-05");
    device.begin(&mut seen, 1).unwrap();
    let whole = device.with_power_for(u64::MAX);
    whole.begin(&mut now, 1).unwrap();
    let ends = [metadata(&device), metadata(&whole)];
    assert_ne!(ends[0], ends[1]);

    let mut changes = 0;
    let (mut found, mut aside) = ([false; 2], 0);
    loop {
        let cut = device.with_power_for(changes);
        let done = cut.begin(&mut now, 1).is_ok();
        let cut = cut.powered();
        aside += usize::from(cut.path("metadata.old").exists());
        // Whatever looks first: the start of a run, the question whether it is blank, or a refresh without either.
        let [tidied, asked, opened] = [(); 3].map(|()| cut.with_power_for(u64::MAX));
        tidied.states().tidy().unwrap();
        MetadataStore::open(&opened.path("metadata")).unwrap();
        for looked in [&tidied, &asked, &opened] {
            let begun = since(&looked.states());
            assert!(begun.unwrap().is_some(), "{changes} changes");
            let metadata = metadata(looked);
            let end = ends.iter().position(|end| *end == metadata);
            let end = end.unwrap_or_else(|| panic!("{changes} changes: neither old nor new"));
            found[end] = true;
            assert!(!looked.path("metadata.old").exists(), "{changes} changes");
        }
        assert!(!tidied.path("metadata.new").exists(), "{changes} changes");
        if done {
            break;
        }
        cut.begin(&mut now, 1).unwrap();
        assert_eq!(cut.files(), whole.files(), "{changes} changes");
        changes += 1;
    }
    assert!(changes >= 15, "{changes} changes");
    assert_eq!(
        (found, aside),
        ([true; 2], 2),
        "between each two of the three steps"
    );
}

/// Every file of trusted metadata.
fn metadata(device: &Device) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = device.files();
    files.retain(|path, _| path.starts_with("metadata"));
    files
}

/// The power fails again while the old folder goes back.
#[test]
fn a_way_back_that_is_cut_off_is_taken_again() {
    let [_, mut seen, _] = histories();
    let device = Device::new(&mut seen);
    device.begin(&mut seen, 1).unwrap();
    let trusted = device.files();
    let aside = device.path("metadata.old");
    for new in [false, true] {
        std::fs::rename(device.path("metadata"), &aside).unwrap();
        if new {
            // Removing what is over was cut off.
            copy_all(&aside, &device.path("metadata"));
            std::fs::remove_file(aside.join("timestamp.json")).unwrap();
        }
        let dead = device.with_power_for(0);
        assert!(since(&dead.states()).is_err() && dead.path("metadata.old").exists());
        assert!(since(&device.states()).unwrap().is_some());
        assert_eq!(device.files(), trusted);
    }
}
