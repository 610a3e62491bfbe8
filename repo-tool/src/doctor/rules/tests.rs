use super::*;
use crate::doctor::facts::{KeyFileFact, PersonFact};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn options() -> DoctorOptions {
    DoctorOptions {
        within_days: 30,
        named: "repo".to_owned(),
    }
}

fn role(name: &str, days: i64, online: bool, period: i64) -> RoleFact {
    RoleFact {
        role: name.to_owned(),
        version: 3,
        expires: now().plus_seconds(days * DAY),
        online,
        period: period * DAY,
    }
}

/// Facts without anything to find in them.
fn healthy() -> Facts {
    Facts {
        roles: vec![role("root", 300, false, 365), role("timestamp", 2, true, 3)],
        ..Facts::default()
    }
}

fn found(facts: &Facts) -> Vec<(Severity, &'static str)> {
    let findings = judge(facts, &options(), now());
    findings.iter().map(|f| (f.severity, f.check)).collect()
}

fn group(needed: u32, able: u32, able_then: u32) -> GroupFact {
    GroupFact {
        role: "router-x".to_owned(),
        needed,
        people: vec![PersonFact {
            name: "Carol".to_owned(),
            key: "00".to_owned(),
            refused: Some("revoked".to_owned()),
        }],
        able,
        able_then,
    }
}

#[test]
fn roles_are_due_by_who_signs_them() {
    assert_eq!(found(&healthy()), []);
    let cases = [
        (role("targets", 31, false, 180), None),
        (role("targets", 30, false, 180), Some(Severity::Warning)),
        (role("targets", 0, false, 180), Some(Severity::Critical)),
        // Three days of timestamp: refreshed at half time, missed at a quarter.
        (role("timestamp", 1, true, 3), None),
        (role("timestamp", 0, true, 3), Some(Severity::Critical)),
        (role("snapshot", 4, true, 14), None),
        (role("snapshot", 3, true, 14), Some(Severity::Warning)),
    ];
    for (role, expected) in cases {
        let mut facts = healthy();
        facts.roles.push(role.clone());
        let expected: Vec<_> = expected.iter().map(|s| (*s, "role-expires")).collect();
        assert_eq!(found(&facts), expected, "{role:?}");
    }
    let mut facts = healthy();
    facts.roles.push(role("router-x", 5, false, 180));
    let finding = judge(&facts, &options(), now()).remove(0);
    assert_eq!(finding.mend.unwrap(), "repo-tool renew repo router-x");
    assert!(finding.text.starts_with("expires in 5 days, on 2026-03-06"));
}

#[test]
fn a_group_is_locked_out_in_three_degrees() {
    let cases = [
        (group(2, 3, 3), None),
        (group(2, 2, 2), Some((Severity::Warning, "no-reserve"))),
        (group(2, 3, 1), Some((Severity::Warning, "locked-out-soon"))),
        (group(2, 1, 1), Some((Severity::Critical, "locked-out"))),
    ];
    for (group, expected) in cases {
        let mut facts = healthy();
        facts.groups.push(group);
        assert_eq!(found(&facts), expected.into_iter().collect::<Vec<_>>());
    }
    let mut facts = healthy();
    facts.groups.push(group(2, 1, 1));
    let finding = judge(&facts, &options(), now()).remove(0);
    assert!(
        finding.text.ends_with("; Carol does not count: revoked"),
        "{finding:?}"
    );
}

#[test]
fn the_most_urgent_comes_first() {
    let mut facts = healthy();
    facts.unlisted.push("CN=Firmware-Signing CA".to_owned());
    facts.staged.push(StagedFact {
        role: "targets".to_owned(),
        version: 4,
        published: 3,
        since: Some(now().plus_seconds(-DAY)),
        expires: now().plus_seconds(DAY),
    });
    facts.online_keys.push(KeyFileFact {
        path: "repo/online/timestamp.key".into(),
        mode: 0o640,
    });
    facts.newest_issue = Some(now().plus_seconds(301));
    assert_eq!(
        found(&facts),
        [
            (Severity::Critical, "clock"),
            (Severity::Critical, "online-key-open"),
            (Severity::Warning, "crl-missing"),
            (Severity::Note, "staged-waits"),
        ]
    );
    facts.newest_issue = Some(now().plus_seconds(300));
    facts.online_keys[0].mode = 0o600;
    facts.staged[0].published = 4;
    assert_eq!(
        found(&facts),
        [
            (Severity::Warning, "crl-missing"),
            (Severity::Warning, "staged-overtaken"),
        ]
    );
}

#[test]
fn certificates_and_lists() {
    let leaf = CertificateFact {
        name: "alice".to_owned(),
        subject: "CN=alice".to_owned(),
        issuer: "CN=CA".to_owned(),
        until: now().plus_seconds(10 * DAY),
        ca: false,
        anchor: false,
        roles: vec!["root".to_owned(), "router-x".to_owned()],
    };
    let mut facts = healthy();
    facts.certificates.push(leaf.clone());
    let finding = judge(&facts, &options(), now()).remove(0);
    assert_eq!(
        finding.mend.unwrap(),
        "device-pki issue-signer PKI --name alice --public-key alice.pub --role root --role delegated:router-x \
         && repo-tool signers replace repo alice PKI/signers/alice/chain.pem"
    );
    facts.certificates[0].until = now().plus_seconds(31 * DAY);
    let list = |days| ListFact {
        issuer: "CN=CA".to_owned(),
        number: 1,
        this_update: now().plus_seconds((days - 30) * DAY),
        next_update: now().plus_seconds(days * DAY),
    };
    for (days, expected) in [
        (8, None),
        (7, Some(Severity::Warning)),
        (0, Some(Severity::Critical)),
    ] {
        facts.lists = vec![list(days)];
        let expected: Vec<_> = expected.iter().map(|s| (*s, "crl-due")).collect();
        assert_eq!(found(&facts), expected, "{days}");
    }
}

#[test]
fn a_mirror_is_told_by_how_it_stands() {
    let cases = [
        (MirrorState::Equal, None),
        (MirrorState::Behind, Some(Severity::Warning)),
        (MirrorState::Ahead, Some(Severity::Warning)),
        (
            MirrorState::Different("x".to_owned()),
            Some(Severity::Critical),
        ),
        (
            MirrorState::Incomplete("x".to_owned()),
            Some(Severity::Critical),
        ),
        (MirrorState::Empty, Some(Severity::Critical)),
        (
            MirrorState::Unreachable("x".to_owned()),
            Some(Severity::Critical),
        ),
    ];
    for (state, expected) in cases {
        let mut facts = healthy();
        facts.mirror = Some(MirrorFact {
            url: "s3://bucket/fw".to_owned(),
            timestamp: Some(3),
            expires: Some(now().plus_seconds(DAY)),
            state: state.clone(),
        });
        let expected: Vec<_> = expected.iter().map(|s| (*s, "mirror")).collect();
        assert_eq!(found(&facts), expected, "{state:?}");
        if state == MirrorState::Behind {
            facts.mirror.as_mut().unwrap().expires = Some(now());
            assert_eq!(found(&facts), [(Severity::Critical, "mirror")]);
        }
    }
}
