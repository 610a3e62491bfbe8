//! The contract of `tuf-conformance-client`'s command line, kept without the suite that it is for: exit codes, file names, requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use metadata_schema::time::Timestamp;
use tempfile::TempDir;
use tests::conformance::file_name;
use tests::simulator::serve::Served;
use tests::simulator::{Delegation, Plan, Simulator};

/// A repository behind a port, and a client that has not begun.
struct World {
    served: Served,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_unix_seconds(since.as_secs().try_into().unwrap());
        let repository = Simulator::new(Plan::new("conformance", now));
        Self {
            served: Served::start(repository).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The same, and the client knows the first root.
    fn begun() -> Self {
        let world = Self::new();
        assert_eq!(world.init(), 0);
        world
    }

    fn metadata(&self) -> PathBuf {
        self.folder.path().join("metadata")
    }

    fn targets(&self) -> PathBuf {
        self.folder.path().join("targets")
    }

    fn init(&self) -> i32 {
        let root = self
            .served
            .repository()
            .file("metadata/1.root.json")
            .unwrap();
        self.init_with(&root)
    }

    fn init_with(&self, root: &[u8]) -> i32 {
        let path = self.folder.path().join("initial_root.json");
        std::fs::write(&path, root).unwrap();
        self.run(&["init", path.to_str().unwrap()])
    }

    fn refresh(&self) -> i32 {
        self.run(&["--metadata-url", &self.served.metadata_url(), "refresh"])
    }

    fn download(&self, names: &[&str]) -> i32 {
        let (metadata, targets) = (self.served.metadata_url(), self.served.targets_url());
        let folder = self.targets();
        let mut arguments = vec!["--metadata-url", &metadata];
        for name in names {
            arguments.extend(["--target-name", name]);
        }
        arguments.extend(["--target-base-url", &targets]);
        arguments.extend(["--target-dir", folder.to_str().unwrap(), "download"]);
        self.run(&arguments)
    }

    fn run(&self, arguments: &[&str]) -> i32 {
        let done = Command::new(env!("CARGO_BIN_EXE_tuf-conformance-client"))
            .env("NO_PROXY", "127.0.0.1")
            .args(["--metadata-dir", self.metadata().to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        let code = done.status.code().unwrap();
        assert_eq!(
            code == 0,
            done.stderr.is_empty(),
            "a failure says why: {done:?}"
        );
        code
    }

    fn requests(&self) -> Vec<String> {
        self.served.repository().take_requests()
    }

    /// The names of the metadata files that the client trusts.
    fn trusted(&self) -> Vec<String> {
        let names = files(&self.metadata()).into_keys();
        names.filter(|name| !name.contains('/')).collect()
    }
}

/// All files in a folder and below, by path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let below = files(&path).into_iter();
            found.extend(below.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn init_stores_the_root_and_asks_for_nothing() {
    let world = World::new();
    assert_eq!(world.init(), 0);
    assert_eq!(world.trusted(), ["root.json"]);
    assert!(world.requests().is_empty());
}

#[test]
fn without_a_root_nothing_is_asked_for() {
    let world = World::new();
    assert_eq!(world.refresh(), 1);
    for root in ["", "{}", r#"{"signed":{"_type":"root"},"signatures":[]}"#] {
        assert_eq!(world.init_with(root.as_bytes()), 1, "{root}");
        assert_eq!(world.refresh(), 1, "{root}");
    }
    assert!(world.requests().is_empty() && world.trusted().is_empty());
}

#[test]
fn refresh_stores_unversioned_names_and_asks_for_no_more_than_it_needs() {
    let world = World::begun();
    assert_eq!(world.refresh(), 0);
    let asked = ["2.root", "timestamp", "1.snapshot", "1.targets"];
    assert_eq!(
        world.requests(),
        asked.map(|n| format!("metadata/{n}.json"))
    );
    let names = [
        "root.json",
        "snapshot.json",
        "targets.json",
        "timestamp.json",
    ];
    assert_eq!(world.trusted(), names);
    assert_eq!(world.refresh(), 0);
    let asked = ["2.root", "timestamp"].map(|n| format!("metadata/{n}.json"));
    assert_eq!(world.requests(), asked);

    let mut repository = world.served.repository();
    repository
        .add_target("targets", "new", b"new")
        .publish_root()
        .publish();
    let expected = ["2.root", "timestamp", "2.snapshot", "2.targets"]
        .map(|name| repository.file(&format!("metadata/{name}.json")).unwrap());
    drop(repository);
    assert_eq!(world.refresh(), 0);
    let stored = files(&world.metadata());
    for (name, bytes) in ["root", "timestamp", "snapshot", "targets"]
        .iter()
        .zip(expected)
    {
        assert_eq!(stored[&format!("{name}.json")], *bytes, "{name}");
    }
}

#[test]
fn a_refused_file_is_exit_code_1_and_what_came_before_stays() {
    let world = World::begun();
    world.served.repository().snapshot().signers_mut().clear();
    assert_eq!(world.refresh(), 1);
    assert_eq!(world.trusted(), ["root.json", "timestamp.json"]);
}

#[test]
fn a_target_is_fetched_once_for_as_long_as_it_stays_the_same() {
    let world = World::begun();
    let only = || {
        let all = files(&world.targets());
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    world
        .served
        .repository()
        .add_target("targets", "fw", b"one")
        .publish();
    for fetches in [1, 0] {
        assert_eq!(world.download(&["fw"]), 0);
        let requests = world.requests();
        let targets = requests.iter().filter(|r| r.starts_with("targets/"));
        assert_eq!(targets.count(), fetches);
        assert_eq!(only(), ("fw".to_owned(), b"one".to_vec()));
    }
    // Damaged on disk: fetched again.
    std::fs::write(world.targets().join("fw"), b"One").unwrap();
    assert_eq!(world.download(&["fw"]), 0);
    assert_eq!(only().1, b"one");
    // Changed by the repository: the new one takes the place of the old one.
    world
        .served
        .repository()
        .add_target("targets", "fw", b"two")
        .publish();
    assert_eq!(world.download(&["fw"]), 0);
    assert_eq!(only(), ("fw".to_owned(), b"two".to_vec()));
    // Other bytes than were signed: what is there stays, and nothing stands beside it.
    let mut repository = world.served.repository();
    repository.add_target("targets", "fw", b"three").publish();
    drop(repository);
    for bytes in ["thrEE", "thre", "three and more"] {
        let digest = metadata_schema::digest::Sha256Digest::of(b"three");
        let name = format!("targets/{digest}.fw");
        world.served.repository().replace(&name, bytes.as_bytes());
        assert_eq!(world.download(&["fw"]), 1);
        assert_eq!(only().1, b"two");
    }
}

#[test]
fn several_targets_go_by_one_refresh_and_stop_at_the_first_failure() {
    let world = World::begun();
    let mut repository = world.served.repository();
    repository.delegate("targets", &Delegation::new("role", &["r/*"]));
    repository.add_target("targets", "a", b"a");
    repository.add_target("role", "r/b", b"b");
    repository.add_target("role", "r/c", b"c").publish();
    drop(repository);
    assert_eq!(world.download(&["r/b", "a", "r/c"]), 0);
    let requests = world.requests();
    let metadata: Vec<&str> = requests
        .iter()
        .filter_map(|r| r.strip_prefix("metadata/"))
        .collect();
    let expected = [
        "2.root.json",
        "timestamp.json",
        "2.snapshot.json",
        "2.targets.json",
        "1.role.json",
    ];
    assert_eq!(metadata, expected);
    let order = requests.iter().filter_map(|r| r.strip_prefix("targets/"));
    let order: Vec<&str> = order.map(|r| r.rsplit('.').next().unwrap()).collect();
    assert_eq!(order, ["b", "a", "c"]);

    let world = World::begun();
    world.served.repository().add_target("targets", "a", b"a");
    world
        .served
        .repository()
        .add_target("targets", "c", b"c")
        .publish();
    assert_eq!(world.download(&["a", "none", "c"]), 1);
    assert_eq!(
        files(&world.targets()).into_keys().collect::<Vec<_>>(),
        ["a"]
    );
}

#[test]
fn target_names_are_encoded_exactly_and_stay_in_their_folder() {
    for (name, encoded) in [
        ("a#b", "a%23b"),
        ("a?b", "a%3Fb"),
        ("a%b", "a%25b"),
        ("a%2Fb", "a%252Fb"),
        ("a b", "a%20b"),
        (
            "a+b&c=d;e,f@g:h!$'()*~",
            "a%2Bb%26c%3Dd%3Be%2Cf%40g%3Ah%21%24%27%28%29%2A~",
        ),
        (
            "schön/e\u{301}/日本",
            "sch%C3%B6n/e%CC%81/%E6%97%A5%E6%9C%AC",
        ),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("dir.with.dots/..a", "dir.with.dots/..a"),
    ] {
        let world = World::begun();
        world
            .served
            .repository()
            .add_target("targets", name, b"it")
            .publish();
        assert_eq!(world.download(&[name]), 0, "{name}");
        let digest = metadata_schema::digest::Sha256Digest::of(b"it");
        let (folder, file) = encoded.split_at(encoded.rfind('/').map_or(0, |slash| slash + 1));
        let path = format!("/targets/{folder}{digest}.{file}");
        assert_eq!(world.served.take_paths().last(), Some(&path), "{name}");
        let stored = files(&world.targets());
        assert_eq!(stored, [(file_name(name), b"it".to_vec())].into(), "{name}");
        assert!(!file_name(name).starts_with('.') && !file_name(name).contains('/'));
    }
}

#[test]
fn long_names_are_stored_and_do_not_meet() {
    let world = World::begun();
    let names = ["x", "y"].map(|end| format!("{}{end}", "é/".repeat(240)));
    for name in &names {
        let mut repository = world.served.repository();
        repository.add_target("targets", name, name.as_bytes());
    }
    world.served.repository().publish();
    assert_eq!(world.download(&[&names[0], &names[1]]), 0);
    let stored = files(&world.targets());
    for name in &names {
        assert_eq!(stored[&file_name(name)], name.as_bytes());
    }
}

#[test]
fn names_that_lead_out_of_their_folder_are_refused() {
    let world = World::begun();
    for name in [
        "../up",
        "/etc/passwd",
        "a/../../up",
        "a//b",
        "./a",
        "",
        "a\\b",
    ] {
        assert_eq!(world.download(&[name]), 1, "{name}");
    }
    assert!(files(&world.targets()).is_empty());
}

#[test]
fn role_names_are_encoded_exactly_and_stay_in_their_folder() {
    for (role, encoded) in [
        ("?", "%3F"),
        ("#", "%23"),
        ("%", "%25"),
        ("/role", "%2Frole"),
        ("../role", "..%2Frole"),
        ("a b", "a%20b"),
        ("1.root", "1.root"),
        ("schön", "sch%C3%B6n"),
    ] {
        let world = World::begun();
        let mut repository = world.served.repository();
        repository.delegate("targets", &Delegation::new(role, &["*"]));
        repository.add_target(role, "fw", b"it").publish();
        drop(repository);
        assert_eq!(world.download(&["fw"]), 0, "{role}");
        let paths = world.served.take_paths();
        let path = format!("/metadata/1.{encoded}.json");
        assert!(paths.contains(&path), "{role}: {paths:?}");
        assert_eq!(world.trusted().len(), 5, "{role}: {:?}", world.trusted());
        let around = files(world.folder.path()).into_keys();
        let strays = around.filter(|path| !path.contains('/') && path != "initial_root.json");
        assert_eq!(strays.count(), 0, "{role}");
        // The role is used from the store the next time.
        assert_eq!(world.download(&["fw"]), 0, "{role}");
        assert!(!world.served.take_paths().contains(&path), "{role}");
    }
}

#[test]
fn what_is_missing_on_the_command_line_is_exit_code_1() {
    let world = World::begun();
    let url = world.served.metadata_url();
    for arguments in [
        &["refresh"][..],
        &["download"],
        &["--metadata-url", &url, "download"],
        &["--metadata-url", &url, "--target-name", "x", "download"],
        &["unheard-of"],
        &["--unheard-of", "refresh"],
    ] {
        assert_eq!(world.run(arguments), 1, "{arguments:?}");
    }
    assert!(world.requests().is_empty());
}
