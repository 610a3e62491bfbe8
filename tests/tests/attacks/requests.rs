//! What a device asks for: no more than it needs.

use tests::simulator::{Delegation, Simulator, TestClient};

use crate::support::{plan, plans, world};

/// An unchanged repository costs one request for root and one for timestamp.
#[test]
fn an_unchanged_repository_costs_two_requests() {
    for plan in [plans(), vec![plan().with_pki()]].concat() {
        let (mut honest, device) = world(plan.clone());
        for _ in 0..3 {
            device.refresh(&mut honest).unwrap();
            let requests = honest.take_requests();
            let expected = ["metadata/3.root.json", "metadata/timestamp.json"];
            assert_eq!(requests, expected, "{plan:?}");
        }
        // Looking for a target that is known costs no more.
        device.find(&mut honest, "router/fw").unwrap();
        assert_eq!(honest.take_requests().len(), 2);
    }
}

/// Only what changed is fetched, and of the delegated roles only those on the way.
#[test]
fn requests_are_those_that_are_needed() {
    let mut honest = Simulator::new(plan());
    honest.delegate("targets", &Delegation::new("a", &["a/*", "a/*/*"]));
    honest.delegate("targets", &Delegation::new("b", &["b/*"]));
    honest.delegate("a", &Delegation::new("a1", &["a/1/*"]));
    honest.delegate("a", &Delegation::new("a2", &["a/2/*"]));
    for (role, path) in [
        ("a", "a/fw"),
        ("a1", "a/1/fw"),
        ("a2", "a/2/fw"),
        ("b", "b/fw"),
    ] {
        honest.add_target(role, path, path.as_bytes());
    }
    honest.publish();
    let device = TestClient::new(&mut honest);
    let costs = |honest: &mut Simulator, path: &str| {
        device.find(honest, path).unwrap();
        let requests = honest.take_requests();
        let stems = requests.iter().map(|r| r.trim_start_matches("metadata/"));
        stems
            .map(|r| r.trim_end_matches(".json").to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        costs(&mut honest, "a/2/fw"),
        "2.root timestamp 2.snapshot 2.targets 1.a 1.a2"
    );
    assert_eq!(costs(&mut honest, "a/1/fw"), "2.root timestamp 1.a1");
    assert_eq!(costs(&mut honest, "a/fw"), "2.root timestamp");
    assert_eq!(costs(&mut honest, "b/fw"), "2.root timestamp 1.b");
    assert_eq!(costs(&mut honest, "none"), "2.root timestamp");
    honest.add_target("a2", "a/2/new", b"new").publish();
    assert_eq!(costs(&mut honest, "a/1/fw"), "2.root timestamp 3.snapshot");
    assert_eq!(costs(&mut honest, "a/2/fw"), "2.root timestamp 2.a2");
    honest.publish_timestamp();
    assert_eq!(costs(&mut honest, "a/2/fw"), "2.root timestamp");
    honest.publish_root();
    assert_eq!(costs(&mut honest, "a/2/fw"), "2.root 3.root timestamp");
}

/// One bin of a thousand costs one request.
#[test]
fn one_bin_of_many_is_fetched() {
    let mut honest = Simulator::new(plan());
    honest.delegate_bins("targets", 1024);
    let bin = honest.bin_of("some/firmware", 1024);
    honest.add_target(&bin, "some/firmware", b"it").publish();
    let device = TestClient::new(&mut honest);
    assert!(device.find(&mut honest, "some/firmware").unwrap().is_some());
    let requests = honest.take_requests();
    let expected =
        ["2.root", "timestamp", "2.snapshot", "2.targets"].map(|n| format!("metadata/{n}.json"));
    assert_eq!(requests[..4], expected);
    assert_eq!(requests[4..], [format!("metadata/1.{bin}.json")]);
}
