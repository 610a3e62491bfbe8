//! What `init` and `add_product` make, and what they refuse.

use repo_tool::{Error, ProductPlan, Repository};

use crate::support::{World, now, product, sign_and_publish, signers};

#[test]
fn a_new_repository_is_signed_by_two_and_published() {
    let mut world = World::new();
    let (alice, bob, carol) = (
        world.person("Alice"),
        world.person("Bob"),
        world.person("Carol"),
    );
    let repository = world.init(&[&alice, &bob, &carol], 2);

    let event = repository.show().unwrap();
    let roles: Vec<&str> = event
        .changes
        .iter()
        .map(|change| change.role.as_str())
        .collect();
    assert_eq!(roles, ["pki", "root", "router-x", "targets"]);
    let text = event
        .changes
        .iter()
        .flat_map(|c| c.lines.clone())
        .collect::<Vec<_>>()
        .join("\n");
    assert!(text.contains("root: signed by 2 of"), "{text}");
    assert!(
        text.contains("delegates router-x/*, router-x/*/* to the role router-x"),
        "{text}"
    );

    assert!(!repository.status(now()).unwrap().ready);
    let signed = repository.sign(&alice.key).unwrap();
    assert_eq!(signed.len(), 3);
    assert!(
        repository
            .sign(&alice.key)
            .unwrap()
            .iter()
            .all(|role| role.repeated)
    );
    assert!(!repository.status(now()).unwrap().ready);

    let error = repository.publish(now()).unwrap_err();
    assert_eq!(error.kind(), repo_tool::Kind::Metadata);
    assert!(
        error.to_string().contains("needs 2 signatures, 1 count"),
        "{error}"
    );
    assert!(
        !repository
            .layout()
            .metadata()
            .join("timestamp.json")
            .exists()
    );

    repository.sign(&carol.key).unwrap();
    assert!(repository.status(now()).unwrap().ready);
    let published = repository.publish(now()).unwrap();
    assert_eq!(
        published.roles.last().unwrap(),
        &("timestamp".to_owned(), 1)
    );
    let report = world.verify(now()).unwrap();
    let root = report
        .roles
        .iter()
        .find(|role| role.role == "root")
        .unwrap();
    assert_eq!(root.signers.len(), 2, "{root:?}");
    assert!(report.roles.iter().any(|role| role.role == "router-x"));
    assert!(report.unreachable.is_empty());
}

#[test]
fn lock_outs_are_refused() {
    let mut world = World::new();
    let (alice, bob) = (world.person("Alice"), world.person("Bob"));
    let again = world.person("Alice");
    let targets_only = world.person_for("Dora", &["targets"]);
    for (people, threshold, wanted) in [
        (vec![&alice, &bob], 3, "threshold 3, but only 2 people"),
        (vec![&alice, &alice], 2, "named twice, with the same key"),
        (vec![&alice, &again], 2, "named twice, with two keys"),
        (vec![&alice, &targets_only], 2, "Dora may not sign for root"),
    ] {
        let plan = world.plan(&people, threshold);
        let mut entropy = world.entropy.clone();
        let error = Repository::init(world.folder.path(), &plan, now(), &mut entropy).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(error.kind(), repo_tool::Kind::Configuration);
    }
    assert!(matches!(
        Repository::open(world.folder.path()),
        Err(Error::NotARepository { .. })
    ));
}

#[test]
fn strangers_are_refused() {
    let mut world = World::new();
    let alice = world.person("Alice");
    let mut other = World::new();
    other.entropy = device_pki::SeededEntropy::new(b"another world");
    let key = device_pki::KeyPair::generate(device_pki::KeyAlgorithm::P256, &mut other.entropy);
    let corp = world.root.organisation().clone();
    let validity = device_pki::Validity::days(now(), 100);
    let stranger = device_pki::Authority::root(corp, key.unwrap(), validity, &mut other.entropy);
    let mut plan = world.plan(&[&alice], 1);
    plan.anchor = device_pki::TrustAnchor::new(stranger.unwrap().certificate().clone()).unwrap();
    let error = Repository::init(world.folder.path(), &plan, now(), &mut other.entropy);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("Alice may not sign for root: "), "{text}");
}

#[test]
fn init_does_not_overwrite() {
    let (world, _, [alice, bob, _]) = World::published();
    let plan = world.plan(&[&alice, &bob], 2);
    let mut entropy = world.entropy.clone();
    let error = Repository::init(world.folder.path(), &plan, now(), &mut entropy).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
}

#[test]
fn a_product_is_added_once() {
    let (world, repository, [alice, bob, carol]) = World::published();
    let plan = ProductPlan {
        name: product("router-y"),
        signers: signers(&[&alice, &carol], 2),
        bins: None,
    };
    repository.add_product(&plan, now()).unwrap();
    repository.add_product(&plan, now()).unwrap();
    assert_eq!(repository.show().unwrap().changes.len(), 2);
    repository.sign(&alice.key).unwrap();
    repository.sign(&bob.key).unwrap();
    let error = repository.publish(now()).unwrap_err().to_string();
    assert!(
        error.starts_with("router-y metadata needs 2 signatures"),
        "{error}"
    );
    sign_and_publish(&repository, &[&carol], now());
    let roles = world.verify(now()).unwrap().roles;
    let names: Vec<&str> = roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(
        names,
        [
            "root",
            "timestamp",
            "snapshot",
            "targets",
            "router-x",
            "router-y",
            "pki"
        ]
    );
    let other = ProductPlan {
        name: product("router-y"),
        signers: signers(&[&alice, &bob], 2),
        bins: None,
    };
    assert!(matches!(
        repository.add_product(&other, now()),
        Err(Error::Argument { .. })
    ));
    let pki = ProductPlan {
        name: product("pki"),
        signers: signers(&[&alice, &bob], 2),
        bins: None,
    };
    assert!(matches!(
        repository.add_product(&pki, now()),
        Err(Error::Argument { .. })
    ));
}

#[test]
fn thresholds_are_two_unless_said_otherwise() {
    let repo_tool::Minimums {
        root,
        targets,
        delegated,
    } = repo_tool::Minimums::default();
    assert_eq!((root, targets, delegated), (2, 2, 2));
}
