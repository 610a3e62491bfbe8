//! The rules, as a table.

use super::*;

/// 2026-01-05, a Monday, 12:00.
const NOON: i64 = 1_767_614_400;

struct Case {
    policy: &'static str,
    security: bool,
    full: bool,
    change: fn(&mut Wishes, &mut Circumstances<'_>),
    expected: &'static str,
}

fn held(case: &Case, by_person: bool) -> String {
    let policy: PolicyConfig = toml::from_str(case.policy).unwrap();
    let version = "1.2.0".parse().unwrap();
    let release = Candidate {
        version: &version,
        manifest: Sha256Digest::of(b"manifest"),
        security: case.security,
        full: case.full,
    };
    let mut wishes = Wishes::default();
    let none = Wishes::default();
    let refused = Refused::again(None, release.manifest, "bad".to_owned());
    let refused = Refused::again(Some(&refused), release.manifest, "bad".to_owned());
    let mut how = Circumstances {
        now: Timestamp::from_unix_seconds(NOON),
        offset: 0,
        inhibited: None,
        metered: false,
        wishes: &none,
        refused: None,
        by_person,
    };
    (case.change)(&mut wishes, &mut how);
    how.wishes = &wishes;
    if how.offset == 999 {
        how.refused = Some(&refused);
    }
    hold(&policy, &release, &how).map_or("install".to_owned(), |hold| hold.to_string())
}

fn nothing(_: &mut Wishes, _: &mut Circumstances<'_>) {}

#[test]
fn says_what_has_to_wait_and_why() {
    let case = |policy, expected| Case {
        policy,
        security: false,
        full: true,
        change: nothing,
        expected,
    };
    let metered: fn(&mut Wishes, &mut Circumstances<'_>) = |_, how| how.metered = true;
    let later: fn(&mut Wishes, &mut Circumstances<'_>) =
        |wishes, how| wishes.postponed_until = Some(how.now.plus_seconds(60));
    let consented: fn(&mut Wishes, &mut Circumstances<'_>) =
        |wishes, _| wishes.consent = Some("1.2.0".parse().unwrap());
    let closed = "windows = ['Mon-Fri 02:00-05:00']";
    // What is expected of a poll, and whether a person is past it.
    let cases = [
        (case("", "install"), true),
        (case("pin = '1.2.0'", "install"), true),
        (
            case("pin = '1.1.0'", "policy.pin holds this device at 1.1.0"),
            false,
        ),
        (
            case(
                "pin = 'stay'",
                "policy.pin says that this device stays at what runs",
            ),
            false,
        ),
        (
            case(
                closed,
                "no maintenance window is open; the next one opens at 2026-01-06T02:00:00Z",
            ),
            true,
        ),
        (
            Case {
                change: |_, how| how.offset = -9 * 3600,
                ..case(closed, "install")
            },
            true,
        ),
        (
            Case {
                change: |_, how| {
                    let why = "patient on the table".to_owned();
                    how.inhibited = Some(("surgery".to_owned(), why));
                },
                ..case("", "surgery forbids it: patient on the table")
            },
            false,
        ),
        (
            Case {
                change: later,
                ..case("", "it was put off until 2026-01-05T12:01:00Z")
            },
            true,
        ),
        (
            Case {
                change: |wishes, how| wishes.postponed_until = Some(how.now),
                ..case("", "install")
            },
            true,
        ),
        (
            case(
                "automatic = 'none'",
                "nobody has consented to it, and policy.automatic lets nothing be installed unasked",
            ),
            true,
        ),
        (
            Case {
                change: consented,
                ..case("automatic = 'none'", "install")
            },
            true,
        ),
        (
            case(
                "automatic = 'security'",
                "nobody has consented to it, and policy.automatic lets only security releases be installed unasked",
            ),
            true,
        ),
        (
            Case {
                security: true,
                ..case("automatic = 'security'", "install")
            },
            true,
        ),
        (
            Case {
                change: metered,
                ..case("", "install")
            },
            true,
        ),
        (
            Case {
                change: metered,
                ..case(
                    "metered = 'none'",
                    "the link is metered, and policy.metered is none",
                )
            },
            false,
        ),
        (
            Case {
                change: metered,
                ..case(
                    "metered = 'delta-only'",
                    "the link is metered, policy.metered is delta-only, and no delta leads from what runs to every image",
                )
            },
            false,
        ),
        (
            Case {
                change: metered,
                full: false,
                ..case("metered = 'delta-only'", "install")
            },
            true,
        ),
        (
            Case {
                change: |_, how| how.offset = 999,
                ..case(
                    "",
                    "it was refused before (bad); it is tried again after 1 more polls",
                )
            },
            true,
        ),
    ];
    for (case, past) in cases {
        assert_eq!(held(&case, false), case.expected, "{}", case.policy);
        let person = if past { "install" } else { case.expected };
        assert_eq!(held(&case, true), person, "{}", case.policy);
    }
}

#[test]
fn a_refused_release_is_tried_with_growing_distance() {
    let one = Sha256Digest::of(b"1");
    let mut refused = Refused::again(None, one, "bad".to_owned());
    let mut distances = vec![refused.pass_by];
    for _ in 0..8 {
        refused = Refused::again(Some(&refused), one, "bad".to_owned());
        distances.push(refused.pass_by);
    }
    assert_eq!(distances, [0, 1, 3, 7, 15, 31, 63, 63, 63]);
    let other = Refused::again(Some(&refused), Sha256Digest::of(b"2"), "bad".to_owned());
    assert_eq!((other.times, other.pass_by), (1, 0));
}

#[test]
fn pins_are_versions_or_stay() {
    let error = Pin::try_from("newest".to_owned()).unwrap_err();
    assert!(error.contains("or `stay`"), "{error}");
}
