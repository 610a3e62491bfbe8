//! The reference time and its floor, through whole refreshes.

use metadata_schema::time::Timestamp;
use proptest::prelude::*;
use tests::simulator::{Fault, Simulator};
use updater::clock::{Source, Word};

use crate::device::{Device, certified, issue, issue_all, issue_root, repository, text, time};

/// A thief's copy, whose metadata he dates as he likes.
fn stolen(honest: &Simulator, roles: &[&str], day: &str) -> Simulator {
    let mut thief = honest.stolen(roles);
    for role in roles {
        match *role {
            "timestamp" => issue(thief.timestamp(), day),
            "snapshot" => issue(thief.snapshot(), day),
            role => issue(thief.targets(role), day),
        }
    }
    if roles.contains(&"targets") {
        thief.publish_targets("targets");
    }
    thief.publish_snapshot();
    thief
}

const ONLINE: [&str; 2] = ["timestamp", "snapshot"];

#[test]
fn a_device_without_a_clock_goes_by_what_was_signed() {
    let mut repository = repository("2030-01-01");
    let mut device = Device::new(&mut repository);
    device.system = Timestamp::EPOCH;
    let first = device.refresh(&mut repository).unwrap();
    assert_eq!(
        first.reference,
        (time("2030-01-01"), Source::Floor(Word::BuildTime))
    );
    issue_root(&mut repository, "2030-01-02");
    issue_all(&mut repository, "2030-01-10");
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.floor().latest(), (time("2030-01-10"), Word::Targets));
    // What expired by then is known to have.
    let next = device.refresh(&mut repository).unwrap();
    assert_eq!(
        next.reference,
        (time("2030-01-10"), Source::Floor(Word::Targets))
    );
}

#[test]
fn a_clock_before_everything_does_not_lock_a_device_out() {
    let mut repository = certified("2030-01-01");
    let mut device = Device::new(&mut repository);
    // Not even the firmware knows when it was built: every certificate is of the future.
    (device.built, device.system) = (Timestamp::EPOCH, Timestamp::EPOCH);
    let first = device.refresh(&mut repository).unwrap();
    assert_eq!(first.reference.0, Timestamp::EPOCH);
    assert_eq!(device.floor().time(), time("2030-01-01"));
}

#[test]
fn a_clock_years_ahead_leaves_nothing_behind_when_it_is_corrected() {
    let mut repository = certified("2030-01-01");
    let mut device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let floor = device.floor();
    device.system = time("2040-01-01");
    let refused = text(device.refresh(&mut repository));
    assert!(refused.contains("expired on 2031"), "{refused}");
    assert_eq!(device.floor(), floor);
    device.system = time("2030-01-02");
    let corrected = device.refresh(&mut repository).unwrap();
    assert_eq!(
        corrected.reference,
        (time("2030-01-02"), Source::SystemClock)
    );
}

#[test]
fn a_person_whose_clock_is_years_ahead_does_no_harm() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    issue(repository.root(), "2045-01-01");
    repository.publish_root();
    issue(repository.targets("targets"), "2045-01-01");
    repository.publish();
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.floor().time(), time("2030-01-01"));
}

#[test]
fn the_floor_rises_although_the_rest_of_the_refresh_fails() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    issue_root(&mut repository, "2030-01-03");
    issue_all(&mut repository, "2030-01-05");
    repository.fault("metadata/2.snapshot.json", Fault::Missing);
    assert!(device.refresh(&mut repository).is_err());
    assert_eq!(
        device.floor().latest(),
        (time("2030-01-05"), Word::Timestamp),
        "root of the 3rd, and a timestamp of the 5th"
    );
    repository.heal();
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.floor().latest(), (time("2030-01-05"), Word::Targets));
}

#[test]
fn stolen_online_keys_push_by_a_week_and_root_takes_it_back() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    for _run in 0..3 {
        let mut thief = stolen(&repository, &ONLINE, "2090-01-01");
        device.refresh(&mut thief).unwrap();
        assert_eq!(device.floor().time(), time("2030-01-08"));
    }
    repository.rotate("timestamp").rotate("snapshot");
    issue_root(&mut repository, "2030-01-03");
    issue_all(&mut repository, "2030-01-04");
    let after = device.refresh(&mut repository).unwrap();
    assert_eq!(
        after.reference.0,
        time("2030-01-03"),
        "settled at the end of the walk, and not moved by the timestamp"
    );
    assert_eq!(device.floor().time(), time("2030-01-04"));
}

/// With certificates, too, which have all run out by the time that the thief pushes the floor to.
#[test]
fn a_thief_of_targets_and_online_keys_is_undone_by_a_rotation() {
    for mut repository in [repository("2030-01-01"), certified("2030-01-01")] {
        let mut device = Device::new(&mut repository);
        device.system = time("2030-01-05");
        device.refresh(&mut repository).unwrap();
        let roles = ["targets", "timestamp", "snapshot"];
        let mut thief = stolen(&repository, &roles, "2090-01-01");
        device.refresh(&mut thief).unwrap();
        assert_eq!(device.floor().latest(), (time("2090-01-01"), Word::Targets));
        // Everything has expired now, and stays so while the keys are in force.
        issue_all(&mut repository, "2030-01-06");
        assert!(device.refresh(&mut repository).is_err());
        issue_root(&mut repository, "2030-01-07");
        assert!(device.refresh(&mut repository).is_err());
        assert_eq!(device.floor().time(), time("2090-01-01"));

        for role in roles {
            repository.rotate(role);
        }
        issue_root(&mut repository, "2030-01-08");
        issue_all(&mut repository, "2030-01-09");
        let after = device.refresh(&mut repository).unwrap();
        assert_eq!(after.reference.0, time("2030-01-08"));
        assert_eq!(device.floor().time(), time("2030-01-09"));
    }
}

/// The walk's own judgement uses what the walk has found: the thief's floor is gone before root's expiry is asked for.
#[test]
fn the_root_that_lowers_the_floor_is_judged_by_the_lowered_floor() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let roles = ["targets", "timestamp", "snapshot"];
    let mut thief = stolen(&repository, &roles, "2090-01-01");
    device.refresh(&mut thief).unwrap();
    for role in roles {
        repository.rotate(role);
    }
    // Expired by the floor that is left, too: then it is stored, and nothing that it says is followed.
    issue_root(&mut repository, "2028-01-01");
    let refused = text(device.refresh(&mut repository));
    assert!(
        refused.contains(
            "root metadata v2 expired at 2028-12-31T00:00:00Z; the reference time is 2030-01-01"
        ),
        "{refused}"
    );
    assert_eq!(device.version("root"), Some(2));
    assert_eq!(device.floor().time(), time("2030-01-01"));
}

#[test]
fn a_mirror_that_shows_an_old_rotation_again_does_not_lower_the_floor_again() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    repository
        .rotate("targets")
        .rotate("timestamp")
        .rotate("snapshot");
    issue_root(&mut repository, "2030-01-02");
    issue_all(&mut repository, "2030-01-03");
    let mut old = repository.clone();
    device.refresh(&mut repository).unwrap();
    issue_all(&mut repository, "2030-03-01");
    device.refresh(&mut repository).unwrap();
    let floor = device.floor();
    assert_eq!(floor.time(), time("2030-03-01"));
    // The old state, whole; and the same once more for a run that was cut off before it stored anything else.
    assert!(device.refresh(&mut old).is_err());
    assert_eq!(device.floor(), floor);
    let root = std::fs::read(device.path("metadata/root.json")).unwrap();
    assert_eq!(root, repository.root().bytes().to_vec());
    device.refresh(&mut repository).unwrap();
    assert_eq!(device.floor(), floor);
}

/// The power fails after the lowered floor is stored and before the root is: the next run does the same again.
#[test]
fn a_rotation_that_was_cut_off_lowers_the_floor_no_further() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let before = std::fs::read(device.path("metadata/root.json")).unwrap();
    let roles = ["targets", "timestamp", "snapshot"];
    device
        .refresh(&mut stolen(&repository, &roles, "2090-01-01"))
        .unwrap();
    for role in roles {
        repository.rotate(role);
    }
    issue_root(&mut repository, "2030-01-02");
    repository.fault("metadata/timestamp.json", Fault::Status(503));
    assert!(device.refresh(&mut repository).is_err());
    let lowered = device.floor();
    std::fs::write(device.path("metadata/root.json"), before).unwrap();
    assert!(device.refresh(&mut repository).is_err());
    assert_eq!(device.floor(), lowered);
}

#[test]
fn a_file_of_the_former_form_is_read() {
    let mut repository = repository("2030-01-01");
    let device = Device::new(&mut repository);
    let former = r#"{"people":"2030-01-09T00:00:00Z","online":"2030-01-10T00:00:00Z"}"#;
    std::fs::write(device.path("time-floor.json"), former).unwrap();
    let run = device.refresh(&mut repository).unwrap();
    assert_eq!(
        run.reference,
        (time("2030-01-10"), Source::Floor(Word::Timestamp))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever people and thieves say, in whatever order, and whatever the system clock says.
    #[test]
    fn without_rotation_the_floor_never_falls(
        steps in proptest::collection::vec((0..4_usize, 1_i64..3000, 0_i64..4000), 1..8),
    ) {
        let mut repository = repository("2030-01-01");
        let mut device = Device::new(&mut repository);
        let day = |days: i64| time("2029-01-01").plus_seconds(days * 86_400).to_string()[..10].to_owned();
        for (what, issued, system) in steps {
            device.system = time(&day(system));
            let issued = day(issued);
            match what {
                0 => issue_root(&mut repository, &issued),
                1 => issue_all(&mut repository, &issued),
                2 => repository = stolen_and_back(&repository, &issued),
                _ => {
                    issue(repository.timestamp(), &issued);
                    repository.publish_timestamp();
                }
            }
            let before = device.floor();
            let _accepted_or_not = device.refresh(&mut repository);
            prop_assert!(device.floor().time() >= before.time());
        }
    }
}

/// What a thief of targets and online keys publishes, with all keys left where they were.
fn stolen_and_back(repository: &Simulator, day: &str) -> Simulator {
    let mut both = repository.clone();
    issue(both.targets("targets"), day);
    both.publish();
    issue(both.timestamp(), "2099-01-01");
    both.publish_timestamp();
    both
}
