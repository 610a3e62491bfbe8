//! Documents edited by hand.

use metadata_schema::name::RoleName;
use repo_tool::{Error, Repository, Result};
use serde_json::{Value, json};

use crate::support::{World, later, now, sign_and_publish};

fn published(repository: &Repository, name: &str) -> Value {
    let file = repository.layout().metadata().join(name);
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn stage(repository: &Repository, name: &str, document: &Value) -> Result<Vec<RoleName>> {
    let document = (name.to_owned(), document.to_string().into_bytes());
    repository.stage_documents(&[document], later(1))
}

#[test]
fn version_and_dates_are_computed() {
    let (world, repository, [alice, bob, _]) = World::published();
    // A whole signed file, and the value of `signed` without what is computed.
    let mut root = published(&repository, "1.root.json");
    root["signed"]["x-note"] = json!("by hand");
    let roles = stage(&repository, "somewhere/1.root.json", &root).unwrap();
    assert_eq!(roles, [RoleName::root()]);
    let mut router = published(&repository, "1.router-x.json")["signed"].take();
    router["targets"]["router-x/readme"] =
        json!({"length": 5, "hashes": {"sha256": "00".repeat(32)}});
    for computed in ["version", "expires", "x-issued", "spec_version"] {
        router.as_object_mut().unwrap().remove(computed);
    }
    stage(&repository, "anything.json", &router).unwrap();
    let event = repository.show().unwrap();
    assert_eq!(
        (event.changes[0].role.as_str(), event.changes[0].to_version),
        ("root", 2)
    );
    assert_eq!(event.changes[0].expires, later(366));
    let text = event.changes[1].lines.join("\n");
    assert!(text.contains("router-x/readme"), "{text}");
    // The same once more changes nothing, and keeps signatures.
    repository.sign(&alice.key).unwrap();
    assert!(stage(&repository, "1.root.json", &root).unwrap().is_empty());
    repository
        .unstage(&[RoleName::delegated("router-x").unwrap()], true, now())
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], later(1));
    assert_eq!(world.verify(later(1)).unwrap().roles[0].version, 2);
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_staged() {
    let (_world, repository, _) = World::published();
    let root = published(&repository, "1.root.json")["signed"].take();
    let targets = published(&repository, "1.targets.json")["signed"].take();
    let refused = |name: &str, document: &Value, edit: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        edit(&mut document);
        let good = ("targets.json".to_owned(), targets.to_string().into_bytes());
        let bad = (name.to_owned(), document.to_string().into_bytes());
        let error = repository.stage_documents(&[good, bad], now()).unwrap_err();
        assert!(repository.show().unwrap().changes.is_empty());
        error
    };
    let lock_out = |error: Error, about: &str| {
        assert!(matches!(error, Error::LockOut { .. }), "{error}");
        assert!(error.to_string().contains(about), "{error}");
    };
    lock_out(
        refused("root.json", &root, &|root| {
            root["roles"]["root"]["threshold"] = json!(4);
        }),
        "threshold 4",
    );
    lock_out(
        refused("root.json", &root, &|root| {
            root["roles"]["targets"]["threshold"] = json!(9);
        }),
        "threshold 9",
    );
    lock_out(
        refused("root.json", &root, &|root| {
            let keys = root["roles"]["root"]["keyids"].as_array_mut().unwrap();
            keys.truncate(1);
            root["roles"]["root"]["threshold"] = json!(1);
        }),
        "devices ask for 2",
    );
    lock_out(
        refused("root.json", &root, &|root| root["keys"] = json!({})),
        "not among `keys`",
    );
    lock_out(
        refused("targets.json", &targets, &|targets| {
            targets["delegations"]["roles"][0]["threshold"] = json!(7);
        }),
        "threshold 7",
    );
    let document = |error: Error, about: &str| {
        assert!(matches!(error, Error::Document { .. }), "{error}");
        assert!(error.to_string().contains(about), "{error}");
    };
    document(
        refused("root.json", &root, &|root| root["roles"] = json!(1)),
        "root.json",
    );
    document(refused("root.json", &json!([]), &|_| ()), "no JSON object");
    document(refused("root.json", &json!({}), &|_| ()), "no `_type`");
    let snapshot = published(&repository, "1.snapshot.json");
    document(
        refused("snapshot.json", &snapshot, &|_| ()),
        "snapshot metadata",
    );
    document(
        refused("root.json", &targets, &|targets| {
            drop(targets.as_object_mut().unwrap().remove("x-role"));
        }),
        "named root",
    );
    let stranger = refused("x.json", &targets, &|targets| {
        targets["x-role"] = json!("router-z");
    });
    assert!(
        matches!(stranger, Error::NoSuchProduct { .. }),
        "{stranger}"
    );
    let bytes = ("root.json".to_owned(), b"{".to_vec());
    assert!(repository.stage_documents(&[bytes], now()).is_err());
}
