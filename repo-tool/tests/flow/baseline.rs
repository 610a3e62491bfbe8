//! What a signer compares with: verified from their anchor, and not older than what they remember.

use std::fs;

use device_pki::{Authority, KeyAlgorithm, KeyPair, Organisation, TrustAnchor, Validity};
use repo_tool::memory::Memory;
use repo_tool::{Error, Repository};

use crate::support::{World, copy_of, image, later, now, release, sign_and_publish};

fn remembered(result: repo_tool::Result<()>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Remembered { .. }), "{error}");
    error.to_string()
}

#[test]
fn what_is_published_is_verified_from_the_signers_anchor() {
    let (mut world, repository, _) = World::published();
    let own = repository.baseline(None, now()).unwrap();
    assert!(own.own_anchor && own.earlier.is_none());
    assert_eq!(own.roles["root"].0, 1);
    assert_eq!(own.roles["router-x"].0, 1);
    let given = repository.baseline(Some(&world.anchor()), now()).unwrap();
    assert!(!given.own_anchor);
    assert_eq!((given.roles, given.first_root), (own.roles, own.first_root));
    // Another anchor: of the same name, by somebody else.
    let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
    let key = KeyPair::generate(KeyAlgorithm::P256, &mut world.entropy).unwrap();
    let other = Authority::root(
        corp,
        key,
        Validity::days(later(-9), 900),
        &mut world.entropy,
    );
    let other = TrustAnchor::new(other.unwrap().certificate().clone()).unwrap();
    let error = repository.baseline(Some(&other), now()).unwrap_err();
    assert!(
        error.to_string().contains("its anchor has sha256"),
        "{error}"
    );
    // Metadata that nobody signed.
    let file = repository.layout().metadata().join("1.targets.json");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("\"terminating\": true", "\"terminating\": false");
    fs::write(file, text).unwrap();
    let error = repository.baseline(None, now()).unwrap_err();
    assert!(matches!(error, Error::Baseline { .. }), "{error}");
}

#[test]
fn what_has_expired_can_still_be_renewed() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let baseline = repository.baseline(None, later(400)).unwrap();
    let (at, why) = baseline.earlier.unwrap();
    assert_eq!(at, now());
    assert!(why.contains("expired"), "{why}");
    let root = metadata_schema::name::RoleName::root();
    let targets = metadata_schema::name::RoleName::targets();
    let router = metadata_schema::name::RoleName::delegated("router-x").unwrap();
    let pki = metadata_schema::name::RoleName::delegated("pki").unwrap();
    let next = repository.status(later(400)).unwrap().next;
    assert!(
        next[0].contains("renew") && next[0].ends_with(" pki"),
        "{next:?}"
    );
    repository
        .renew(&[root, targets, router, pki], later(400))
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], later(400));
    assert_eq!(repository.baseline(None, later(400)).unwrap().earlier, None);
}

#[test]
fn a_copy_that_was_rolled_back_or_exchanged_is_noticed() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let folder = repository.layout().folder().to_owned();
    let (_old, old) = copy_of(&repository);
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &repo_tool::silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let state = |repository: &Repository| repository.baseline(None, now()).unwrap();
    let key = alice.holder.key().id();
    let mut memory = Memory::default();
    let file = folder.join("state").join("seen.json");
    memory
        .check(&folder, Some(key), &state(&repository))
        .unwrap();
    memory.remember(&folder, Some(key), &state(&repository), now());
    memory.write(&file).unwrap();
    let mut memory = Memory::read(&file).unwrap();
    memory
        .check(&folder, Some(key), &state(&repository))
        .unwrap();
    // An older copy, wherever it lies.
    for place in [folder.as_path(), old.layout().folder()] {
        let what = remembered(memory.check(place, None, &state(&old)));
        assert!(what.contains("router-x v1, you saw v2"), "{what}");
    }
    // The same version with another content; a role that is gone.
    let mut now_seen = state(&repository);
    now_seen.roles.get_mut("targets").unwrap().1 = "other".to_owned();
    let what = remembered(memory.check(&folder, None, &now_seen));
    assert!(what.contains("targets v1 is another file"), "{what}");
    let mut now_seen = state(&repository);
    now_seen.roles.remove("pki");
    let what = remembered(memory.check(&folder, None, &now_seen));
    assert!(what.contains("pki v1 is gone"), "{what}");
    // Another repository: in the same folder, or anywhere, for the same key.
    let mut stranger = World::at(later(1));
    let mut people = Vec::new();
    for name in ["Mallory", "Malory"] {
        people.push(stranger.person(name));
    }
    let forged = stranger.init(&people.iter().collect::<Vec<_>>(), 2);
    sign_and_publish(&forged, &people.iter().collect::<Vec<_>>(), later(1));
    let forged = forged.baseline(None, later(1)).unwrap();
    let what = remembered(memory.check(&folder, None, &forged));
    assert!(
        what.contains("the anchor is another: when you looked"),
        "{what}"
    );
    let elsewhere = stranger.folder.path();
    let what = remembered(memory.check(elsewhere, Some(key), &forged));
    assert!(what.contains("you signed with this key"), "{what}");
    memory.check(elsewhere, None, &forged).unwrap();
    // A new beginning has to be said.
    memory.forget(&folder, Some(key), &forged);
    memory.check(&folder, Some(key), &forged).unwrap();
    fs::write(&file, b"{").unwrap();
    assert!(Memory::read(&file).is_err());
}
