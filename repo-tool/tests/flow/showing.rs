//! What a signer reads: nothing that is signed changes in silence.

use std::fs;

use repo_tool::{Repository, silent};
use serde_json::{Value, json};

use crate::support::{World, image, now, release, sign_and_publish};

/// Stages the next version of a published role as `edit` leaves it, and returns what `show` says of it.
fn shown(repository: &Repository, role: &str, edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let file = repository
        .layout()
        .metadata()
        .join(format!("1.{role}.json"));
    let mut signed: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut signed = signed["signed"].take();
    signed["version"] = json!(2);
    signed["expires"] = json!("2027-01-01T00:00:00Z");
    edit(&mut signed);
    let staged = repository.layout().staged();
    fs::create_dir_all(&staged).unwrap();
    let staged = staged.join(format!("{role}.json"));
    fs::write(&staged, signed.to_string()).unwrap();
    let mut event = repository.show().unwrap();
    fs::remove_file(staged).unwrap();
    assert_eq!(event.changes.len(), 1);
    event.changes.remove(0).lines
}

#[test]
fn every_change_of_a_delegation_is_said() {
    let (_world, repository, _) = World::published();
    let delegation = |edit: fn(&mut Value)| {
        shown(&repository, "targets", |signed| {
            edit(&mut signed["delegations"]);
        })
        .join("\n")
    };
    assert_eq!(delegation(|_| ()), "same content, later expiry");
    let text = delegation(|d| d["roles"][0]["paths"] = json!(["router-x/*", "*", "*/*"]));
    assert_eq!(
        text,
        "router-x: may speak about router-x/*, *, */* from now on; so far about router-x/*, router-x/*/*"
    );
    let text = delegation(|d| d["roles"][0]["terminating"] = json!(false));
    assert!(text.starts_with("router-x: not terminating"), "{text}");
    let text = delegation(|d| d["roles"].as_array_mut().unwrap().reverse());
    assert_eq!(text, "devices ask the roles in this order: pki, router-x");
    let text = delegation(|d| d["roles"][1]["x-new"] = json!(1));
    assert_eq!(text, "pki: changes the unknown members x-new");
    let text = delegation(|d| d["x-new"] = json!(1));
    assert_eq!(text, "delegations: changes the unknown members x-new");
    let text = delegation(|d| d["keys"] = json!({}));
    assert_eq!(text, "changes the members delegations");
}

#[test]
fn certificates_root_and_unknown_members_are_said() {
    let (_world, repository, _) = World::published();
    let exchange = |signed: &mut Value| {
        let certs = signed["x-pki"]["certs"].as_object_mut().unwrap();
        let chains: Vec<Value> = certs.values().cloned().collect();
        *certs.values_mut().next().unwrap() = chains[1].clone();
    };
    for role in ["root", "targets"] {
        let text = shown(&repository, role, exchange).join("\n");
        assert!(
            text.contains("are exchanged for others of"),
            "{role}: {text}"
        );
        let text = shown(&repository, role, |signed| signed["x-new"] = json!(1)).join("\n");
        assert_eq!(text, "changes the members x-new");
        let text = shown(&repository, role, |_| ()).join("\n");
        assert_eq!(text, "same content, later expiry");
    }
    let text = shown(&repository, "root", |root| {
        root["consistent_snapshot"] = json!(false);
    });
    assert!(
        text[0].starts_with("consistent_snapshot is off"),
        "{text:?}"
    );
    let text = shown(&repository, "root", |root| {
        root["roles"]["targets"]["x"] = json!(1);
    });
    assert_eq!(text, ["targets: changes the unknown members x"]);
    let text = shown(&repository, "root", |root| {
        root["roles"]["mirrors"] = json!({});
    });
    assert_eq!(text, ["roles: changes the unknown members mirrors"]);
}

#[test]
fn a_paused_release_and_its_waves_are_said() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let mut request = release("1.0.0", &image(1));
    repository.stage_release(&request, now(), &silent).unwrap();
    let text = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(text.contains("for the whole fleet at once"), "{text}");
    sign_and_publish(&repository, &[&alice, &bob], now());
    request.rollout.paused = true;
    repository.stage_release(&request, now(), &silent).unwrap();
    let text = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(text.contains("PAUSED"), "{text}");
}
