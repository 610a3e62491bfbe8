//! Pushing to servers that others wrote: S3's protocol by moto, WebDAV by wsgidav. Pushes are killed in the middle, and a reader
//! looks after each.
//!
//! Needs the programs `moto_server` and `wsgidav` (packages of PyPI).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    dead_code,
    reason = "a test that fails should panic, in its helpers as well"
)]

#[path = "flow/support.rs"]
mod support;

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use repo_tool::remote::{self, Content, InsteadOf, Terms};
use repo_tool::{Repository, VerifyOptions, silent};

use support::{Person, World, now, release, sign_and_publish};

/// A server that ends with the test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let mut command = command(port);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        unreachable!("the server does not listen");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Bytes that do not compress, above the length that is sent in one part.
fn large(seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..20_000_000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        })
        .collect()
}

fn publish(repository: &Repository, version: &str, seed: u64, people: [&Person; 2]) {
    repository
        .stage_release(&release(version, &large(seed)), now(), &silent)
        .unwrap();
    sign_and_publish(repository, &people, now());
}

fn push(folder: &Path, to: &str, arguments: &[&str], port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_repo-tool"));
    command
        .args(["--at", "2026-03-01T12:00:00Z", "--json", "push"])
        .args([folder.as_os_str(), to.as_ref()])
        .args(arguments)
        .env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .env("AWS_ACCESS_KEY_ID", "somebody")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The variables that a push is given.
fn environment(folder: &Path, to: &str, port: u16) -> Vec<(OsString, OsString)> {
    let push = push(folder, to, &[], port);
    let set = push.get_envs();
    set.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}

/// What a push says, which must succeed.
fn pushed(mut command: Command) -> serde_json::Value {
    answer(&command.output().unwrap())
}

/// The answer of a command that succeeded.
fn answer(output: &Output) -> serde_json::Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The version that a device is offered by what `fetch` puts into a folder.
fn offered(world: &World, fetch: &dyn Fn(&Path)) -> String {
    let there = tempfile::tempdir().unwrap();
    fetch(there.path());
    let options = VerifyOptions::new(world.anchor());
    let report = repo_tool::verify(there.path(), &options, now(), &silent).unwrap();
    report.releases[0].version.clone()
}

/// Two releases; the push of the second is killed again and again.
fn kills_in_the_middle(to: &str, port: u16, fetch: &dyn Fn(&Path)) {
    let (world, repository, [alice, bob, _]) = World::published();
    let folder = world.folder.path();
    publish(&repository, "1.0.0", 1, [&alice, &bob]);
    let first = pushed(push(folder, to, &[], port));
    assert!(first["bytes"].as_u64().unwrap() > 20_000_000, "{first}");
    assert_eq!(offered(&world, fetch), "1.0.0");
    publish(&repository, "1.1.0", 2, [&alice, &bob]);

    let planned = pushed(push(folder, to, &["--dry-run"], port));
    let planned = planned["sent"].as_array().unwrap().len();
    let mut killed = 0;
    for delay in (50..).step_by(100) {
        let mut running = push(folder, to, &[], port).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let done = running.try_wait().unwrap();
        running.kill().ok();
        let status = running.wait().unwrap();
        let seen = offered(&world, fetch);
        if done.is_some() {
            assert!(status.success());
            assert_eq!(seen, "1.1.0");
            break;
        }
        killed += 1;
        assert!(seen == "1.0.0" || seen == "1.1.0", "{seen}");
    }
    assert!(killed >= 2, "{killed} kills");
    let again = pushed(push(folder, to, &["--all"], port));
    assert_eq!(
        again["sent"][0]["path"], "metadata/timestamp.json",
        "{again}"
    );
    assert!(planned > 4);
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_repo-tool"));
    doctor.envs(environment(folder, to, port));
    doctor.args([
        "--at",
        "2026-03-01T12:00:00Z",
        "--json",
        "doctor",
        "--url",
        to,
    ]);
    let output = doctor.arg(folder).output().unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["facts"]["mirror"]["state"], "equal", "{output:?}");

    // Read as a device does, over the network.
    let mut verify = Command::new(env!("CARGO_BIN_EXE_repo-tool"));
    verify.envs(environment(folder, to, port));
    verify.args(["--at", "2026-03-01T12:00:00Z", "--json", "verify", to]);
    let output = verify.arg("--anchor").arg(folder.join("anchor.pem"));
    let seen = answer(&output.output().unwrap());
    assert_eq!(seen["releases"][0]["version"], "1.1.0", "{seen}");

    // A colleague's folder pushed meanwhile: nothing is overwritten.
    repository.refresh(now(), true).unwrap();
    pushed(push(folder, to, &[], port));
    let older = tempfile::tempdir().unwrap();
    copy(folder, older.path());
    repository.refresh(now(), true).unwrap();
    pushed(push(folder, to, &[], port));
    let output = push(older.path(), to, &[], port).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");

    // What nothing leads to goes, at the server as well.
    let mut prune = Command::new(env!("CARGO_BIN_EXE_repo-tool"));
    let template = push(folder, to, &[], port);
    prune.envs(
        template
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    prune
        .args(["--at", "2026-05-01T12:00:00Z", "--json", "prune"])
        .arg(folder)
        .args(["--to", to])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let removed = pushed(prune);
    let there = removed["removed"].as_array().unwrap().iter();
    assert!(
        there.filter(|file| file["place"] == to).count() > 3,
        "{removed}"
    );
    assert_eq!(offered(&world, fetch), "1.1.0");
}

/// Reads a bucket by the interface of its own makers.
const FETCH: &str = r#"
import os, sys, boto3
endpoint, folder = sys.argv[1:]
store = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="somebody", aws_secret_access_key="secret", region_name="us-east-1")
for page in store.get_paginator("list_objects_v2").paginate(Bucket="firmware", Prefix="prod/"):
    for found in page.get("Contents", []):
        path = os.path.join(folder, found["Key"].removeprefix("prod/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        store.download_file("firmware", found["Key"], path)
"#;

fn copy(from: &Path, to: &Path) {
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
#[ignore = "needs moto_server: run by tests/peers"]
fn a_store_that_speaks_s3() {
    let server = Server::start(|port| {
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    });
    let port = server.port;
    let bucket = format!("http://127.0.0.1:{port}");
    let made = remote::open(&bucket.parse().unwrap()).unwrap();
    let terms = Terms {
        content_type: "application/octet-stream",
        cache_control: "no-store".to_owned(),
        instead_of: InsteadOf::Anything,
    };
    // `PUT /firmware` makes the bucket.
    made.write("firmware", Content::Bytes(b""), &terms).unwrap();
    kills_in_the_middle("s3://firmware/prod", port, &|folder| {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let status = Command::new(python)
            .args(["-c", FETCH, &bucket])
            .arg(folder)
            .status()
            .unwrap();
        assert!(status.success());
    });
}

#[test]
#[ignore = "needs wsgidav: run by tests/peers"]
fn a_webdav_server() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("prod")).unwrap();
    let server = Server::start(|port| {
        let mut command = Command::new("wsgidav");
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .arg("--root")
            .arg(root.path())
            .args(["--auth", "anonymous", "--no-config"]);
        command
    });
    let url = format!("http://127.0.0.1:{}/prod", server.port);
    kills_in_the_middle(&url, server.port, &|folder| {
        copy(&root.path().join("prod"), folder);
    });
}
