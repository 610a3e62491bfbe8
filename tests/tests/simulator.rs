//! The repository simulator does what tests rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use tests::simulator::serve::Served;
use tests::simulator::{Delegation, Describe, Fault, KeyKind, Plan, Simulator, TestClient};
use updater::transport::folder::Folder;
use updater::transport::http::{Http, Settings};

fn plan() -> Plan {
    Plan::new("simulator", "2030-01-01T00:00:00Z".parse().unwrap())
}

/// A repository with a bit of everything.
fn repository(plan: Plan) -> Simulator {
    let mut repository = Simulator::new(plan);
    repository.add_target("targets", "top", b"1");
    repository.delegate("targets", &Delegation::new("a", &["a/*"]));
    repository.delegate("a", &Delegation::new("b", &["a/b?"]).keys(3, 2));
    repository.add_target("a", "a/x", b"2");
    repository.add_target("b", "a/b1", b"3");
    repository.publish();
    repository
}

fn plans() -> Vec<Plan> {
    let mut plans = vec![plan(), plan().with_pki()];
    for describe in [Describe::Length, Describe::LengthAndHashes] {
        plans.push(Plan { describe, ..plan() });
        plans.push(Plan {
            describe,
            consistent_snapshot: false,
            ..plan()
        });
    }
    plans
}

#[test]
fn devices_follow_it_through_changes_of_everything() {
    for plan in plans() {
        let mut repository = repository(plan.clone());
        let device = TestClient::new(&mut repository);
        for round in 0..3 {
            for (path, content) in [("top", b"1"), ("a/x", b"2"), ("a/b1", b"3")] {
                let found = device.download(&mut repository, path).unwrap();
                assert_eq!(found.unwrap(), content, "{plan:?}, {round}");
            }
            assert!(device.find(&mut repository, "a/none").unwrap().is_none());
            for role in ["root", "timestamp", "snapshot", "targets", "a", "b"] {
                repository.rotate(role);
            }
            repository.publish_root().publish();
        }
        assert_eq!(device.trusted()["root"], 3);
        assert_eq!(repository.root().version(), 4);
    }
}

#[test]
fn the_same_plan_makes_the_same_bytes() {
    for plan in plans() {
        let (mut one, mut two) = (repository(plan.clone()), repository(plan.clone()));
        for name in [
            "1.root.json",
            "timestamp.json",
            "2.a.json",
            "a.json",
            "1.b.json",
        ] {
            let name = format!("metadata/{name}");
            assert_eq!(one.file(&name), two.file(&name), "{name}");
        }
        let other = Plan {
            seed: "another".to_owned(),
            ..plan
        };
        assert_ne!(
            one.file("metadata/1.root.json"),
            repository(other).file("metadata/1.root.json")
        );
    }
}

#[test]
fn edits_are_served_at_once_and_past_versions_stay() {
    let mut repository = repository(plan());
    let before = repository.file("metadata/2.targets.json").unwrap();
    repository.add_target("targets", "more", b"4");
    let edited = repository.file("metadata/2.targets.json").unwrap();
    assert_ne!(before, edited);
    repository.publish();
    assert_eq!(repository.file("metadata/2.targets.json").unwrap(), before);
    assert!(repository.file("metadata/3.targets.json").is_some());
    assert!(repository.file("metadata/4.targets.json").is_none());
    assert!(repository.file("metadata/targets.json").is_none());
}

#[test]
fn requests_are_logged_and_faults_served() {
    let mut repository = repository(plan());
    let device = TestClient::new(&mut repository);
    device.refresh(&mut repository).unwrap();
    let asked = ["2.root", "timestamp", "2.snapshot", "2.targets"];
    let asked = asked.map(|name| format!("metadata/{name}.json"));
    assert_eq!(repository.take_requests(), asked);
    for (fault, message) in [
        (Fault::Missing, "timestamp.json is missing"),
        (Fault::Status(500), "answered with status 500"),
        (Fault::Endless, "is longer than the 16384 bytes"),
        (Fault::Cut(10), "broke off after 10 bytes"),
        (Fault::Bytes((*b"{}").into()), "metadata is refused"),
    ] {
        repository.fault("metadata/timestamp.json", fault);
        let error = device.refresh(&mut repository).err().unwrap();
        assert!(error.to_string().contains(message), "{error}");
    }
    repository.heal();
    device.refresh(&mut repository).unwrap();
}

#[test]
fn a_thief_signs_only_for_the_roles_whose_keys_he_has() {
    let mut honest = repository(plan());
    let device = TestClient::new(&mut honest);
    device.refresh(&mut honest).unwrap();
    let mut evil = honest.stolen(&["timestamp", "snapshot"]);
    evil.publish_snapshot();
    device.refresh(&mut evil).unwrap();
    evil.add_target("targets", "evil", b"evil").publish();
    let error = device.refresh(&mut evil).err().unwrap();
    let causes = error.causes().join("; ");
    assert!(
        causes.contains("targets metadata needs 2 signatures, 0 count"),
        "{causes}"
    );
}

#[test]
fn bins_find_their_targets() {
    for bins in [1, 4, 16, 64] {
        let mut repository = Simulator::new(plan());
        repository.delegate_bins("targets", bins);
        for number in 0..20 {
            let path = format!("file-{number}");
            let bin = repository.bin_of(&path, bins);
            repository.add_target(&bin, &path, path.as_bytes());
        }
        repository.publish();
        let device = TestClient::new(&mut repository);
        for number in 0..20 {
            let path = format!("file-{number}");
            let found = device.download(&mut repository, &path).unwrap();
            assert_eq!(found.unwrap(), path.as_bytes(), "{bins}");
        }
    }
}

#[test]
fn it_is_the_same_over_http_and_as_a_folder() {
    for plan in plans() {
        let mut memory = repository(plan);
        let folder = tempfile::tempdir().unwrap();
        memory.dump(folder.path()).unwrap();
        let served = Served::start(memory.clone()).unwrap();
        let mut http = Http::without_tls(
            &Settings::default(),
            &served.metadata_url(),
            &served.targets_url(),
        )
        .unwrap();
        let mut dumped = Folder::new(folder.path());
        for path in ["top", "a/x", "a/b1"] {
            let expected = TestClient::new(&mut memory)
                .download(&mut memory, path)
                .unwrap();
            let device = TestClient::new(&mut memory);
            assert_eq!(device.download(&mut http, path).unwrap(), expected);
            let device = TestClient::new(&mut memory);
            assert_eq!(device.download(&mut dumped, path).unwrap(), expected);
        }
        assert_eq!(served.repository().take_requests(), memory.take_requests());
    }
}

#[test]
fn keys_of_every_kind_sign_for_every_role() {
    for keys in KeyKind::ALL {
        let mut repository = repository(Plan { keys, ..plan() });
        let device = TestClient::new(&mut repository);
        let found = device.download(&mut repository, "a/b1").unwrap();
        assert_eq!(found.unwrap(), b"3", "{keys:?}");
        repository
            .rotate("root")
            .rotate("b")
            .publish_root()
            .publish();
        let found = device.download(&mut repository, "a/b1").unwrap();
        assert_eq!(found.unwrap(), b"3", "{keys:?}");
    }
}

#[test]
fn one_role_can_have_keys_of_all_kinds() {
    let mut repository = repository(plan());
    for kind in KeyKind::ALL {
        repository.add_key_of(kind, "targets");
    }
    repository.set_threshold("targets", 11);
    repository
        .publish_root()
        .publish_targets("targets")
        .publish();
    let device = TestClient::new(&mut repository);
    let set = device.refresh(&mut repository).unwrap();
    assert_eq!(set.targets().holders().len(), 11);
}
