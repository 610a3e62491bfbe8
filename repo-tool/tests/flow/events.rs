//! Signing events: their names, signatures made apart, drafts that change under people's hands.

use std::fs;

use metadata_schema::name::RoleName;
use repo_tool::status::Signed;
use repo_tool::{Error, Offer, Repository, silent};

use crate::support::{World, copy_of, image, later, now, release, sign, sign_and_publish};

fn stage(repository: &Repository, version: &str) {
    repository
        .stage_release(&release(version, &image(1)), now(), &silent)
        .unwrap();
}

fn from(repository: &Repository) -> Offer {
    Offer::Path(repository.layout().folder().to_owned())
}

#[test]
fn signatures_made_apart_join_in_any_order() {
    let (world, repository, [alice, bob, carol]) = World::published();
    stage(&repository, "1.0.0");
    let (_a, alices) = copy_of(&repository);
    let (_b, bobs) = copy_of(&repository);
    let (_c, carols) = copy_of(&repository);
    sign(&alices, &alice, now());
    sign(&bobs, &bob, now());
    sign(&carols, &carol, now());
    // A whole copy, a folder of signatures, text.
    let folder = Offer::Path(alices.layout().signatures());
    let file = fs::read(bobs.layout().signature(
        &RoleName::delegated("router-x").unwrap(),
        bob.holder.key().id(),
    ));
    let text = Offer::Text("mail".to_owned(), file.unwrap());
    let report = repository
        .merge(&[from(&carols), text.clone()], now())
        .unwrap();
    let names: Vec<&str> = report
        .added
        .iter()
        .map(|taken| taken.name.as_str())
        .collect();
    assert_eq!(names, ["Carol", "Bob"]);
    assert_eq!((report.refused.len(), report.other_events.len()), (0, 0));
    let report = repository.merge(&[text, folder], now()).unwrap();
    assert_eq!(report.already[0].name, "Bob");
    assert_eq!(report.added[0].name, "Alice");
    repository.publish(now()).unwrap();
    let report = world.verify(now()).unwrap();
    assert_eq!(
        report
            .roles
            .iter()
            .find(|role| role.role == "router-x")
            .unwrap()
            .signers
            .len(),
        3
    );
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let (mut world, repository, [alice, bob, _]) = World::published();
    let mallory = world.person("Mallory");
    stage(&repository, "1.0.0");
    sign(&repository, &alice, now());
    let role = RoleName::delegated("router-x").unwrap();
    let file = fs::read_to_string(
        repository
            .layout()
            .signature(&role, alice.holder.key().id()),
    );
    let file: serde_json::Value = serde_json::from_str(&file.unwrap()).unwrap();
    let offer = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut file = file.clone();
        edit(&mut file);
        let offer = Offer::Text("mail".to_owned(), file.to_string().into_bytes());
        let report = repository.merge(&[offer], now()).unwrap();
        assert!(report.added.is_empty());
        report.refused[0].why.clone()
    };
    let why = offer(&|file| file["keyid"] = mallory.holder.key().id().as_str().into());
    assert_eq!(why, "the key is not among the signers of router-x");
    let why = offer(&|file| file["keyid"] = bob.holder.key().id().as_str().into());
    assert!(why.starts_with("the signature is wrong"), "{why}");
    let why = offer(&|file| file["sha256"] = "00".repeat(32).into());
    assert!(
        why.contains("another draft of router-x: sha256 0000"),
        "{why}"
    );
    assert!(why.contains(file["sha256"].as_str().unwrap()), "{why}");
    let why = offer(&|file| file["role"] = "targets".into());
    assert_eq!(why, "targets is not staged here");
    let why = offer(&|file| drop(file.as_object_mut().unwrap().remove("sig")));
    assert!(why.contains("voided"), "{why}");
    let nowhere = Offer::Path(world.folder.path().join("images"));
    let error = repository.merge(&[nowhere], now()).unwrap_err();
    assert!(
        matches!(error, Error::Offer { .. } | Error::Pki(_)),
        "{error}"
    );
    let junk = Offer::Text("mail".to_owned(), b"[1".to_vec());
    assert!(matches!(
        repository.merge(&[junk], now()),
        Err(Error::Offer { .. })
    ));
}

#[test]
fn two_events_are_not_mixed() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let (_b, bobs) = copy_of(&repository);
    stage(&repository, "1.0.0");
    sign(&repository, &alice, now());
    stage(&bobs, "1.0.1");
    sign(&bobs, &bob, now());
    let report = repository.merge(&[from(&bobs)], now()).unwrap();
    assert!(report.added.is_empty() && report.refused.is_empty());
    let other = &report.other_events[0];
    assert_ne!(other.event, report.event);
    let difference = &other.differences[0];
    assert_eq!(difference.role, "router-x");
    assert_eq!(difference.here.as_ref().unwrap().signed_by, ["Alice"]);
    assert_eq!(difference.there.as_ref().unwrap().signed_by, ["Bob"]);
    assert_eq!(other.base, None);
    assert!(other.advice[0].contains("unstage"), "{:?}", other.advice);
    // The single file does not get in by another way.
    let report = repository
        .merge(&[Offer::Path(bobs.layout().signatures())], now())
        .unwrap();
    assert!(
        report.refused[0].why.contains("another draft"),
        "{:?}",
        report.refused
    );
    // A copy where nothing is staged, and one that is ahead.
    bobs.unstage(&[], true, now()).unwrap();
    let report = repository.merge(&[from(&bobs)], now()).unwrap();
    assert_eq!(report.other_events[0].event, None);
    sign(&repository, &bob, now());
    let (_c, before) = copy_of(&repository);
    repository.publish(now()).unwrap();
    stage(&repository, "1.0.2");
    let report = repository.merge(&[from(&before)], now()).unwrap();
    let base = report.other_events[0].base.as_deref().unwrap();
    assert!(base.contains("router-x v2 here, v1 there"), "{base}");
}

#[test]
fn an_event_is_named_by_its_drafts_and_its_base() {
    let (_world, repository, [alice, bob, _]) = World::published();
    assert_eq!(repository.show().unwrap().id, None);
    stage(&repository, "1.0.0");
    let id = repository.show().unwrap().id.unwrap();
    let (_c, copy) = copy_of(&repository);
    assert_eq!(copy.show().unwrap().id, Some(id));
    assert_eq!(repository.status(now()).unwrap().event, Some(id));
    let full = id.to_string();
    assert!(id.is_named_by(&full) && id.is_named_by(&full[..32]));
    assert!(!id.is_named_by(&full[..31]) && !id.is_named_by(&id.short()));
    // Signatures and a refresh do not rename it; another draft does.
    sign(&repository, &alice, now());
    repository.refresh(now(), true).unwrap();
    assert_eq!(repository.show().unwrap().id, Some(id));
    stage(&repository, "1.0.1");
    assert_ne!(repository.show().unwrap().id, Some(id));
    sign_and_publish(&repository, &[&alice, &bob], now());
}

#[test]
fn another_draft_voids_signatures_and_says_whose() {
    let (_world, repository, [alice, bob, _]) = World::published();
    stage(&repository, "1.0.0");
    sign(&repository, &alice, now());
    let role = RoleName::delegated("router-x").unwrap();
    let file = repository
        .layout()
        .signature(&role, alice.holder.key().id());
    assert!(fs::read_to_string(&file).unwrap().contains("\"sig\""));
    stage(&repository, "1.0.1");
    assert!(!fs::read_to_string(&file).unwrap().contains("\"sig\""));
    assert_eq!(repository.show().unwrap().changes[0].voided, ["Alice"]);
    let status = repository.status(now()).unwrap();
    let signer = |name: &str| {
        let mut signers = status.staged[0].groups[0].signers.iter();
        signers
            .find(|signer| signer.name == name)
            .unwrap()
            .state
            .clone()
    };
    assert!(matches!(signer("Alice"), Signed::Earlier(_)));
    assert_eq!(signer("Bob"), Signed::Missing);
    assert_eq!(status.staged[0].groups[0].missing, 2);
    sign_and_publish(&repository, &[&alice, &bob], now());
    assert!(!file.exists());
}

#[test]
fn nothing_is_signed_without_consent() {
    let (_world, repository, [alice, _, _]) = World::published();
    stage(&repository, "1.0.0");
    let mut read = None;
    let refused = repository.sign_shown(&alice.key, now(), &mut |event| {
        read = event.id;
        Err(Error::NotAgreed {
            event: String::new(),
        })
    });
    assert!(matches!(refused, Err(Error::NotAgreed { .. })));
    assert_eq!(read, repository.show().unwrap().id);
    let folder = fs::read_dir(repository.layout().signatures());
    assert_eq!(folder.map_or(0, Iterator::count), 0);
}

#[test]
fn unstage_asks_before_it_drops_signatures() {
    let (_world, repository, [alice, _, _]) = World::published();
    let nothing = repository.unstage(&[], false, now());
    assert!(matches!(nothing, Err(Error::NothingStaged { .. })));
    repository
        .renew(&[RoleName::targets(), RoleName::root()], now())
        .unwrap();
    sign(&repository, &alice, now());
    let error = repository.unstage(&[], false, now()).unwrap_err();
    assert!(error.to_string().contains("Alice over root"), "{error}");
    let router = RoleName::delegated("router-x").unwrap();
    assert!(matches!(
        repository.unstage(&[router], true, now()),
        Err(Error::Argument { .. })
    ));
    let dropped = repository
        .unstage(&[RoleName::targets()], true, now())
        .unwrap();
    assert_eq!(dropped.roles, [("targets".to_owned(), 2)]);
    assert_eq!(dropped.signatures, ["Alice over targets"]);
    let left = repository.show().unwrap();
    assert_eq!(left.changes[0].role, "root");
    repository.unstage(&[], true, now()).unwrap();
    assert!(repository.show().unwrap().changes.is_empty());
    assert_eq!(
        fs::read_dir(repository.layout().signatures())
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn status_says_what_is_due_and_what_to_do() {
    let (world, repository, [alice, bob, carol]) = World::published();
    let next = |days| repository.status(later(days)).unwrap().next.join("\n");
    assert_eq!(next(0), "");
    assert!(next(2).starts_with("repo-tool refresh "), "{}", next(2));
    assert!(next(151).contains(" router-x"), "{}", next(151));
    assert!(!next(149).contains("renew"), "{}", next(149));
    assert!(next(306).contains("root"), "{}", next(306));
    repository.renew(&[RoleName::root()], now()).unwrap();
    assert!(
        next(0).contains("by Alice, Bob, Carol: event "),
        "{}",
        next(0)
    );
    sign(&repository, &alice, now());
    assert!(next(0).contains("by Bob, Carol: event "), "{}", next(0));
    // Bob is revoked in the same event: his signature would not count, and he is not asked.
    let crl = world.crl(1, &[&bob]);
    repository
        .add_crls(&[("bob.crl".to_owned(), crl.der().to_vec())], now())
        .unwrap();
    let status = repository.status(now()).unwrap();
    let root = status
        .staged
        .iter()
        .find(|role| role.role == "root")
        .unwrap();
    let barred = root.groups[1]
        .signers
        .iter()
        .find(|s| s.name == "Bob")
        .unwrap();
    assert!(
        barred.barred.as_deref().unwrap().contains("revoked"),
        "{barred:?}"
    );
    assert!(
        status.next[0].contains("by Carol: event"),
        "{:?}",
        status.next
    );
    sign(&repository, &carol, now());
    let _ = next(0);
    assert!(repository.status(now()).unwrap().next[0].starts_with("repo-tool publish"));
}
