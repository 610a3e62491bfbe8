//! Delegations: cycles, escapes, floods, and siblings that are expired, missing or hostile.

use metadata_schema::roles::PathSet;
use tests::simulator::{Delegation, Simulator, TestClient};

use crate::support::{asked, delegating, plan, still_follows, to, verdict, world};

#[test]
fn cycles_end() {
    for cycle in [
        vec![("targets", to("a")), ("a", to("a"))],
        vec![("targets", to("a")), ("a", to("b")), ("b", to("a"))],
        vec![
            ("targets", to("a")),
            ("a", to("b")),
            ("b", to("c")),
            ("c", to("a")),
            ("c", to("b")),
        ],
        vec![
            ("targets", to("a")),
            ("targets", to("b")),
            ("a", to("b")),
            ("b", to("a")),
        ],
    ] {
        let mut repository = delegating(&cycle);
        let device = TestClient::new(&mut repository);
        assert!(device.find(&mut repository, "none").unwrap().is_none());
        let mut requests = asked(&mut repository);
        let before = requests.len();
        requests.dedup();
        requests.sort();
        requests.dedup();
        assert_eq!(requests.len(), before, "each role once: {requests:?}");
        if repository.roles().contains(&"b".to_owned()) {
            repository.add_target("b", "there", b"b").publish();
            let found = device.download(&mut repository, "there").unwrap();
            assert_eq!(found.unwrap(), b"b");
        }
    }
}

/// A delegated role speaks about its paths and no others, however well it signs, and so does whom it delegates to.
#[test]
fn escapes() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.stolen(&["timestamp", "snapshot", "lamp"]);
    evil.add_target("lamp", "router/fw", b"evil");
    evil.add_target("lamp", "fw", b"evil");
    evil.add_target("lamp", "lamp/sub/fw", b"evil");
    evil.delegate(
        "lamp",
        &Delegation::new("accomplice", &["*", "*/*", "*/*/*"]),
    );
    for path in ["router/fw", "router/new", "fw", "lamp/sub/fw"] {
        evil.add_target("accomplice", path, b"evil");
    }
    evil.publish();
    let genuine = device.download(&mut evil, "router/fw").unwrap().unwrap();
    assert_eq!(genuine, b"router 1");
    for path in ["router/new", "fw", "lamp/sub/fw"] {
        assert!(device.find(&mut evil, path).unwrap().is_none(), "{path}");
    }
    assert!(
        !asked(&mut evil)
            .iter()
            .any(|r| r.contains("lamp") || r.contains("accomplice"))
    );
    // The thief's snapshot listed the accomplice, and a role must not vanish (5.5.5): until the keys of the snapshot rotate.
    honest.publish().publish();
    let end = verdict(device.refresh(&mut honest));
    assert_eq!(end, "accomplice: 1 vanished");
    honest.rotate("snapshot").rotate("timestamp");
    still_follows(&device, &mut honest);
}

/// Each delegation narrows the one above it.
#[test]
fn a_role_below_reaches_no_further_than_the_one_above() {
    let mut repository = delegating(&[
        ("targets", Delegation::new("a", &["a/?"])),
        ("a", Delegation::new("b", &["*/*"])),
    ]);
    for path in ["a/1", "a/22", "b/1"] {
        repository.add_target("b", path, path.as_bytes());
    }
    repository.publish();
    let device = TestClient::new(&mut repository);
    assert!(device.find(&mut repository, "a/1").unwrap().is_some());
    assert!(device.find(&mut repository, "a/22").unwrap().is_none());
    assert!(device.find(&mut repository, "b/1").unwrap().is_none());
}

#[test]
fn more_roles_than_anybody_needs() {
    let delegator = |shape: &str, n: usize| match (shape, n) {
        ("a row", _) | (_, 0) => "targets".to_owned(),
        _ => format!("r{n}"),
    };
    for shape in ["a chain", "a row"] {
        for (roles, ends) in [
            (32, "accepted"),
            (33, "more than 32 delegations"),
            (60, "more than 32 delegations"),
        ] {
            let mut repository = Simulator::new(plan());
            for n in 0..roles {
                repository.delegate(&delegator(shape, n), &to(&format!("r{}", n + 1)));
            }
            repository.add_target("targets", "top", b"top");
            repository.add_target("r2", "early", b"early").publish();
            let device = TestClient::new(&mut repository);
            let end = verdict(device.find(&mut repository, "none"));
            assert_eq!(end, ends, "{shape} of {roles}");
            let requests = asked(&mut repository);
            assert!(requests.len() <= 2 + 32, "{requests:?}");
            // What is found before the limit is found.
            for path in ["top", "early"] {
                assert!(device.find(&mut repository, path).unwrap().is_some());
            }
        }
    }
}

/// Pre-order, depth first; the first that has the target decides; a terminating delegation ends the search.
#[test]
fn the_order_of_the_search() {
    let terminating = |role| to(role).terminating();
    for (tree, has, requests, found) in [
        (
            vec![
                ("targets", to("a")),
                ("targets", to("d")),
                ("a", to("b")),
                ("a", to("c")),
            ],
            vec!["c", "d"],
            vec!["2.a", "1.b", "2.c"],
            Some("c"),
        ),
        (
            vec![
                ("targets", to("a")),
                ("targets", to("d")),
                ("a", terminating("b")),
                ("a", to("c")),
            ],
            vec!["c", "d"],
            vec!["2.a", "1.b"],
            None,
        ),
        (
            vec![
                ("targets", terminating("a")),
                ("targets", to("d")),
                ("a", to("b")),
                ("a", to("c")),
            ],
            vec!["c", "d"],
            vec!["2.a", "1.b", "2.c"],
            Some("c"),
        ),
        (
            vec![
                ("targets", Delegation::new("a", &["other"]).terminating()),
                ("targets", to("d")),
            ],
            vec!["a", "d"],
            vec!["2.d"],
            Some("d"),
        ),
        (
            vec![("targets", to("a")), ("targets", to("b"))],
            vec!["targets", "a", "b"],
            vec![],
            Some("targets"),
        ),
    ] {
        let mut repository = Simulator::new(plan());
        for (delegator, delegation) in &tree {
            repository.delegate(delegator, delegation);
        }
        repository.publish();
        for role in &has {
            repository.add_target(role, "fw", role.as_bytes());
        }
        for role in repository.roles() {
            if tree.iter().any(|(delegator, _)| *delegator == role) && role != "targets" {
                repository.targets(&role).edit();
            }
        }
        repository.publish();
        let device = TestClient::new(&mut repository);
        let file = device.find(&mut repository, "fw").unwrap();
        assert_eq!(
            file.map(|f| f.role().to_string()).as_deref(),
            found,
            "{tree:?}"
        );
        let asked = asked(&mut repository);
        assert_eq!(asked[2..], requests, "{tree:?}");
    }
}

/// A role that its delegator names and the snapshot does not.
#[test]
fn a_role_that_the_snapshot_does_not_list() {
    let (mut honest, device) = world(plan());
    honest.delegate("targets", &Delegation::new("new", &["new/*"]));
    honest.add_target("new", "new/fw", b"new").publish();
    let mut evil = honest.clone();
    evil.snapshot().edit().meta.remove("new.json");
    assert_eq!(
        verdict(device.find(&mut evil, "new/fw")),
        "new: not listed in snapshot"
    );
    assert!(device.find(&mut evil, "router/fw").unwrap().is_some());
    honest.publish();
    still_follows(&device, &mut honest);
}

/// The specification's glob rules, through the whole client.
#[test]
fn patterns_match_what_the_specification_says() {
    for (pattern, path, matches) in [
        ("fw-*.bin", "fw-1.bin", true),
        ("fw-*.bin", "fw-x/y.bin", false),
        ("*", "a/b", false),
        ("*/*", "a/b", true),
        ("*/*", "a/b/c", false),
        ("a/?", "a/b", true),
        ("a?b", "a/b", false),
        ("{a,b}", "a", false),
        ("{a,b}", "{a,b}", true),
        ("a\\*", "a*", false),
        ("A", "a", false),
        ("", "a", false),
        ("a/*", "a/", false),
    ] {
        let mut repository = delegating(&[("targets", Delegation::new("r", &[pattern]))]);
        repository.add_target("r", path, b"it").publish();
        let device = TestClient::new(&mut repository);
        let found = device.find(&mut repository, path);
        let found = matches!(found, Ok(Some(_)));
        assert_eq!(found, matches, "{pattern} and {path}");
    }
}

/// Bins by digest: a role's prefix decides, and a bin that lists what belongs to another bin is not asked.
#[test]
fn a_bin_speaks_about_its_digests_only() {
    let mut repository = Simulator::new(plan());
    repository.delegate_bins("targets", 16);
    let bin = repository.bin_of("fw", 16);
    let other = repository
        .roles()
        .into_iter()
        .find(|r| r.starts_with("bin-") && *r != bin);
    repository
        .add_target(&other.unwrap(), "fw", b"evil")
        .publish();
    let device = TestClient::new(&mut repository);
    assert!(device.find(&mut repository, "fw").unwrap().is_none());
    assert_eq!(asked(&mut repository)[2..], [format!("1.{bin}")]);
    // An empty prefix is every digest, as the specification has it.
    repository.edit_delegation("targets", &bin, |r| {
        r.paths = PathSet::HashPrefixes(vec![String::new()]);
    });
    repository.add_target(&bin, "anything", b"it").publish();
    let ends = verdict(device.find(&mut repository, "anything"));
    assert_eq!(ends, "accepted");
}
