//! A process that is killed at any instant leaves a usable store: nothing that is trusted falls, the next run finishes the job,
//! and nothing is taken for a fresh start. Kills are placed with `strace` at every system call that changes the state folder;
//! `tests/crash` installs it and runs this. The order of the calls is held against what makes them last.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use device_pki::{Thresholds, TrustAnchor};
use metadata_schema::limits::Limits;
use metadata_schema::name::{TargetPath, Version};
use metadata_schema::time::Timestamp;
use tempfile::TempDir;
use tests::simulator::{Delegation, Plan, Simulator};
use updater::bootstrap::{self, First};
use updater::clock::TimeFloor;
use updater::metadata_store::MetadataStore;
use updater::refresh::{Client, RunClock};
use updater::state_store::StateStore;
use updater::transport::folder::Folder;
use updater::trust::Trust;

/// Where everything stands; a variable of the environment, for the subject.
const PLACE: &str = "CRASH_TEST_PLACE";
/// The system calls that change a file system.
const CALLS: &str = "openat,write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate";
const SIGKILL: i32 = 9;

/// A folder with the anchor, root 1, a repository, and state folders by name.
#[derive(Clone)]
struct Place(PathBuf);

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn now() -> Timestamp {
        "2030-01-05T00:00:00Z".parse().unwrap()
    }

    fn trust(&self) -> Trust {
        let anchor = std::fs::read(self.path("anchor.pem")).unwrap();
        Trust::Pki {
            anchor: Box::new(TrustAnchor::from_pem(&anchor).unwrap()),
            thresholds: Thresholds::new(2, 2, 2),
        }
    }

    /// One run of a device whose state is in the folder `state`, as the updater does it: a blank one begins first.
    fn run(&self, state: &str, repository: &str) -> Result<(), updater::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let states = StateStore::open(&self.path(state))?;
            states.tidy()?;
            let trust = self.trust();
            let mut transport = Folder::new(&self.path(repository));
            let built = TimeFloor::factory("2030-01-01T00:00:00Z".parse().unwrap());
            let blank = bootstrap::since(&states)?.is_none();
            if blank && state.starts_with("blank") || state.starts_with("again") {
                let mut clock = RunClock::new(Self::now(), built, None);
                let first = First::Network(Version::FIRST);
                let limits = Limits::default();
                bootstrap::begin(&mut transport, &trust, limits, &states, first, &mut clock)
                    .await?;
            }
            let floor = states.time_floor()?.unwrap_or(built);
            let mut clock = RunClock::new(Self::now(), floor, Some(&states));
            let store = MetadataStore::open(&states.metadata())?;
            store.tidy()?;
            let mut client = Client {
                transport: &mut transport,
                store: &store,
                trust: &trust,
                limits: Limits::default(),
            };
            let root = std::fs::read(self.path("root.json")).unwrap();
            let mut set = client.refresh_by(&root, &mut clock).await?;
            bootstrap::note(&states, clock.reference().0)?;
            let path = TargetPath::new("p/firmware").unwrap();
            client.find(&mut set, &path).await.map(drop)
        })
    }

    /// The same as a process of its own, under `strace` with these arguments.
    fn traced(&self, arguments: &[&str], state: &str) -> std::process::ExitStatus {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-s", "8"]).args(arguments);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "subject", "--ignored", "--test-threads=1", "-q"]);
        let quiet = std::process::Stdio::null;
        command.env(PLACE, &self.0).env("CRASH_TEST_STATE", state);
        command.env("RUST_BACKTRACE", "0");
        command.stdout(quiet()).stderr(quiet());
        command
            .status()
            .expect("strace: install it with tests/crash")
    }

    fn copy(&self, from: &str, to: &str) {
        let _none_before = std::fs::remove_dir_all(self.path(to));
        std::fs::create_dir(self.path(to)).unwrap();
        for (name, bytes) in self.files(from) {
            let path = self.path(to).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    fn files(&self, state: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path(state)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.path(state)).unwrap().to_owned();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        files
    }

    fn version(&self, state: &str, role: &str) -> Option<u64> {
        let path = self.path(state).join(format!("metadata/{role}.json"));
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
        json["signed"]["version"].as_u64()
    }
}

/// A call that changes the state folder: its name, and the how manieth of that name in its thread it is.
#[derive(Clone, Debug)]
struct Change {
    call: String,
    number: usize,
    line: String,
}

/// Reads what `strace` wrote.
fn changes(log: &str, state: &Path) -> Vec<Change> {
    let state = state.display().to_string();
    let mut numbers = BTreeMap::<(String, String), usize>::new();
    let mut changes = Vec::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let call = call.trim_start();
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        let number = numbers.entry((thread.to_owned(), name.to_owned()));
        let number = *number.and_modify(|n| *n += 1).or_insert(1);
        let reads = name == "openat" && !call.contains("O_CREAT");
        if call.contains(&state) && !reads {
            changes.push(Change {
                call: name.to_owned(),
                number,
                line: call.to_owned(),
            });
        }
    }
    changes
}

/// Every file that takes its place was synced before, and its folder is synced before anything else happens.
fn assert_lasting(changes: &[Change]) {
    for (index, change) in changes.iter().enumerate() {
        if !change.call.starts_with("rename") {
            continue;
        }
        let quoted: Vec<&str> = change.line.split('"').collect();
        let (from, to) = (quoted[1], quoted[3]);
        let next = &changes[index + 1];
        let folder = Path::new(to).parent().unwrap().display().to_string();
        assert!(
            next.call == "fsync" && next.line.contains(&format!("<{folder}>")),
            "{} is followed by {}",
            change.line,
            next.line
        );
        if from.ends_with(".tmp") {
            let before = &changes[index - 1];
            assert!(
                before.call == "fsync" && before.line.contains(&format!("<{from}>")),
                "{} follows {}",
                change.line,
                before.line
            );
        }
    }
}

/// A repository as it was, as the device last saw it, and as it is now: every role has changed hands.
fn place() -> (TempDir, Place) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let place = Place(folder.path().canonicalize().unwrap());
    let start = "2030-01-01T00:00:00Z".parse().unwrap();
    let mut repository = Simulator::new(Plan::new("crash", start).with_pki());
    let pki = repository.pki().unwrap().clone();
    std::fs::write(place.path("anchor.pem"), pki.root().certificate().pem()).unwrap();
    let root = repository.root().of_version(1).unwrap();
    std::fs::write(place.path("root.json"), root).unwrap();
    repository.delegate("targets", &Delegation::new("product", &["p/*"]).keys(2, 2));
    repository.add_target("product", "p/firmware", b"v1");
    repository.publish();
    repository.dump(&place.path("before")).unwrap();
    repository.timestamp().edit();
    repository.publish_snapshot();
    repository.dump(&place.path("seen")).unwrap();
    for role in ["timestamp", "snapshot", "targets", "root"] {
        repository.rotate(role);
    }
    repository.publish_root();
    repository.rotate("root");
    repository.publish_root();
    repository.add_target("product", "p/firmware", b"v2");
    for ca in [pki.root(), pki.firmware()] {
        repository.add_crl(ca, 2, &[]);
    }
    // Issued later, so that the floor of the clock rises, too.
    let later = Some("2030-01-04T00:00:00Z".parse().unwrap());
    repository.targets("targets").edit().common.issued = later;
    repository.timestamp().edit().common.issued = later;
    repository.publish();
    repository.dump(&place.path("now")).unwrap();
    (folder, place)
}

/// What is run under `strace`.
#[test]
#[ignore = "started by killed_anywhere"]
fn subject() {
    let place = std::env::var_os(PLACE).expect("set by killed_anywhere");
    let state = std::env::var("CRASH_TEST_STATE").unwrap();
    Place(place.into()).run(&state, "now").unwrap();
}

/// The files that a device trusts when it has begun: all but the role that it then looks a target up in.
fn trusted(place: &Place, state: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = place.files(state);
    let looked_up = Path::new("metadata/product.json");
    files.retain(|path, _| path.starts_with("metadata") && path != looked_up);
    files
}

/// Kills a run at every change that it makes to a copy of `start`, and hands what is left to `check`.
fn kill_everywhere(place: &Place, start: &str, check: impl Fn(&str)) -> usize {
    let (state, whole) = (format!("{start}-cut"), format!("{start}-whole"));
    place.copy(start, &whole);
    let log = place.path("log");
    let trace = format!("trace={CALLS}");
    let status = place.traced(&["-e", &trace, "-o", log.to_str().unwrap()], &whole);
    assert!(status.success(), "{status}");
    let log = std::fs::read_to_string(log).unwrap();
    let changes = changes(&log, &place.path(&whole));
    assert_lasting(&changes);
    for change in &changes {
        let Change { call, number, line } = change;
        place.copy(start, &state);
        let inject = format!("inject={call}:signal=SIGKILL:when={number}");
        let trace = format!("trace={call}");
        let nothing = ["-o", "/dev/null"];
        let arguments = [&["-e", &trace, "-e", &inject][..], &nothing].concat();
        let status = place.traced(&arguments, &state);
        assert!(
            status.signal() == Some(SIGKILL) || status.code() == Some(128 + SIGKILL),
            "{status}: {line}"
        );
        check(line);
        place
            .run(&state, "now")
            .unwrap_or_else(|e| panic!("{line}: {}", e.in_one_line()));
        assert_eq!(place.files(&state), place.files(&whole), "{line}");
    }
    changes.len()
}

#[test]
#[ignore = "needs strace: run tests/crash"]
fn killed_anywhere() {
    let (_folder, place) = place();
    place.run("trusting", "seen").unwrap();
    let roles = ["root", "timestamp", "snapshot"];
    let trusted = roles.map(|role| place.version("trusting", role));
    let count = kill_everywhere(&place, "trusting", |line| {
        let found = roles.map(|role| place.version("trusting-cut", role));
        for ((role, trusted), found) in roles.iter().zip(trusted).zip(found) {
            // Files of keys that were retired are deleted; nothing older takes their place.
            let deleted = found.is_none() && *role != "root";
            assert!(deleted || found >= trusted, "{line}: {role} {found:?}");
        }
        // A mirror takes the chance to show what was there before.
        place.copy("trusting-cut", "shown");
        if place.run("shown", "before").is_ok() {
            panic!("{line}: an old state was accepted");
        }
        let shown = roles.map(|role| place.version("shown", role));
        assert!(shown[0] >= found[0], "{line}: {shown:?}");
        assert!(
            shown[1].is_none() || shown[1] >= trusted[1],
            "{line}: {shown:?}"
        );
    });
    println!("killed at {count} system calls of a refresh");
    assert!(count > 50, "{count}");
}

#[test]
#[ignore = "needs strace: run tests/crash"]
fn killed_anywhere_while_it_begins() {
    let (_folder, place) = place();
    std::fs::create_dir(place.path("blank")).unwrap();
    let count = kill_everywhere(&place, "blank", |line| {
        let states = StateStore::open(&place.path("blank-cut")).unwrap();
        let begun = bootstrap::since(&states).unwrap_or_else(|e| panic!("{line}: {e}"));
        let root = place.path("blank-cut/metadata/root.json");
        assert_eq!(begun.is_some(), root.exists(), "{line}");
    });
    println!("killed at {count} system calls of a beginning");
    assert!(count > 60, "{count}");
}

#[test]
#[ignore = "needs strace: run tests/crash"]
fn killed_anywhere_while_it_begins_again() {
    let (_folder, place) = place();
    place.run("again", "seen").unwrap();
    place.copy("again", "again-new");
    place.run("again-new", "now").unwrap();
    let old = trusted(&place, "again");
    let new = trusted(&place, "again-new");
    let count = kill_everywhere(&place, "again", |line| {
        let states = StateStore::open(&place.path("again-cut")).unwrap();
        let begun = bootstrap::since(&states).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(begun.is_some(), "{line}");
        let store = MetadataStore::open(&states.metadata()).unwrap();
        store.tidy().unwrap();
        let found = trusted(&place, "again-cut");
        assert!(found == old || found == new, "{line}");
    });
    println!("killed at {count} system calls of a second beginning");
    assert!(count > 60, "{count}");
}
