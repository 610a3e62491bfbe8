//! Products with hashed bins: a release changes few roles, and everything else works as without.

use std::fs;

use metadata_schema::bins::Bins;
use metadata_schema::json::Object;
use metadata_schema::name::TargetPath;
use repo_tool::{Error, FileSource, ProductPlan, Repository, Withdrawal, silent};

use crate::support::{
    Person, World, image, later, now, product, release, sign_and_publish, signers, stable,
};

/// A repository whose router-x has 16 bins.
fn with_bins() -> (World, Repository, [Person; 3]) {
    let mut world = World::new();
    let people = ["Alice", "Bob", "Carol"].map(|name| world.person(name));
    let [alice, bob, carol] = &people;
    let mut plan = world.plan(&[alice, bob, carol], 2);
    plan.products[0].bins = Bins::new(16);
    let repository =
        Repository::init(world.folder.path(), &plan, world.now, &mut world.entropy).unwrap();
    sign_and_publish(&repository, &[alice, bob], now());
    (world, repository, people)
}

fn sources(folder: &std::path::Path, names: impl Iterator<Item = String>) -> Vec<FileSource> {
    fs::create_dir_all(folder).unwrap();
    let files = names.map(|name| {
        let from = folder.join(&name);
        fs::write(&from, &name).unwrap();
        let path = TargetPath::new(&format!("router-x/{name}")).unwrap();
        FileSource { path, from }
    });
    files.collect()
}

#[test]
fn a_release_changes_the_product_and_few_bins() {
    let (world, repository, [alice, bob, carol]) = with_bins();
    let report = world.verify(now()).unwrap();
    assert_eq!(report.roles.len(), 4 + 1 + 16 + 1);
    assert!(report.unreachable.is_empty(), "{:?}", report.unreachable);
    for (number, version) in [(1, "1.0.0"), (2, "1.1.0"), (3, "1.2.0")] {
        repository
            .stage_release(&release(version, &image(number)), now(), &silent)
            .unwrap();
        let staged = repository.status(now()).unwrap().staged;
        assert!((2..=6).contains(&staged.len()), "{}", staged.len());
        assert!(staged.iter().any(|role| role.role == "router-x"));
        let before = metadata_files(&repository);
        sign_and_publish(&repository, &[&alice, &carol], now());
        // What changed, snapshot, timestamp (which is replaced): nothing else is written.
        assert_eq!(metadata_files(&repository), before + staged.len() + 1);
    }
    let report = world.verify(now()).unwrap();
    assert_eq!(report.releases[0].payloads.len(), 3);
    let former = Withdrawal {
        version: None,
        instead: None,
        reason: None,
    };
    let router = product("router-x");
    repository
        .withdraw(&router, &stable(), &former, now())
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    assert_eq!(world.verify(now()).unwrap().releases[0].version, "1.1.0");
}

fn metadata_files(repository: &Repository) -> usize {
    fs::read_dir(repository.layout().metadata())
        .unwrap()
        .count()
}

#[test]
fn many_files_at_once() {
    let (world, repository, [alice, bob, _]) = with_bins();
    let names = (0..200).map(|number| format!("asset-{number}"));
    let files = sources(&world.folder.path().join("in"), names);
    let router = product("router-x");
    let mut custom = Object::new();
    custom.insert("kind".to_owned(), "asset".into());
    let add = |files: &[FileSource]| repository.add_files(&router, files, &custom, now(), &silent);
    let added = add(&files).unwrap();
    assert_eq!((added.changed, added.unchanged), (200, 0));
    assert_eq!(repository.status(now()).unwrap().staged.len(), 16);
    sign_and_publish(&repository, &[&alice, &bob], now());
    let report = world.verify(now()).unwrap();
    let in_bins = report.roles.iter().filter(|role| role.role.contains('~'));
    assert_eq!(in_bins.map(|role| role.files).sum::<u64>(), 200);
    // The same again is nothing; one other file is one bin.
    assert_eq!(add(&files).unwrap().unchanged, 200);
    assert!(repository.show().unwrap().changes.is_empty());
    fs::write(&files[7].from, "another").unwrap();
    assert_eq!(add(&files).unwrap().changed, 1);
    assert_eq!(repository.status(now()).unwrap().staged.len(), 1);
    // Back to what is published: nothing is left to sign.
    fs::write(&files[7].from, "asset-7").unwrap();
    add(&files).unwrap();
    assert!(repository.show().unwrap().changes.is_empty());
    let foreign = FileSource {
        path: TargetPath::new("router-y/a").unwrap(),
        from: files[0].from.clone(),
    };
    assert!(matches!(add(&[foreign]), Err(Error::Release { .. })));
    let manifest = FileSource {
        path: TargetPath::new("router-x/stable.release.json").unwrap(),
        from: files[0].from.clone(),
    };
    assert!(matches!(add(&[manifest]), Err(Error::Argument { .. })));
}

#[test]
fn bins_are_signed_by_the_products_people_and_renewed_with_it() {
    let (world, repository, [alice, bob, _]) = with_bins();
    let names = (0..3).map(|number| format!("asset-{number}"));
    let files = sources(&world.folder.path().join("in"), names);
    let router = product("router-x");
    repository
        .add_files(&router, &files, &Object::new(), now(), &silent)
        .unwrap();
    repository.sign(&alice.key).unwrap();
    let error = repository.publish(now()).unwrap_err();
    assert!(
        error.to_string().contains("needs 2 signatures, 1 count"),
        "{error}"
    );
    repository.sign(&bob.key).unwrap();
    repository.publish(now()).unwrap();
    let expiry = |day: i64| {
        let published = repository.status(later(day)).unwrap().published;
        published
            .into_iter()
            .find(|role| role.role == "router-x~*")
            .unwrap()
            .expires
    };
    assert_eq!(expiry(0), later(180));
    let roles = ["router-x".to_owned()];
    let roles = roles.map(|name| metadata_schema::name::RoleName::delegated(&name).unwrap());
    repository.refresh(later(10), true).unwrap();
    repository.renew(&roles, later(10)).unwrap();
    assert_eq!(repository.status(later(10)).unwrap().staged.len(), 17);
    sign_and_publish(&repository, &[&alice, &bob], later(10));
    assert_eq!(expiry(10), later(190));
    world.verify(later(10)).unwrap();
}

#[test]
fn a_product_keeps_the_bins_that_it_has() {
    let (world, repository, [alice, bob, _]) = World::published();
    let mut plan = ProductPlan {
        name: product("router-y"),
        signers: signers(&[&alice, &bob], 2),
        bins: Bins::new(2),
    };
    repository.add_product(&plan, now()).unwrap();
    repository.add_product(&plan, now()).unwrap();
    let lines: Vec<String> = repository
        .show()
        .unwrap()
        .changes
        .into_iter()
        .flat_map(|change| change.lines)
        .collect();
    let text = lines.join("\n");
    assert!(
        text.contains("spreads its files over 2 bins (so far 0)"),
        "{text}"
    );
    sign_and_publish(&repository, &[&alice, &bob], now());
    world.verify(now()).unwrap();
    plan.bins = None;
    assert!(repository.add_product(&plan, now()).is_err());
}
