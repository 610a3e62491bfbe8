//! People come, go, and are revoked.

use metadata_schema::name::RoleName;
use repo_tool::{Error, SignerChange, silent};

use crate::support::{World, image, later, now, release, sign_and_publish};

fn replace(remove: &str, add: &crate::support::Person) -> SignerChange {
    SignerChange {
        roles: vec![RoleName::root(), RoleName::targets()],
        replace: vec![(remove.to_owned(), add.holder.clone())],
        ..SignerChange::default()
    }
}

#[test]
fn a_new_root_needs_the_old_and_the_new_signers() {
    let (mut world, repository, [alice, bob, carol]) = World::published();
    let dora = world.person("Dora");
    let eve = world.person("Eve");
    repository
        .change_signers(&replace("Carol", &dora), now())
        .unwrap();
    let lines = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(lines.contains("root: Dora (key"), "{lines}");
    assert!(lines.contains("leaves the signers"), "{lines}");
    // Alice and Dora are two of the new root, but only Alice is of the old one.
    repository.sign(&alice.key).unwrap();
    repository.sign(&dora.key).unwrap();
    let status = repository.status(now()).unwrap();
    let root = status
        .staged
        .iter()
        .find(|role| role.role == "root")
        .unwrap();
    assert_eq!(
        root.groups.iter().map(|g| g.reached).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(repository.publish(now()).is_err());
    // Carol leaves, and may sign that.
    repository.sign(&carol.key).unwrap();
    repository.publish(now()).unwrap();
    let report = world.verify(now()).unwrap();
    // Alice and Bob, who have signed targets, remain: it holds as it is.
    assert_eq!((report.roles[0].version, report.roles[3].version), (2, 1));
    // From now on Carol's signature counts for nothing in targets, and Dora's does.
    assert!(
        repository
            .change_signers(&replace("Carol", &eve), now())
            .is_err()
    );
    repository
        .change_signers(&replace("Bob", &eve), now())
        .unwrap();
    sign_and_publish(&repository, &[&alice, &dora], now());
    let report = world.verify(now()).unwrap();
    assert_eq!((report.roles[0].version, report.roles[3].version), (3, 2));
    assert!(matches!(
        repository.sign(&bob.key),
        Err(Error::NothingStaged { .. })
    ));
}

#[test]
fn a_rotation_does_not_lock_out() {
    let (mut world, repository, _) = World::published();
    let change = |threshold, remove: &[&str]| SignerChange {
        roles: vec![RoleName::root(), RoleName::targets()],
        add: Vec::new(),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
        replace: Vec::new(),
        threshold: std::num::NonZeroU32::new(threshold),
    };
    let locks_out = |error: &Error, times: usize| {
        let Error::Several { reasons } = error else {
            return false;
        };
        reasons.len() == times
            && reasons
                .iter()
                .all(|one| matches!(one, Error::LockOut { .. }))
    };
    let error = repository
        .change_signers(&change(4, &[]), now())
        .unwrap_err();
    assert!(locks_out(&error, 2), "{error}");
    // All reasons at once: the threshold, and the devices', of both roles.
    let error = repository
        .change_signers(&change(0, &["Alice", "Bob"]), now())
        .unwrap_err();
    assert!(locks_out(&error, 4), "{error}");
    let error = repository
        .change_signers(&change(0, &["Nobody"]), now())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"Nobody\" does not sign root, but Alice, Bob, Carol do"),
        "{error}"
    );
    let second_bob = world.person("Bob");
    let add = SignerChange {
        add: vec![second_bob.holder.clone()],
        ..change(0, &[])
    };
    let error = repository.change_signers(&add, now()).unwrap_err();
    assert!(locks_out(&error, 2), "{error}");
    assert!(repository.show().unwrap().changes.is_empty());
}

#[test]
fn a_revoked_signer_does_not_count() {
    let (world, repository, [alice, bob, carol]) = World::published();
    // Root, targets and router-x are signed by Alice and Bob: without Bob, they need Carol first.
    let crl = world.crl(1, &[&bob]);
    let lists = [("bob.crl".to_owned(), crl.der().to_vec())];
    repository.add_crls(&lists, now()).unwrap();
    let error = repository.publish(now()).unwrap_err().to_string();
    assert!(error.contains("revoked"), "{error}");
    let roles = ["root", "targets", "router-x"].map(|name| match name {
        "root" => RoleName::root(),
        "targets" => RoleName::targets(),
        name => RoleName::delegated(name).unwrap(),
    });
    repository.renew(&roles, now()).unwrap();
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let status = repository.status(now()).unwrap();
    assert!(!status.ready);
    let text = serde_json::to_string(&status).unwrap();
    assert!(text.contains("was revoked on 2026-02-28"), "{text}");
    assert!(repository.publish(now()).is_err());
    sign_and_publish(&repository, &[&carol], now());
    let report = world.verify(now()).unwrap();
    assert_eq!(report.crls.len(), 1);
    assert_eq!(report.roles[0].signers, ["Alice", "Carol"]);
    // The next release by Alice and Bob is refused, by the tool and by whoever verifies.
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    assert!(
        repository
            .publish(now())
            .unwrap_err()
            .to_string()
            .contains("revoked")
    );
    repository.publish_unchecked(now()).unwrap();
    assert!(
        world
            .verify(now())
            .unwrap_err()
            .to_string()
            .contains("revoked")
    );
}

#[test]
fn lists_must_be_genuine_and_not_older() {
    let (mut world, repository, [_, bob, _]) = World::published();
    let add = |crl: &device_pki::Crl| {
        repository.add_crls(&[("a.crl".to_owned(), crl.der().to_vec())], now())
    };
    let five = world.crl(5, &[]);
    assert_eq!(add(&five).unwrap()[0].number, 5);
    assert_eq!(add(&five).unwrap()[0].number, 5);
    assert!(matches!(add(&world.crl(4, &[])), Err(Error::Falls { .. })));
    assert!(matches!(add(&world.crl(5, &[&bob])), Err(Error::Pki(_))));
    assert!(matches!(
        repository.add_crls(&[("x".to_owned(), b"x".to_vec())], now()),
        Err(Error::Pki(_))
    ));
    // A CA that no signer's certificate comes from, with the same name.
    let key = device_pki::KeyPair::generate(device_pki::KeyAlgorithm::P256, &mut world.entropy);
    let validity = device_pki::Validity::days(later(-5), 100);
    let kind = device_pki::CaKind::FirmwareSigning;
    world.signing = world
        .root
        .subordinate(kind, key.unwrap(), validity, &mut world.entropy)
        .unwrap();
    let other = world.crl(9, &[]);
    assert!(matches!(add(&other), Err(Error::Pki(_))));
    // With its certificate it is acceptable, if that comes from the anchor.
    let lists = [("b.crl".to_owned(), other.der().to_vec())];
    let given = [world.signing.certificate().clone()];
    assert_eq!(
        repository.add_crls_of(&lists, &given, now()).unwrap()[0].number,
        9
    );
    let lines = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(lines.contains(": number 9, 0 certificates"), "{lines}");
    // Whoever publishes knows that CA from then on, and devices are told whose list it is: it has no place in signers' chains.
    let told = || {
        let staged = repository.layout().staged().join("pki.json");
        std::fs::read_to_string(staged).unwrap()
    };
    let honest = told();
    let staged = repository.layout().staged().join("pki.json");
    let false_ca = serde_json::json!(bob.certificate.pem()).to_string();
    let true_ca = serde_json::json!(world.signing.certificate().pem()).to_string();
    assert!(honest.contains(&true_ca), "{honest}");
    std::fs::write(&staged, honest.replace(&true_ca, &false_ca)).unwrap();
    let refused = repository.publish(now()).unwrap_err().to_string();
    assert!(refused.contains("another CA's certificate"), "{refused}");
    std::fs::write(&staged, honest).unwrap();
    repository.publish(now()).unwrap();
    let ten = world.crl(10, &[]);
    assert_eq!(add(&ten).unwrap()[0].number, 10);
    assert!(told().contains(&true_ca), "{}", told());
    repository.publish(now()).unwrap();
    let given = [bob.certificate.clone()];
    assert!(matches!(
        repository.add_crls_of(&lists, &given, now()),
        Err(Error::Pki(_))
    ));
}

#[test]
fn the_online_key_signs_revocation_lists_only() {
    let (world, repository, [_, _, carol]) = World::published();
    let add = |number, revoked: &[&crate::support::Person], world: &World| {
        let crl = world.crl(number, revoked);
        repository.add_crls(&[("a.crl".to_owned(), crl.der().to_vec())], now())
    };
    add(4, &[], &world).unwrap();
    let staged = repository.layout().staged().join("pki.json");
    let read = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(&staged).unwrap()).unwrap()
    };
    let old = read();
    let old_files = crate::publishing::files(repository.layout().staged_targets());
    repository.publish(now()).unwrap();
    add(5, &[&carol], &world).unwrap();
    let new = read();
    let attempt = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut signed = new.clone();
        edit(&mut signed);
        std::fs::write(&staged, signed.to_string()).unwrap();
        repository.publish(now()).unwrap_err()
    };
    let error = attempt(&|pki| pki["targets"] = serde_json::json!({}));
    assert!(error.to_string().contains("would vanish"), "{error}");
    let error = attempt(&|pki| {
        let file = pki["targets"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
        pki["targets"]["pki/sub/a.crl"] = file;
    });
    assert!(error.to_string().contains("is not pki/*.crl"), "{error}");
    let error = attempt(&|pki| {
        pki["delegations"] = serde_json::json!({"keys": {}, "roles": []});
    });
    assert!(error.to_string().contains("delegates"), "{error}");
    for (path, bytes) in crate::publishing::files(repository.layout().staged_targets()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let digest = name.split('.').next().unwrap();
        std::fs::write(path.with_file_name(format!("{digest}.a.crl")), bytes).unwrap();
    }
    let error = attempt(&|pki| {
        let file = pki["targets"]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone();
        pki["targets"]["pki/a.crl"] = file;
    });
    assert!(error.to_string().contains("another CA's place"), "{error}");
    // The same CA's list with a lower number, from an older event.
    std::fs::write(&staged, new.to_string()).unwrap();
    repository.publish(now()).unwrap();
    for (path, bytes) in old_files {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let mut signed = old;
    signed["version"] = serde_json::json!(4);
    std::fs::write(&staged, signed.to_string()).unwrap();
    let error = repository.publish(now()).unwrap_err();
    assert!(matches!(error, Error::Falls { .. }), "{error}");
    // A list that claims to be that of the CA, by another key: a stranger's signature.
    let path = old_path(&signed);
    let mut der = world.crl(6, &[]).der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let name = path.rsplit('/').next().unwrap();
    let digest = metadata_schema::digest::Sha256Digest::of(&der).to_string();
    let folder = repository.layout().staged_targets().join("pki");
    std::fs::write(folder.join(format!("{digest}.{name}")), &der).unwrap();
    signed["targets"][path.as_str()] =
        serde_json::json!({"length": der.len(), "hashes": {"sha256": digest}});
    std::fs::write(&staged, signed.to_string()).unwrap();
    let error = repository.publish(now()).unwrap_err();
    assert!(matches!(error, Error::Pki(_)), "{error}");
}

fn old_path(signed: &serde_json::Value) -> String {
    let targets = signed["targets"].as_object().unwrap();
    targets.keys().next().unwrap().clone()
}
