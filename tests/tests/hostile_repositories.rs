//! The device against every repository that `fixtures` generates: each ends as its `expectation.json` says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use device_pki::{Thresholds, TrustAnchor};
use firmware_delta::{Applier, Expectation as Promise, ImageId, VerifiedOld, verify_old};
use fixtures::repository::{read_expectation, repository_in};
use fixtures::{ErrorKind, Expectation, Plan, Start, Summary, Verdict};
use metadata_schema::MetadataError;
use metadata_schema::limits::Limits;
use metadata_schema::release::{Image, Payload};
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;
use tempfile::TempDir;
use updater::Error;
use updater::error::TransportError;
use updater::install::{Offer, find_offer};
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::select::{Decision, Device, decide};
use updater::transport::folder::Folder;
use updater::trust::Trust;

/// Generated once for all tests.
static FIXTURES: LazyLock<(TempDir, Summary)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let summary = fixtures::generate(folder.path(), &Plan::default()).unwrap();
    (folder, summary)
});

fn fixtures_folder() -> &'static Path {
    FIXTURES.0.path()
}

/// A device in the field: what it has from the factory, and its store of trusted metadata.
struct TestDevice {
    _store: TempDir,
    store: MetadataStore,
    trust: Trust,
    root: Vec<u8>,
    running: Vec<u8>,
}

/// How a run ended.
#[derive(Debug)]
enum Outcome {
    /// The payload made the promised image of this version.
    Accepted(String),
    /// Nothing is for this device, and why.
    Nothing(String),
    Refused(Error),
}

impl TestDevice {
    /// A device that has trusted what `start` says.
    fn new(start: Start) -> Self {
        let factory = fixtures_folder().join("device");
        let read = |name: &str| fs::read(factory.join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let device = Self {
            store: MetadataStore::open(folder.path()).unwrap(),
            _store: folder,
            trust: Trust::Pki {
                anchor: Box::new(TrustAnchor::from_pem(&read("trust-anchor.pem")).unwrap()),
                thresholds: Thresholds::new(2, 2, 2),
            },
            root: read("root.json"),
            running: read("running.img"),
        };
        let summary = &FIXTURES.1;
        let states: &[(&str, Timestamp)] = match start {
            Start::Fresh => &[],
            Start::ValidV1 => &[("valid-v1", summary.first)],
            Start::Valid => &[("valid-v1", summary.first), ("valid", summary.now)],
        };
        for (state, now) in states {
            let repository = repository_in(&fixtures_folder().join(state));
            if let Outcome::Refused(e) = device.look_at(&repository, *now) {
                panic!("{state}: {}", text(&e));
            }
        }
        device
    }

    /// Refreshes, selects, and applies the payload in memory.
    fn look_at(&self, repository: &Path, now: Timestamp) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let run = runtime.block_on(self.run(repository, now));
        run.unwrap_or_else(Outcome::Refused)
    }

    async fn run(&self, repository: &Path, now: Timestamp) -> Result<Outcome, Error> {
        let facts = &FIXTURES.1.device;
        let mut transport = Folder::new(repository);
        let mut client = Client {
            transport: &mut transport,
            store: &self.store,
            trust: &self.trust,
            limits: Limits::default(),
        };
        let mut set = client.refresh(&self.root, now).await?;
        let (product, channel) = (
            &facts.product.parse().unwrap(),
            &facts.channel.parse().unwrap(),
        );
        let Some(offer) = find_offer(&mut client, &mut set, product, channel).await? else {
            return Ok(Outcome::Nothing("nothing is released".to_owned()));
        };
        let device = Device {
            product,
            hardware: &facts.hardware.parse().unwrap(),
            channel,
            version: &facts.version.parse().unwrap(),
            security_version: facts.security_version,
            seed: "SN-0001",
            slots: &[(facts.slot.parse().unwrap(), 1 << 20)],
            failed: &[],
        };
        match decide(&device, &offer.manifest, now) {
            Decision::Install => {}
            Decision::UpToDate => return Ok(Outcome::Nothing("up to date".to_owned())),
            Decision::NotTaken(reason) => return Ok(Outcome::Nothing(reason.to_string())),
            other => panic!("{other:?}"),
        }
        for image in offer.manifest.images.values() {
            self.image(&mut client, &mut set, &offer, image, repository)
                .await?;
        }
        Ok(Outcome::Accepted(offer.manifest.version.to_string()))
    }

    /// The delta from what runs, or if that is refused, the full payload: as a device does.
    async fn image(
        &self,
        client: &mut Client<'_>,
        set: &mut AtTargets,
        offer: &Offer,
        image: &Image,
        repository: &Path,
    ) -> Result<(), Error> {
        let running = ImageId::of(&self.running);
        let delta = image.deltas.get(&FIXTURES.1.device.image).unwrap();
        let delta = (delta, Some(running));
        let mut last = Ok(());
        for (payload, old) in [delta, (&image.full, None)] {
            last = self
                .payload(client, set, offer, (image, payload, old), repository)
                .await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn payload(
        &self,
        client: &mut Client<'_>,
        set: &mut AtTargets,
        offer: &Offer,
        (image, payload, old): (&Image, &Payload, Option<ImageId>),
        repository: &Path,
    ) -> Result<(), Error> {
        let target = offer.payload(client, set, payload).await?;
        let bytes = fs::read(repository.join("targets").join(target.file_path())).unwrap();
        let promise = Promise {
            head: *payload.head.as_bytes(),
            new: ImageId {
                length: image.length,
                sha256: *image.sha256.as_bytes(),
            },
            old,
        };
        let made = apply(promise, &self.running, &bytes).map_err(|source| Error::Payload {
            path: payload.path.to_string(),
            source: Box::new(source),
        })?;
        assert_eq!(ImageId::of(&made), promise.new);
        Ok(())
    }
}

fn apply(
    promise: Promise,
    running: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, firmware_delta::PatchError> {
    let old = match promise.old {
        Some(id) => verify_old(running, &id)?,
        None => VerifiedOld::none(),
    };
    let mut applier = Applier::new(promise, firmware_delta::Limits::default(), old)?;
    let mut made = Vec::new();
    for piece in payload.chunks(1000) {
        applier.push(piece, &mut made)?;
    }
    applier.finish()?;
    Ok(made)
}

/// The error and what caused it, as a person sees it.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

/// Kind and exit code of an error; the codes are those that `updater --help` documents.
fn classify(error: &Error) -> (ErrorKind, u8) {
    let kind = match error {
        Error::Metadata(error) => of_metadata(error),
        Error::RevocationList { .. } => ErrorKind::RevocationList,
        Error::RevocationListRollback { .. } => ErrorKind::Rollback,
        Error::ManifestPath { .. } => ErrorKind::ManifestPath,
        Error::Target { .. } | Error::Payload { .. } => return (ErrorKind::Payload, 5),
        Error::Transport(TransportError::TooLong { .. }) => return (ErrorKind::TooLong, 4),
        other => panic!("no case ends so: {}", text(other)),
    };
    (kind, 4)
}

fn of_metadata(error: &MetadataError) -> ErrorKind {
    match error {
        MetadataError::Json { .. } => ErrorKind::Json,
        MetadataError::Shape { .. } => ErrorKind::Shape,
        MetadataError::Content { .. } => ErrorKind::Content,
        MetadataError::Version { .. } => ErrorKind::Version,
        MetadataError::Rollback { .. } => ErrorKind::Rollback,
        MetadataError::Vanished { .. } => ErrorKind::Vanished,
        MetadataError::Expired { .. } => ErrorKind::Expired,
        MetadataError::Threshold(error) => {
            let because = |what: &str| error.refused.iter().any(|(_, why)| why.contains(what));
            if because("was revoked") {
                ErrorKind::Revoked
            } else if because("certificate") {
                ErrorKind::NotBound
            } else {
                ErrorKind::Threshold
            }
        }
        other => panic!("no case ends so: {}", text(other)),
    }
}

/// What differs from the expectation; nothing if all is as it must be.
fn compare(expected: &Expectation, outcome: &Outcome) -> Option<String> {
    let (verdict, kind, exit_code, message, version) = match outcome {
        Outcome::Accepted(version) => (Verdict::Accept, None, 0, String::new(), Some(version)),
        Outcome::Nothing(why) => (Verdict::NothingToInstall, None, 0, why.clone(), None),
        Outcome::Refused(error) => {
            let (kind, code) = classify(error);
            (Verdict::Refuse, Some(kind), code, text(error), None)
        }
    };
    let same = verdict == expected.verdict
        && kind == expected.error_kind
        && exit_code == expected.exit_code
        && message.contains(&expected.message_contains)
        && version == expected.version.as_ref();
    (!same).then(|| {
        format!(
            "{}: expected {:?} {:?} {} {:?}, found {verdict:?} {kind:?} {exit_code} {message:?}",
            expected.case,
            expected.verdict,
            expected.error_kind,
            expected.exit_code,
            expected.message_contains
        )
    })
}

#[test]
fn the_valid_repository_is_accepted_from_every_start() {
    let valid = fixtures_folder().join("valid");
    let expected = read_expectation(&valid).unwrap();
    assert_eq!(expected.verdict, Verdict::Accept);
    for start in [Start::Fresh, Start::ValidV1, Start::Valid] {
        let outcome = TestDevice::new(start).look_at(&repository_in(&valid), FIXTURES.1.now);
        assert_eq!(compare(&expected, &outcome), None, "{start:?}");
    }
}

#[test]
fn every_attack_ends_as_expected() {
    let summary = &FIXTURES.1;
    assert!(summary.cases.len() >= 14, "{:?}", summary.cases);
    let mut wrong = Vec::new();
    for case in &summary.cases {
        let folder = fixtures_folder().join("hostile").join(case);
        let expected = read_expectation(&folder).unwrap();
        assert_eq!(expected.case, *case);
        assert!(!expected.changed.is_empty(), "{case} attacks nothing");
        let device = TestDevice::new(expected.start);
        let outcome = device.look_at(&repository_in(&folder), summary.now);
        wrong.extend(compare(&expected, &outcome));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A case is worth something only if it would work on a device that lacks the one check: here such devices meet it.
#[test]
fn attacks_work_on_devices_that_lack_the_check() {
    let summary = &FIXTURES.1;
    for case in &summary.cases {
        let folder = fixtures_folder().join("hostile").join(case);
        let expected = read_expectation(&folder).unwrap();
        let (mut device, mut now) = (TestDevice::new(expected.start), summary.now);
        match (expected.error_kind, case.as_str()) {
            // No certificates, no lists, no minimum thresholds.
            (Some(ErrorKind::NotBound | ErrorKind::Revoked), _)
            | (_, "threshold-lowered" | "one-person-with-two-keys") => device.trust = Trust::Plain,
            // No memory.
            (Some(ErrorKind::Rollback), _) => device = TestDevice::new(Start::Fresh),
            // A clock that is behind.
            (Some(ErrorKind::Expired), _) => now = now.plus_seconds(-60),
            _ => continue,
        }
        let outcome = device.look_at(&repository_in(&folder), now);
        assert!(
            !matches!(outcome, Outcome::Refused(_)),
            "{case}: {outcome:?}"
        );
    }
}

/// A delegation is what keeps one product's people out of another's folder: without it, this attack would work.
#[test]
fn the_claim_on_another_product_is_there() {
    let folder = fixtures_folder()
        .join("hostile")
        .join("claims-another-product");
    let metadata = repository_in(&folder).join("metadata");
    let claim = fs::read_to_string(metadata.join("2.lamp.json")).unwrap();
    assert!(
        claim.contains("\"router-x/stable.release.json\""),
        "{claim}"
    );
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let again = tempfile::tempdir().unwrap();
    fixtures::generate(again.path(), &Plan::default()).unwrap();
    let (one, two) = (tree(fixtures_folder()), tree(again.path()));
    assert!(one.keys().eq(two.keys()));
    for (path, bytes) in &one {
        assert_eq!(Some(bytes), two.get(path), "{}", path.display());
    }
}

fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, base: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, base, files);
            } else {
                let name = path.strip_prefix(base).unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}
