//! Wrong clocks, wrong words and stolen keys, one after the other.

use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn built(day: &str) -> TimeFloor {
    TimeFloor::factory(time(day))
}

/// Issued on these days by root, targets and timestamp; `-` is nothing said.
fn issued(root: &str, targets: &str, timestamp: &str) -> Issued {
    let day = |day: &str| (day != "-").then(|| time(day));
    Issued {
        root: day(root),
        targets: day(targets),
        timestamp: day(timestamp),
    }
}

fn retired(roles: &[&str]) -> Retired {
    let mut retired = Retired::default();
    retired.timestamp = roles.contains(&"timestamp");
    retired.targets = roles.contains(&"targets");
    retired
}

#[test]
fn a_clock_that_says_1970_is_before_the_floor() {
    let floor = built("2026-01-01");
    let by_build_time = (floor.time(), Source::Floor(Word::BuildTime));
    assert_eq!(floor.reference(Timestamp::EPOCH), by_build_time);
    let floor = floor.raised(issued("2026-02-01", "2026-03-01", "2026-03-02"));
    assert_eq!(
        floor.reference(Timestamp::EPOCH),
        (time("2026-03-02"), Source::Floor(Word::Timestamp))
    );
}

#[test]
fn everything_may_lie_before_everything() {
    // No build time, no clock, and metadata from before 1970.
    let floor = TimeFloor::factory(Timestamp::EPOCH);
    let old = issued("1960-01-01", "1961-01-01", "1962-01-01");
    assert_eq!(floor.raised(old).time(), Timestamp::EPOCH);
    let reference = floor.raised(old).reference(time("0001-01-01"));
    assert_eq!(
        reference,
        (Timestamp::EPOCH, Source::Floor(Word::BuildTime))
    );
}

#[test]
fn a_clock_years_ahead_leaves_nothing_behind() {
    let floor = built("2026-01-01");
    let ahead = floor.reference(time("2040-01-01"));
    assert_eq!(ahead, (time("2040-01-01"), Source::SystemClock));
    let corrected = floor.reference(time("2026-05-01"));
    assert_eq!(corrected, (time("2026-05-01"), Source::SystemClock));
}

#[test]
fn a_person_whose_clock_is_years_ahead_does_no_harm() {
    let floor = built("2026-01-01");
    for wrong in [
        issued("2035-01-01", "2026-04-01", "2026-05-01"),
        issued("2026-04-01", "2035-01-01", "2026-05-01"),
    ] {
        assert_eq!(floor.raised(wrong).time(), time("2026-05-01"));
    }
    // Nor one that is years behind, nor a file that does not say when it was issued.
    let behind = floor.raised(issued("1999-01-01", "-", "2026-01-03"));
    assert_eq!(behind.latest(), (time("2026-01-03"), Word::Timestamp));
    assert_eq!(floor.raised(issued("2030-01-01", "2030-01-01", "-")), floor);
}

#[test]
fn stolen_online_keys_push_by_a_step_in_total() {
    let mut floor = built("2026-01-01");
    for _run in 0..100 {
        floor = floor.raised(issued("2025-12-01", "2025-12-01", "2090-01-01"));
    }
    assert_eq!(floor.time(), time("2026-01-08"));
    // And are forgotten when root retires them.
    let back = floor.without(retired(&["timestamp"]), Some(time("2026-01-02")), None);
    assert_eq!(back.time(), time("2026-01-02"));
    let honest = back.raised(issued("2026-01-02", "2026-01-01", "2026-01-03"));
    assert_eq!(honest.time(), time("2026-01-03"));
}

#[test]
fn what_stolen_targets_and_online_keys_did_is_undone_by_retiring_either() {
    let honest = built("2026-01-01").raised(issued("2026-01-02", "2026-02-01", "2026-02-02"));
    let pushed = honest.raised(issued("2026-01-02", "2090-01-01", "2090-01-01"));
    assert_eq!(pushed.latest(), (time("2090-01-01"), Word::Targets));
    let (said, build) = (Some(time("2026-03-01")), time("2026-01-01"));
    for (roles, issued, expected) in [
        (&["targets", "timestamp"][..], said, time("2026-03-01")),
        // The online keys are still the thief's: they keep their step.
        (&["targets"], said, time("2026-03-08")),
        (&["timestamp"], said, time("2026-03-01")),
        // A root that does not say when it was issued, or before the firmware was built.
        (
            &["targets", "timestamp"],
            None,
            time("2026-01-02").min(build),
        ),
        (&["targets", "timestamp"], Some(time("2020-01-01")), build),
        // Nothing that the thief stood on was retired.
        (&[], said, time("2090-01-01")),
    ] {
        let after = pushed.without(retired(roles), issued, None);
        assert_eq!(after.time(), expected, "{roles:?} {issued:?}");
    }
}

#[test]
fn a_wrong_clock_that_stolen_online_keys_bore_out_is_undone_with_them() {
    // One keyholder of root wrote 2035 in good faith, and a thief's timestamp agrees.
    let pushed = built("2026-01-01").raised(issued("2035-01-01", "2026-02-01", "2035-01-01"));
    assert_eq!(pushed.latest(), (time("2035-01-01"), Word::Root));
    let after = pushed.without(retired(&["timestamp"]), Some(time("2026-03-01")), None);
    assert_eq!(after.time(), time("2026-03-01"));
}

#[test]
fn a_rotation_does_not_lower_what_was_said_before_it() {
    let floor = built("2026-01-01").raised(issued("2026-01-02", "2026-02-01", "2026-02-02"));
    let all = retired(&["targets", "timestamp"]);
    assert_eq!(floor.without(all, Some(time("2026-03-01")), None), floor);
}

#[test]
fn newer_firmware_raises_and_older_does_not_lower() {
    let floor = built("2026-01-01").at_least(time("2026-06-01"));
    assert_eq!(floor.latest(), (time("2026-06-01"), Word::BuildTime));
    assert_eq!(floor.at_least(time("2026-01-01")), floor);
}

#[test]
fn reads_the_former_form_and_what_it_writes() {
    let former = r#"{"people":"2026-05-01T00:00:00Z","online":"2026-05-02T00:00:00Z"}"#;
    let floor: TimeFloor = serde_json::from_str(former).unwrap();
    assert_eq!(floor.latest(), (time("2026-05-02"), Word::Timestamp));
    assert_eq!(
        floor
            .without(retired(&["targets", "timestamp"]), None, None)
            .time(),
        Timestamp::EPOCH
    );
    let text = serde_json::to_string(&floor).unwrap();
    assert!(
        text.contains("\"targets\":\"2026-05-01T00:00:00Z\""),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<TimeFloor>(&text).unwrap(), floor);
    for damaged in ["{}", r#"{"people":"2026-05-01T00:00:00Z"}"#, "[]", "5"] {
        assert!(
            serde_json::from_str::<TimeFloor>(damaged).is_err(),
            "{damaged}"
        );
    }
    // A file that says more than the step allows is not taken at its word.
    let forged = r#"{"build":"2026-01-01T00:00:00Z","online":"2090-01-01T00:00:00Z"}"#;
    let floor: TimeFloor = serde_json::from_str(forged).unwrap();
    assert_eq!(floor.time(), time("2026-01-08"));
}

#[test]
fn says_what_speaks_against_the_clock() {
    let known = Known {
        newest_certificate: Some((time("2026-02-01"), "CN=alice".to_owned())),
        expiry: vec![
            (RoleName::root(), time("2027-01-01")),
            (RoleName::targets(), time("2026-07-01")),
        ],
    };
    let said = |day: &str, floor: TimeFloor, known: &Known| {
        let doubts = doubts(time(day), floor, known);
        doubts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let built = built("2026-01-01");
    // The first start: nothing was signed yet, and nothing is said to be.
    let behind = "it is behind: 2026-01-01T00:00:00Z has passed by the firmware's build time";
    assert_eq!(said("1970-01-01", built, &Known::default()), [behind]);
    assert!(said("2026-01-01", built, &Known::default()).is_empty());

    let signed = built.raised(issued("-", "2026-03-01", "2026-03-01"));
    let by_targets = "it is behind: 2026-03-01T00:00:00Z has passed by signed targets metadata";
    let by_certificate = "it is behind: the certificate of CN=alice in trusted metadata is valid from 2026-02-01T00:00:00Z";
    assert_eq!(
        said("1970-01-01", signed, &known),
        [by_targets, by_certificate]
    );
    assert_eq!(said("2026-02-15", signed, &known), [by_targets]);
    assert!(said("2026-03-01", signed, &known).is_empty());
    let ahead = |role: &str, day: &str| {
        format!(
            "it is ahead, or nothing newer has come for long: trusted {role} metadata expired at {day}T00:00:00Z"
        )
    };
    assert_eq!(
        said("2026-07-01", signed, &known),
        [ahead("targets", "2026-07-01")]
    );
    assert_eq!(
        said("2040-01-01", signed, &known),
        [ahead("root", "2027-01-01"), ahead("targets", "2026-07-01")]
    );
}

fn moment() -> impl Strategy<Value = Option<Timestamp>> {
    let seconds = -1_000_000..100_000_000_i64;
    proptest::option::weighted(0.8, seconds.prop_map(Timestamp::from_unix_seconds))
}

prop_compose! {
    fn any_issued()(root in moment(), targets in moment(), timestamp in moment()) -> Issued {
        Issued { root, targets, timestamp }
    }
}

prop_compose! {
    fn any_floor()(build in 0..100_000_000_i64, said in proptest::collection::vec(any_issued(), 0..6)) -> TimeFloor {
        let built = TimeFloor::factory(Timestamp::from_unix_seconds(build));
        said.into_iter().fold(built, TimeFloor::raised)
    }
}

prop_compose! {
    fn any_retired()(timestamp: bool, snapshot: bool, targets: bool) -> Retired {
        let mut retired = Retired::default();
        (retired.timestamp, retired.snapshot, retired.targets) = (timestamp, snapshot, targets);
        retired
    }
}

proptest! {
    #[test]
    fn without_rotation_never_falls(floor in any_floor(), said in any_issued(), build in 0..100_000_000_i64, root in moment()) {
        prop_assert!(floor.raised(said).time() >= floor.time());
        let newer = floor.at_least(Timestamp::from_unix_seconds(build));
        prop_assert!(newer.time() >= floor.time());
        prop_assert_eq!(floor.without(Retired::default(), root, None).time(), floor.time());
        prop_assert!(floor.reference(Timestamp::EPOCH).0 >= floor.time());
    }

    /// What root's keyholders can do: whatever was said before, all of it on keys that they retire.
    #[test]
    fn a_rotation_always_brings_it_back(floor in any_floor(), root in moment()) {
        let mut all = Retired::default();
        (all.timestamp, all.targets) = (true, true);
        let after = floor.without(all, root, None);
        let build = floor.build;
        prop_assert!(after.time() >= build && after.time() <= floor.time());
        prop_assert!(after.time() <= root.map_or(build, |root| root.max(build)));
    }

    /// A mirror that shows the same rotation again.
    #[test]
    fn a_rotation_lowers_once(floor in any_floor(), retired in any_retired(), root in moment()) {
        let after = floor.without(retired, root, None);
        prop_assert!(after.time() <= floor.time());
        prop_assert_eq!(after.without(retired, root, None), after);
    }

    #[test]
    fn online_keys_alone_never_go_beyond_their_step(floor in any_floor(), said in moment()) {
        let people = floor.people().0;
        let raised = floor.raised(Issued { timestamp: said, ..Issued::default() });
        prop_assert!(raised.time() <= step_beyond(people));
    }

    #[test]
    fn survives_its_file(floor in any_floor()) {
        let text = serde_json::to_string(&floor).unwrap();
        prop_assert_eq!(serde_json::from_str::<TimeFloor>(&text).unwrap(), floor);
    }
}
