//! Devices that live through what the manual publishes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use device_pki::{Thresholds, TrustAnchor};
use metadata_schema::time::Timestamp;
use repo_tool::{Archive, Minimums, VerifyOptions, silent};
use tests::simulator::{PublishedFolder, TestClient};
use updater::trust::Trust;

/// What was published, and when.
pub(crate) struct State {
    pub(crate) published: PathBuf,
    pub(crate) clock: Timestamp,
}

/// The states that the run has put by, in order.
pub(crate) fn states(folder: &Path) -> Vec<State> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|path| State {
            clock: fs::read_to_string(path.join("clock"))
                .unwrap()
                .trim()
                .parse()
                .unwrap(),
            published: path.join("published"),
        })
        .collect()
}

/// Every state is one that devices accept: one that saw all before it, one that slept since the first month, one that is new.
pub(crate) fn follow(states: &[State], anchor: &Path) {
    let anchor = TrustAnchor::from_pem(&fs::read(anchor).unwrap()).unwrap();
    let (first, last) = (states.first().unwrap(), states.last().unwrap());
    let root = fs::read(first.published.join("metadata/1.root.json")).unwrap();
    let device = || {
        let trust = Trust::Pki {
            anchor: Box::new(anchor.clone()),
            thresholds: Thresholds::new(2, 2, 2),
        };
        TestClient::of(root.clone(), trust, first.clock)
    };
    let (mut awake, mut sleeper) = (device(), device());
    look(&mut sleeper, first);
    let mut releases = BTreeSet::new();
    let mut before: Option<&State> = None;
    for state in states {
        if let Some(before) = before {
            refuse_what_has_expired(&awake, before, state.clock);
        }
        verify(state, &anchor);
        releases.extend(look(&mut awake, state));
        before = Some(state);
    }
    assert_eq!(releases.len(), 10, "{releases:?}");
    assert!(
        awake.trusted().get("root") >= Some(&5),
        "{:?}",
        awake.trusted()
    );
    look(&mut sleeper, last);
    let mut young = device();
    look(&mut young, last);
    assert_eq!(sleeper.trusted(), awake.trusted());
    assert_eq!(young.trusted(), awake.trusted());
}

/// Who still sees what was published `before`, more than three days later, learns that it has expired.
fn refuse_what_has_expired(device: &TestClient, before: &State, now: Timestamp) {
    if now <= before.clock.plus_seconds(3 * 24 * 60 * 60) {
        return;
    }
    let mut device = device.fork();
    device.now = now;
    let error = device
        .refresh(&mut PublishedFolder::new(&before.published))
        .map(|_| ())
        .unwrap_err();
    assert!(format!("{error:?}").contains("Expired"), "{error:?}");
}

/// A refresh, and every manifest that is offered: product and version of each.
fn look(device: &mut TestClient, state: &State) -> Vec<(String, String)> {
    device.now = state.clock;
    let mut folder = PublishedFolder::new(&state.published);
    let at = format!("{} at {}", state.published.display(), state.clock);
    device
        .refresh(&mut folder)
        .unwrap_or_else(|error| panic!("{at}: {error:?}"));
    let archive = Archive::open(&state.published).unwrap();
    let mut releases = Vec::new();
    for offer in archive.offers(state.clock).unwrap() {
        let path = format!("{}/{}.release.json", offer.product, offer.channel);
        let manifest = device.download(&mut folder, &path).unwrap();
        assert!(manifest.is_some(), "{at}: {path}");
        releases.push((offer.product, offer.version));
    }
    releases
}

/// Down to every payload, as `repo-tool verify` does.
fn verify(state: &State, anchor: &TrustAnchor) {
    let mut options = VerifyOptions::new(anchor.clone());
    options.minimums = Minimums {
        root: 2,
        targets: 2,
        delegated: 2,
    };
    repo_tool::verify(&state.published, &options, state.clock, &silent)
        .unwrap_or_else(|error| panic!("{}: {error:?}", state.published.display()));
}
