//! Pushing to where devices are served from: what a reader sees meanwhile, cuts in the middle, colleagues.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use metadata_schema::time::Timestamp;
use repo_tool::doctor::MirrorState;
use repo_tool::remote::{Content, Each, FolderRemote, Found, Remote, Streamed, Terms};
use repo_tool::{
    DoctorOptions, Error, PushOptions, Pushed, Report, Repository, VerifyOptions, silent,
};

use crate::support::{Person, World, image, later, now, release, sign_and_publish};

/// Is told the path of each file that was written.
type After<'a> = Box<dyn FnMut(&str) + Send + 'a>;

/// A folder that tells after every write, and breaks after some of them.
struct Watched<'a> {
    inner: FolderRemote,
    writes: AtomicUsize,
    breaks_after: usize,
    after: Mutex<After<'a>>,
}

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl<'a> Watched<'a> {
    fn new(folder: &Path, breaks_after: usize, after: impl FnMut(&str) + Send + 'a) -> Self {
        Self {
            inner: FolderRemote::new(folder),
            writes: AtomicUsize::new(0),
            breaks_after,
            after: Mutex::new(Box::new(after)),
        }
    }
}

impl Remote for Watched<'_> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn list(&self) -> repo_tool::Result<Option<BTreeMap<String, Found>>> {
        self.inner.list()
    }

    fn find(&self, path: &str) -> repo_tool::Result<Option<Found>> {
        self.inner.find(path)
    }

    fn stream(&self, path: &str, each: Each<'_>) -> repo_tool::Result<Option<Streamed>> {
        self.inner.stream(path, each)
    }

    fn write(&self, path: &str, content: Content<'_>, terms: &Terms) -> repo_tool::Result<()> {
        let mut after = self.after.lock().unwrap();
        if self.writes.fetch_add(1, Ordering::SeqCst) >= self.breaks_after {
            return Err(Error::Remote {
                remote: self.name().to_owned(),
                step: "write",
                path: path.to_owned(),
                source: "the line is cut".into(),
            });
        }
        self.inner.write(path, content, terms)?;
        after(path);
        Ok(())
    }

    fn remove(&self, path: &str) -> repo_tool::Result<()> {
        self.inner.remove(path)
    }
}

fn push(repository: &Repository, remote: &dyn Remote) -> repo_tool::Result<Pushed> {
    repository.push(remote, &PushOptions::default(), now(), &silent)
}

/// The version that a device is offered there, or why it is offered none: the same, read as a folder and as a place.
fn offered(world: &World, folder: &Path) -> Result<String, String> {
    let options = VerifyOptions::new(world.anchor());
    let said = |report: repo_tool::Result<Report>| match report {
        Ok(report) => Ok(report.releases[0].version.clone()),
        Err(error) => Err(error.to_string()),
    };
    let offered = said(repo_tool::verify(folder, &options, now(), &silent));
    let place = FolderRemote::new(folder);
    let served = said(repo_tool::verify_served(&place, &options, now(), &silent));
    assert_eq!(served.as_ref().ok(), offered.as_ref().ok());
    offered
}

fn publish_release(repository: &Repository, version: &str, number: u32, people: &[&Person]) {
    repository
        .stage_release(&release(version, &image(number)), now(), &silent)
        .unwrap();
    sign_and_publish(repository, people, now());
}

/// A world with release 1.0.0 pushed to `mirror`, and 1.1.0 published and not pushed.
fn one_behind() -> (World, Repository, [Person; 3], tempfile::TempDir) {
    let (world, repository, people) = World::published();
    let [alice, bob, _] = &people;
    publish_release(&repository, "1.0.0", 1, &[alice, bob]);
    let mirror = tempfile::tempdir().unwrap();
    push(&repository, &FolderRemote::new(mirror.path())).unwrap();
    publish_release(&repository, "1.1.0", 2, &[alice, bob]);
    (world, repository, people, mirror)
}

#[test]
fn a_reader_sees_the_old_state_or_the_new_at_every_step() {
    let (world, repository, _, mirror) = one_behind();
    let mut seen = Vec::new();
    let mut order = Vec::new();
    {
        let remote = Watched::new(mirror.path(), usize::MAX, |path| {
            order.push(path.to_owned());
            seen.push(offered(&world, mirror.path()));
        });
        let pushed = push(&repository, &remote).unwrap();
        assert_eq!(pushed.sent.len(), remote.writes.load(Ordering::SeqCst));
        assert!(pushed.unchanged >= 3, "{pushed:?}");
        assert!(
            pushed.sent.is_sorted_by_key(|file| file.phase),
            "{pushed:?}"
        );
        assert_eq!(push(&repository, &remote).unwrap().sent, []);
    }
    let (last, before) = seen.split_last().unwrap();
    assert_eq!(last, &Ok("1.1.0".to_owned()));
    assert!(
        before.iter().all(|seen| *seen == Ok("1.0.0".to_owned())),
        "{seen:?}"
    );
    assert_eq!(order.last().unwrap(), "metadata/timestamp.json");
    assert!(
        order.iter().any(|path| path.ends_with(".delta")),
        "{order:?}"
    );
    assert!(
        !order.iter().any(|path| path.ends_with("root.json")),
        "{order:?}"
    );
}

#[test]
fn a_push_that_is_cut_off_anywhere_goes_on() {
    let (world, repository, _, mirror) = one_behind();
    let dry = PushOptions {
        dry_run: true,
        ..PushOptions::default()
    };
    let remote = FolderRemote::new(mirror.path());
    let planned = repository.push(&remote, &dry, now(), &silent).unwrap();
    assert!(planned.dry_run);
    let mut sent = 0;
    // Each run sends one file, and the next one breaks.
    for _ in 1..planned.sent.len() {
        let broken = Watched::new(mirror.path(), 1, |_| sent += 1);
        let error = push(&repository, &broken).unwrap_err();
        assert!(matches!(error, Error::Remote { .. }), "{error}");
        assert_eq!(offered(&world, mirror.path()), Ok("1.0.0".to_owned()));
    }
    let last = push(&repository, &remote).unwrap();
    assert_eq!(
        sent + last.sent.len(),
        planned.sent.len(),
        "nothing was sent twice"
    );
    assert_eq!(offered(&world, mirror.path()), Ok("1.1.0".to_owned()));

    // Half a payload, as a server leaves it that does not write whole files: sent again. Then a damaged one of the right
    // length, which nothing but `all` looks for.
    let payload = planned
        .sent
        .iter()
        .find(|file| file.path.ends_with(".delta"));
    let at = mirror.path().join(&payload.unwrap().path);
    let bytes = fs::read(&at).unwrap();
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    for bad in [&bytes[..50], &damaged] {
        fs::write(&at, bad).unwrap();
        assert_eq!(push(&repository, &remote).unwrap().sent, []);
        let all = PushOptions {
            all: true,
            ..PushOptions::default()
        };
        let mended = repository.push(&remote, &all, now(), &silent).unwrap();
        let paths: Vec<_> = mended.sent.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [payload.unwrap().path.as_str(), "metadata/timestamp.json"]
        );
        assert_eq!(fs::read(&at).unwrap(), bytes);
    }
}

#[test]
fn what_a_colleague_published_is_not_overwritten() {
    let (world, repository, [alice, bob, _], mirror) = one_behind();
    let remote = FolderRemote::new(mirror.path());
    push(&repository, &remote).unwrap();
    let theirs = tempfile::tempdir().unwrap();
    copy(world.folder.path(), theirs.path());
    let colleague = Repository::open(theirs.path()).unwrap();

    // Both publish upon the same state; the colleague pushes first.
    publish_release(&colleague, "2.0.0", 3, &[&alice, &bob]);
    push(&colleague, &remote).unwrap();
    let before = fs::read(mirror.path().join("metadata/timestamp.json")).unwrap();
    repository.refresh(later(0), true).unwrap();
    let error = push(&repository, &remote).unwrap_err();
    assert!(matches!(&error, Error::RemoteAhead { .. }), "{error}");
    publish_release(&repository, "1.2.0", 4, &[&alice, &bob]);
    for _ in 0..3 {
        let error = push(&repository, &remote).unwrap_err();
        assert!(
            matches!(
                &error,
                Error::RemoteAhead { .. } | Error::RemoteDiffers { .. }
            ),
            "{error}"
        );
        repository.refresh(now(), true).unwrap();
    }
    assert_eq!(
        fs::read(mirror.path().join("metadata/timestamp.json")).unwrap(),
        before
    );
    assert_eq!(offered(&world, mirror.path()), Ok("2.0.0".to_owned()));
}

#[test]
fn leftovers_of_a_given_up_push_are_not_overwritten_unasked() {
    let (world, repository, _, mirror) = one_behind();
    let remote = FolderRemote::new(mirror.path());
    let planned = repository
        .push(
            &remote,
            &PushOptions {
                dry_run: true,
                ..PushOptions::default()
            },
            now(),
            &silent,
        )
        .unwrap();
    let snapshot = planned
        .sent
        .iter()
        .find(|file| file.path.ends_with(".snapshot.json"));
    let path = &snapshot.unwrap().path;
    fs::write(mirror.path().join(path), b"another folder's").unwrap();
    let error = push(&repository, &remote).unwrap_err();
    assert!(
        matches!(&error, Error::RemoteDiffers { path: p, .. } if p == path),
        "{error}"
    );
    let replace = PushOptions {
        replace_leftovers: true,
        ..PushOptions::default()
    };
    repository.push(&remote, &replace, now(), &silent).unwrap();
    assert_eq!(offered(&world, mirror.path()), Ok("1.1.0".to_owned()));
}

#[test]
fn a_rotation_reaches_the_mirror_with_its_roots() {
    let (mut world, repository, [alice, bob, _], mirror) = one_behind();
    let remote = FolderRemote::new(mirror.path());
    push(&repository, &remote).unwrap();
    let dora = world.person("Dora").holder;
    let change = repo_tool::SignerChange {
        roles: vec![metadata_schema::name::RoleName::root()],
        replace: vec![("Carol".to_owned(), dora)],
        ..repo_tool::SignerChange::default()
    };
    repository.change_signers(&change, now()).unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    let world = world;
    let watched = Watched::new(mirror.path(), usize::MAX, |_| {
        assert_eq!(offered(&world, mirror.path()), Ok("1.1.0".to_owned()));
    });
    let sent = push(&repository, &watched).unwrap().sent;
    let paths: Vec<_> = sent.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.last(), Some(&"metadata/timestamp.json"));
    assert_eq!(
        paths.get(paths.len() - 2),
        Some(&"metadata/2.root.json"),
        "{paths:?}"
    );
}

#[test]
fn what_a_device_would_refuse_is_not_pushed() {
    let (_world, repository, _, mirror) = one_behind();
    let remote = FolderRemote::new(mirror.path());
    let options = PushOptions::default();
    let error = repository
        .push(&remote, &options, later(4), &silent)
        .unwrap_err();
    assert!(matches!(error, Error::Metadata(_)), "{error}");
}

#[test]
fn doctor_compares_with_the_mirror() {
    let (_world, repository, _, mirror) = one_behind();
    let remote = FolderRemote::new(mirror.path());
    let state = |at: Timestamp| {
        let options = DoctorOptions {
            within_days: 1,
            named: "repo".to_owned(),
        };
        let diagnosis = repository.doctor_with(&options, Some(&remote), at).unwrap();
        diagnosis.facts.mirror.unwrap().state
    };
    assert_eq!(state(now()), MirrorState::Behind);
    push(&repository, &remote).unwrap();
    assert_eq!(state(now()), MirrorState::Equal);
    fs::write(mirror.path().join("metadata/1.root.json"), b"x").unwrap();
    assert_eq!(
        state(now()),
        MirrorState::Different("metadata/1.root.json".to_owned())
    );
    fs::remove_file(mirror.path().join("metadata/1.root.json")).unwrap();
    assert_eq!(
        state(now()),
        MirrorState::Incomplete("metadata/1.root.json".to_owned())
    );
    fs::remove_file(mirror.path().join("metadata/timestamp.json")).unwrap();
    assert_eq!(state(now()), MirrorState::Empty);
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let at = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&at).unwrap();
            copy(&entry.path(), &at);
        } else {
            fs::copy(entry.path(), at).unwrap();
        }
    }
}

#[test]
fn what_a_place_serves_is_verified_down_to_the_bytes_of_payloads() {
    let (world, _, _, mirror) = one_behind();
    assert_eq!(offered(&world, mirror.path()).unwrap(), "1.0.0");
    let place = FolderRemote::new(mirror.path());
    let files = place.list().unwrap().unwrap();
    let payload = files.keys().find(|path| path.ends_with(".full")).unwrap();
    let file = mirror.path().join(payload);
    let bytes = fs::read(&file).unwrap();
    let options = VerifyOptions::new(world.anchor());
    let verdict = || repo_tool::verify_served(&place, &options, now(), &silent).unwrap_err();

    let mut longer = bytes.clone();
    longer.extend_from_slice(&[0; 100_000]);
    fs::write(&file, longer).unwrap();
    assert!(
        matches!(verdict(), Error::Content { .. }),
        "{:?}",
        verdict()
    );

    let mut damaged = bytes.clone();
    damaged[200] ^= 1;
    fs::write(&file, damaged).unwrap();
    let error = verdict();
    assert!(matches!(error, Error::Content { .. }), "{error:?}");
    assert!(error.to_string().contains(payload.as_str()), "{error}");

    fs::remove_file(&file).unwrap();
    assert!(
        matches!(verdict(), Error::Missing { .. }),
        "{:?}",
        verdict()
    );
}
