//! Bundles for devices without a network.

use repo_tool::audit::Action;
use repo_tool::{BundleOptions, Error, ReleaseRequest, Repository, silent};

use crate::support::{Person, World, image, later, now, release, sign_and_publish};

/// A repository that offers 1.0.0 on the channel stable.
fn offering() -> (World, Repository, [Person; 3]) {
    let (world, repository, people) = World::published();
    offer(&repository, &people, &release("1.0.0", &image(1)));
    (world, repository, people)
}

fn offer(repository: &Repository, [alice, bob, _]: &[Person; 3], request: &ReleaseRequest) {
    repository.stage_release(request, now(), &silent).unwrap();
    sign_and_publish(repository, &[alice, bob], now());
}

#[test]
fn a_bundle_ends_with_what_people_signed() {
    let (world, repository, _) = offering();
    let file = world.folder.path().join("a.bundle");
    let mut options = BundleOptions::default();
    let made = repository.bundle(&file, &options, now(), &silent).unwrap();
    assert_eq!((made.expires, made.shortened_by), (later(90), None));
    options.days = 3650;
    let made = repository.bundle(&file, &options, now(), &silent).unwrap();
    assert_eq!(made.expires, later(180));
    assert!(made.shortened_by.is_some_and(|role| role != "root"));
    // A day before that, another one has a day.
    let state = repository.refresh(later(179), true);
    state.unwrap();
    let made = repository.bundle(&file, &options, later(179), &silent);
    assert_eq!(made.unwrap().expires, later(180));
    let late = repository.bundle(&file, &options, later(180), &silent);
    assert!(matches!(late, Err(Error::Metadata(_))), "{late:?}");
}

#[test]
fn it_is_clear_what_a_bundle_holds() {
    let (world, repository, people) = World::published();
    let file = world.folder.path().join("a.bundle");
    let options = BundleOptions::default();
    let nothing = repository.bundle(&file, &options, now(), &silent);
    assert_eq!(nothing.unwrap_err().to_string(), "nothing is offered yet");
    let request = release("1.0.0", &image(1));
    offer(&repository, &people, &request);
    let beta = ReleaseRequest {
        channel: "beta".parse().unwrap(),
        ..release("1.1.0", &image(2))
    };
    offer(&repository, &people, &beta);
    let unclear = repository.bundle(&file, &options, now(), &silent);
    let said = unclear.unwrap_err().to_string();
    assert!(
        said.ends_with("there is: router-x/beta 1.1.0, router-x/stable 1.0.0"),
        "{said}"
    );
    assert!(!file.exists());
    let beta = BundleOptions {
        channel: Some(beta.channel),
        ..options
    };
    let made = repository.bundle(&file, &beta, now(), &silent).unwrap();
    assert_eq!(
        (made.channel.as_str(), made.version.as_str()),
        ("beta", "1.1.0")
    );
}

#[test]
fn a_bundle_replaces_a_bundle_and_nothing_else() {
    let (world, repository, _) = offering();
    let options = BundleOptions::default();
    let file = world.folder.path().join("a.bundle");
    let first = repository.bundle(&file, &options, now(), &silent).unwrap();
    let again = repository.bundle(&file, &options, now(), &silent).unwrap();
    assert_eq!(first, again);
    let lines = repository.audit().unwrap().lines;
    let made = lines.iter().filter(|line| line.action == Action::Bundle);
    assert_eq!(made.count(), 2);
    let settings = repository.layout().folder().join("repo.toml");
    let before = std::fs::read(&settings).unwrap();
    let refused = repository.bundle(&settings, &options, now(), &silent);
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&settings).unwrap(), before);
}

#[test]
fn without_the_timestamp_key_there_is_no_bundle() {
    let (world, repository, _) = offering();
    let key = repository.layout().folder().join("online/timestamp.key");
    std::fs::remove_file(key).unwrap();
    let file = world.folder.path().join("a.bundle");
    let refused = repository.bundle(&file, &BundleOptions::default(), now(), &silent);
    assert!(refused.is_err());
    assert!(!file.exists());
}

#[test]
fn a_bundle_that_outlasts_its_signers_certificates_is_not_made() {
    let mut world = World::new();
    let people = ["Alice", "Bob", "Carol"].map(|name| world.person(name));
    let [alice, bob, carol] = &people;
    let mut plan = world.plan(&[alice, bob, carol], 2);
    let periods = &mut plan.settings.expiry_days;
    (periods.root, periods.targets) = (1000, 1000);
    let folder = world.folder.path().to_owned();
    let repository = Repository::init(&folder, &plan, now(), &mut world.entropy).unwrap();
    sign_and_publish(&repository, &[alice, bob], now());
    offer(&repository, &people, &release("1.0.0", &image(1)));
    let file = folder.join("a.bundle");
    let lasting = |days| {
        let options = BundleOptions {
            days,
            ..BundleOptions::default()
        };
        repository.bundle(&file, &options, now(), &silent)
    };
    // Certificates of 730 days, five of which are over.
    let refused = lasting(726).unwrap_err();
    assert!(
        matches!(&refused, Error::EndsEarly { expires, .. } if *expires == later(726)),
        "{refused:?}"
    );
    assert!(refused.hint().is_some());
    assert!(!file.exists());
    assert_eq!(lasting(725).unwrap().expires, later(725));
}
