//! Signers of every role change, and so do the keys of machines.

use std::num::NonZeroU32;

use device_pki::{KeySource, SystemEntropy};
use metadata_schema::name::RoleName;
use repo_tool::{Error, ProductPlan, Repository, SignerChange, online_roles, silent};

use crate::support::{
    Person, World, image, later, now, product, release, sign_and_publish, signers,
};

fn staged(repository: &Repository) -> Vec<String> {
    let changes = repository.show().unwrap().changes;
    changes.into_iter().map(|change| change.role).collect()
}

fn replacing(old: &str, new: &Person) -> SignerChange {
    SignerChange {
        replace: vec![(old.to_owned(), new.holder.clone())],
        ..SignerChange::default()
    }
}

/// A release of router-x, signed by Alice and Bob.
fn released() -> (World, Repository, [Person; 3]) {
    let (world, repository, people) = World::published();
    let [alice, bob, _] = &people;
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[alice, bob], now());
    (world, repository, people)
}

#[test]
fn who_leaves_leaves_every_role_and_what_they_signed_is_signed_again() {
    let (mut world, repository, [alice, bob, carol]) = released();
    let dora = world.person("Dora");
    let change = replacing("Bob", &dora);
    repository.change_signers(&change, now()).unwrap();
    // Targets and router-x have one good signature left without Bob's.
    assert_eq!(staged(&repository), ["root", "router-x", "targets"]);
    let before = repository.show().unwrap();
    repository.sign(&carol.key).unwrap();
    repository.change_signers(&change, later(1)).unwrap();
    assert_eq!(
        repository.show().unwrap(),
        before,
        "the same once more changes nothing"
    );
    // Carol's signature is still there; of the new people, Dora is the second.
    sign_and_publish(&repository, &[&alice, &dora], now());
    let report = world.verify(now()).unwrap();
    let versions: Vec<u64> = report.roles.iter().map(|role| role.version).collect();
    assert_eq!(versions[0], 2);
    assert_eq!(report.releases[0].version, "1.0.0");
    assert!(
        report
            .roles
            .iter()
            .all(|role| !role.signers.contains(&"Bob".to_owned()))
    );
    // Bob signs nothing any more, Dora does.
    repository
        .stage_release(&release("1.1.0", &image(2)), now(), &silent)
        .unwrap();
    assert!(matches!(
        repository.sign(&bob.key),
        Err(Error::NotASigner { .. })
    ));
    sign_and_publish(&repository, &[&alice, &dora], now());
    world.verify(now()).unwrap();
}

#[test]
fn a_product_changes_without_root() {
    let (mut world, repository, [alice, _, carol]) = released();
    let eve = world.person_for("Eve", &["delegated:router-x"]);
    let of_product = |change: SignerChange| SignerChange {
        roles: vec![RoleName::delegated("router-x").unwrap()],
        ..change
    };
    // Carol has signed no release: only targets changes.
    let change = of_product(replacing("Carol", &eve));
    repository.change_signers(&change, now()).unwrap();
    assert_eq!(staged(&repository), ["targets"]);
    // In one event with another threshold.
    let all_three = of_product(SignerChange {
        threshold: NonZeroU32::new(3),
        ..SignerChange::default()
    });
    repository.change_signers(&all_three, now()).unwrap();
    assert_eq!(staged(&repository), ["router-x", "targets"]);
    repository.sign(&alice.key).unwrap();
    repository.sign(&carol.key).unwrap();
    assert!(
        repository.publish(now()).is_err(),
        "router-x needs three, Eve among them"
    );
    let bob = "Bob".to_owned();
    let lock_out = of_product(SignerChange {
        remove: vec![bob],
        ..SignerChange::default()
    });
    let error = repository.change_signers(&lock_out, now()).unwrap_err();
    assert!(
        error.to_string().contains("threshold 3, but only 2 people"),
        "{error}"
    );
}

#[test]
fn a_renewed_certificate_takes_the_old_ones_place() {
    let (mut world, repository, [alice, bob, _]) = released();
    // The same key, another certificate.
    let subject = device_pki::SubjectKey::of(alice.key.key_pair()).unwrap();
    let roles = ["root", "targets", "delegated:router-x"];
    let (_, holder) = world.certify("Alice", &roles, &subject);
    let change = SignerChange {
        replace: vec![("Alice".to_owned(), holder)],
        ..SignerChange::default()
    };
    repository.change_signers(&change, now()).unwrap();
    // Her signatures hold as they are: neither targets' content nor the release need signing, but that targets carries certificates.
    assert_eq!(staged(&repository), ["root", "targets"]);
    sign_and_publish(&repository, &[&alice, &bob], now());
    world.verify(now()).unwrap();
}

#[test]
fn every_reason_is_told_at_once() {
    let (mut world, repository, _) = World::published();
    let eve = world.person_for("Eve", &["delegated:router-x"]);
    let error = repository
        .change_signers(&replacing("Bob", &eve), now())
        .unwrap_err();
    let text = error.to_string();
    for why in ["Eve may not sign for root", "Eve may not sign for targets"] {
        assert!(text.contains(why), "{text}");
    }
    assert!(staged(&repository).is_empty());
    let error = repository
        .change_signers(&replacing("Mallory", &eve), now())
        .unwrap_err();
    assert!(error.to_string().contains("Mallory"), "{error}");
    let nothing = SignerChange::default();
    assert!(repository.change_signers(&nothing, now()).is_err());
}

#[test]
fn online_keys_move_and_the_old_ones_sign_until_then() {
    let (world, repository, [alice, bob, _]) = World::published();
    let key = |role: &RoleName| {
        repository
            .online_key(role)
            .unwrap()
            .public_key()
            .id()
            .clone()
    };
    let roles = online_roles().unwrap();
    let before: Vec<_> = roles.iter().map(key).collect();
    let entropy = &mut SystemEntropy;
    let made = repository.rotate_online(&roles, now(), entropy).unwrap();
    let again = repository.rotate_online(&roles, now(), entropy).unwrap();
    assert_eq!(made, again, "the same once more changes nothing");
    assert_eq!(staged(&repository), ["pki", "root", "targets"]);
    repository.refresh(now(), true).unwrap();
    world.verify(now()).unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    world.verify(now()).unwrap();
    let after: Vec<_> = roles.iter().map(key).collect();
    for (role, (old, new)) in roles.iter().zip(before.iter().zip(&after)) {
        assert_ne!(old, new);
        assert!(!repository.layout().next_online_key(role).exists());
    }
    repository.refresh(now(), true).unwrap();
    world.verify(now()).unwrap();
    // One of them elsewhere: named first, the old one second.
    let folder = repository.layout().folder().to_owned();
    let moved = device_pki::KeyPair::generate(device_pki::KeyAlgorithm::P256, entropy).unwrap();
    let place = folder.join("moved.key");
    moved
        .save(&place, device_pki::Protection::FileMode, entropy)
        .unwrap();
    let mut settings = repository.settings().clone();
    let old = repository.layout().online_key(&roles[1]);
    settings.online.timestamp = vec![KeySource::File("moved.key".into()), KeySource::File(old)];
    std::fs::write(folder.join("repo.toml"), settings.to_toml().unwrap()).unwrap();
    let repository = Repository::open(&folder).unwrap();
    repository.refresh(now(), true).unwrap();
    repository
        .rotate_online(&roles[1..2], now(), entropy)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    world.verify(now()).unwrap();
    // It signs already, and must not be mistaken for a new one.
    let error = repository
        .rotate_online(&roles[1..2], now(), entropy)
        .unwrap_err();
    assert!(error.to_string().contains("signs already"), "{error}");
    // A key that nothing lists signs nothing.
    settings.online.timestamp = vec![KeySource::File(repository.layout().online_key(&roles[1]))];
    std::fs::write(folder.join("repo.toml"), settings.to_toml().unwrap()).unwrap();
    let error = Repository::open(&folder).unwrap().refresh(now(), true);
    assert!(matches!(error, Err(Error::OnlineKey { .. })));
}

#[test]
fn a_product_ends_and_may_come_again() {
    let (world, repository, [alice, bob, carol]) = released();
    repository
        .remove_product(&product("router-x"), now())
        .unwrap();
    repository
        .remove_product(&product("router-x"), now())
        .unwrap();
    assert!(
        repository
            .remove_product(&product("toaster"), now())
            .is_err()
    );
    assert!(repository.remove_product(&product("pki"), now()).is_err());
    assert_eq!(staged(&repository), ["targets"]);
    sign_and_publish(&repository, &[&alice, &bob], now());
    let report = world.verify(now()).unwrap();
    assert!(report.releases.is_empty());
    let plan = ProductPlan {
        name: product("router-x"),
        signers: signers(&[&alice, &carol], 2),
        bins: None,
    };
    repository.add_product(&plan, now()).unwrap();
    sign_and_publish(&repository, &[&alice, &carol], now());
    let report = world.verify(now()).unwrap();
    let role = report
        .roles
        .iter()
        .find(|role| role.role == "router-x")
        .unwrap();
    assert_eq!(role.version, 3, "versions never begin again");
}
