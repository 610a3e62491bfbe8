//! Channels over time: promotion, rollouts that stop, releases that are taken back.

use metadata_schema::release::{Channel, ReleaseManifest, Wave, manifest_path};
use metadata_schema::roles::{Role as _, Targets};
use repo_tool::{Error, Repository, Withdrawal, silent};

use crate::support::{
    Person, World, image, later, now, product, release, sign_and_publish, stable,
};

fn beta() -> Channel {
    "beta".parse().unwrap()
}

/// A published repository with these versions in a channel, one after the other.
fn offering(channel: &Channel, versions: &[&str]) -> (World, Repository, [Person; 3]) {
    let (world, repository, people) = World::published();
    for (number, version) in (1..).zip(versions) {
        let mut request = release(version, &image(number));
        request.channel = channel.clone();
        repository.stage_release(&request, now(), &silent).unwrap();
        sign_and_publish(&repository, &[&people[0], &people[1]], now());
    }
    (world, repository, people)
}

/// What the published role offers in a channel.
fn offered(repository: &Repository, channel: &Channel) -> Option<ReleaseManifest> {
    let metadata = repository.layout().metadata();
    let newest = (1..)
        .map(|number| metadata.join(format!("{number}.router-x.json")))
        .take_while(|path| path.is_file())
        .last()?;
    let json = metadata_schema::json::Json::read(&std::fs::read(newest).unwrap()).unwrap();
    let mut members = json.into_object("file").unwrap();
    let role = Targets::parse(members.remove("signed").unwrap(), "signed").unwrap();
    let path = manifest_path(&product("router-x"), channel).unwrap();
    let file = role.targets.get(path.as_str())?;
    let on_disk = repo_tool::assemble::target_file_path(&path, &file.hashes);
    let bytes = std::fs::read(repository.layout().targets().join(on_disk)).unwrap();
    let role = metadata_schema::name::RoleName::delegated("router-x").unwrap();
    Some(ReleaseManifest::read(&role, &bytes).unwrap())
}

fn yank(version: Option<&str>) -> Withdrawal {
    Withdrawal {
        version: version.map(|version| version.parse().unwrap()),
        instead: None,
        reason: Some("it eats batteries".to_owned()),
    }
}

const QUIETLY: Withdrawal = Withdrawal {
    version: None,
    instead: None,
    reason: None,
};

#[test]
fn a_release_is_promoted_byte_for_byte() {
    let (world, repository, [alice, bob, _]) = offering(&beta(), &["1.0.0", "1.1.0"]);
    let router = product("router-x");
    let rollout = metadata_schema::release::Rollout {
        waves: vec![Wave {
            start: later(1),
            percent: 10,
        }],
        paused: false,
    };
    let promote =
        |from: &Channel, to: &Channel| repository.promote(&router, (from, to), &rollout, now());
    let change = promote(&beta(), &stable()).unwrap();
    assert_eq!(
        (change.from.as_deref(), change.to.as_deref()),
        (None, Some("1.1.0"))
    );
    assert_eq!(
        repository.status(now()).unwrap().staged.len(),
        1,
        "one file to sign"
    );
    sign_and_publish(&repository, &[&alice, &bob], now());
    let (first, second) = (
        offered(&repository, &beta()),
        offered(&repository, &stable()),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.images, second.images);
    assert_eq!(second.rollout, rollout);
    world.verify(now()).unwrap();
    // Once more changes nothing.
    promote(&beta(), &stable()).unwrap();
    assert!(repository.show().unwrap().changes.is_empty());
    // A channel that is ahead does not fall back.
    repository
        .stage_release(&release("2.0.0", &image(9)), now(), &silent)
        .unwrap();
    let error = promote(&beta(), &stable()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Falls {
                what: "version",
                ..
            }
        ),
        "{error}"
    );
    let error = promote(&"nightly".parse().unwrap(), &stable()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this release cannot be made: channel nightly of router-x offers nothing"
    );
}

#[test]
fn a_withdrawn_release_gives_way_to_the_one_before() {
    let (world, repository, [alice, bob, _]) = offering(&stable(), &["1.0.0", "1.1.0"]);
    let router = product("router-x");
    let before = offered(&repository, &stable()).unwrap();
    let change = repository
        .withdraw(&router, &stable(), &QUIETLY, later(1))
        .unwrap();
    assert_eq!(change.to.as_deref(), Some("1.0.0"));
    sign_and_publish(&repository, &[&alice, &bob], later(1));
    let now_offered = offered(&repository, &stable()).unwrap();
    assert_eq!(now_offered.version.to_string(), "1.0.0");
    assert!(now_offered.withdrawn.is_empty());
    world.verify(later(1)).unwrap();
    // The floor stays: whoever has 1.1.0 would never take 1.0.5, and 1.1.0 is still that one firmware.
    let stage = |version: &str, number| {
        repository.stage_release(&release(version, &image(number)), later(1), &silent)
    };
    assert!(matches!(stage("1.0.5", 5), Err(Error::Falls { .. })));
    assert!(matches!(stage("1.1.0", 5), Err(Error::SameVersion { .. })));
    // A second time there is nothing before: the channel offers nothing.
    let change = repository
        .withdraw(&router, &stable(), &QUIETLY, later(1))
        .unwrap();
    assert_eq!(change.to, None);
    sign_and_publish(&repository, &[&alice, &bob], later(1));
    assert_eq!(offered(&repository, &stable()), None);
    assert!(matches!(stage("1.0.5", 5), Err(Error::Falls { .. })));
    // What was withdrawn quietly may come back as it was.
    stage("1.1.0", 2).unwrap();
    sign_and_publish(&repository, &[&alice, &bob], later(1));
    let again = offered(&repository, &stable()).unwrap();
    let full = |m: &ReleaseManifest| m.images.values().next().unwrap().full.clone();
    assert_eq!(full(&again), full(&before));
    world.verify(later(1)).unwrap();
}

#[test]
fn a_yanked_release_is_named_with_its_reason_from_then_on() {
    let (world, repository, [alice, bob, _]) = offering(&stable(), &["1.0.0", "1.1.0"]);
    let router = product("router-x");
    repository
        .withdraw(&router, &stable(), &yank(None), later(1))
        .unwrap();
    let text = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(
        text.contains("takes back 1.1.0: it eats batteries"),
        "{text}"
    );
    sign_and_publish(&repository, &[&alice, &bob], later(1));
    let manifest = offered(&repository, &stable()).unwrap();
    assert_eq!(manifest.version.to_string(), "1.0.0");
    let entry = manifest.withdrawal(&"1.1.0".parse().unwrap()).unwrap();
    assert_eq!(
        (entry.reason.as_str(), entry.since),
        ("it eats batteries", later(1))
    );
    // Not a second time under that number, and the next release still says it.
    let error = repository
        .stage_release(&release("1.1.0", &image(2)), later(1), &silent)
        .unwrap_err();
    assert!(
        matches!(error, Error::Falls { .. } | Error::Release { .. }),
        "{error}"
    );
    repository
        .stage_release(&release("1.2.0", &image(3)), later(2), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], later(2));
    assert_eq!(offered(&repository, &stable()).unwrap().withdrawn.len(), 1);
    // An older one, which some devices still run: only the list changes.
    let change = repository
        .withdraw(&router, &stable(), &yank(Some("1.0.0")), later(2))
        .unwrap();
    assert_eq!(change.to.as_deref(), Some("1.2.0"));
    assert_eq!(change.withdrawn, ["1.1.0", "1.0.0"]);
    sign_and_publish(&repository, &[&alice, &bob], later(2));
    // With nothing good before it, the release stays in sight, for nobody to take.
    let change = repository
        .withdraw(&router, &stable(), &yank(None), later(2))
        .unwrap();
    assert_eq!(change.to.as_deref(), Some("1.2.0"));
    assert_eq!(change.withdrawn, ["1.2.0", "1.1.0", "1.0.0"]);
    assert!(
        change.paused,
        "so that an updater which does not know the list leaves it alone"
    );
    assert!(
        repository
            .pause(&router, &stable(), false, later(2))
            .is_err()
    );
    sign_and_publish(&repository, &[&alice, &bob], later(2));
    world.verify(later(2)).unwrap();
    let unheard = repository.withdraw(&router, &stable(), &yank(Some("7.0.0")), later(2));
    assert!(matches!(unheard, Err(Error::Release { .. })));
    let mut silly = yank(None);
    silly.reason = Some(" ".to_owned());
    assert!(
        repository
            .withdraw(&router, &stable(), &silly, later(2))
            .is_err()
    );
}

#[test]
fn a_rollout_stops_and_goes_on() {
    let (_world, repository, [alice, bob, _]) = offering(&stable(), &["1.0.0"]);
    let router = product("router-x");
    for paused in [true, true, false] {
        let change = repository.pause(&router, &stable(), paused, now()).unwrap();
        assert_eq!(change.paused, paused);
        if !repository.show().unwrap().changes.is_empty() {
            sign_and_publish(&repository, &[&alice, &bob], now());
        }
        assert_eq!(
            offered(&repository, &stable()).unwrap().rollout.paused,
            paused
        );
    }
    let waves = [(1, 10), (2, 100)].map(|(day, percent)| Wave {
        start: later(day),
        percent,
    });
    repository
        .set_waves(&router, &stable(), &waves, now())
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    assert_eq!(
        offered(&repository, &stable()).unwrap().rollout.waves,
        waves
    );
    let backwards = [waves[1].clone(), waves[0].clone()];
    assert!(
        repository
            .set_waves(&router, &stable(), &backwards, now())
            .is_err()
    );
}

#[test]
fn what_cannot_be_offered_again_is_said() {
    let (_world, repository, _) = offering(&stable(), &["1.0.0", "1.1.0"]);
    let router = product("router-x");
    let targets = repository.layout().targets().join("router-x");
    for entry in std::fs::read_dir(targets).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".rootfs-1.0.0.full") {
            std::fs::write(path, b"damaged").unwrap();
        }
    }
    let error = repository
        .withdraw(&router, &stable(), &QUIETLY, now())
        .unwrap_err();
    assert!(error.to_string().contains("no longer there"), "{error}");
    let wanted = Withdrawal {
        instead: Some("1.1.0".parse().unwrap()),
        ..QUIETLY
    };
    let error = repository
        .withdraw(&router, &stable(), &wanted, now())
        .unwrap_err();
    assert!(error.to_string().contains("no earlier release"), "{error}");
}
