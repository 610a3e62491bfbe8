//! What a refresh costs: the device's client beside sigstore-tuf and python-tuf, over HTTP, in one run on one machine.
//!
//! ```text
//! cargo bench -p tests --bench refresh
//! ```
//!
//! The repository has 100,000 targets in 1,024 hashed bins. Each client is a process of its own. *First* is a device that knows
//! only root 1: refresh, and look up one target. *Idle* is the same device again when nothing has changed. CPU is that of the
//! whole process; for `python, warm` it is counted from the end of the imports on. Memory is the greatest resident set (VmHWM).
//! Absolute times depend on the machine: read the ratios.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

mod measured;
mod ours;
mod relay;
mod sigstore;

use std::path::{Path, PathBuf};
use std::process::Command;

use metadata_schema::digest::{Hashes, Sha256Digest};
use metadata_schema::roles::TargetFile;
use tests::simulator::serve::Served;
use tests::simulator::{Plan, Simulator};

use measured::Measured;
use relay::Relay;

const TARGETS: u32 = 100_000;
const BINS: u32 = 1_024;
/// Runs of each client; the table has their medians.
const RUNS: usize = 7;

/// python-tuf, with the start of its interpreter, and without.
const PYTHON: &str = "python-tuf";
const WARM_PYTHON: &str = "python, warm";

/// What a child process is told.
struct Job {
    url: String,
    folder: PathBuf,
    root: PathBuf,
    path: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, url, folder, root, path] = arguments.as_slice()
        && let Some(run) = client(role)
    {
        let job = Job {
            url: url.clone(),
            folder: folder.into(),
            root: root.into(),
            path: path.clone(),
        };
        run(&job);
        println!("{}", Measured::of_this_process());
        return;
    }
    // `cargo test --benches` asks every benchmark whether it runs at all.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    compare();
}

fn client(name: &str) -> Option<fn(&Job)> {
    match name {
        "as-ours" => Some(ours::run),
        "as-sigstore-tuf" => Some(sigstore::run),
        _ => None,
    }
}

fn compare() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("1.root.json");
    let (mut repository, path) = repository();
    let root_bytes = repository.root().of_version(1).unwrap();
    std::fs::write(&root, root_bytes).unwrap();
    let served = Served::start(repository).unwrap();
    let relay = Relay::start(served.address());
    let python = python();
    if python.is_none() {
        println!(
            "python-tuf is left out: no python3 with `tuf` in target/python (tests/peers installs it) or on the path"
        );
    }
    println!("{TARGETS} targets in {BINS} bins; medians of {RUNS} runs\n");
    println!("client         run    requests   bytes in   bytes out    CPU ms   peak MiB");
    let mut medians = Vec::new();
    for name in ["ours", "sigstore-tuf", PYTHON, WARM_PYTHON] {
        let python = match (name, &python) {
            (PYTHON | WARM_PYTHON, None) => continue,
            (PYTHON | WARM_PYTHON, Some(python)) => Some(python.as_path()),
            _ => None,
        };
        let mut runs = Vec::new();
        for run in 0..RUNS {
            let job = Job {
                url: format!("http://{}/", relay.address()),
                folder: folder.path().join(format!("{name}-{run}")),
                root: root.clone(),
                path: path.clone(),
            };
            std::fs::create_dir(&job.folder).unwrap();
            let first = measure(name, python, &job, &served, &relay);
            let idle = measure(name, python, &job, &served, &relay);
            runs.push([first, idle]);
        }
        for (index, label) in ["first", "idle"].into_iter().enumerate() {
            let of_kind: Vec<Measured> = runs.iter().map(|run| run[index].clone()).collect();
            let median = Measured::median(&of_kind);
            println!("{name:<14} {label:<6} {median:#}");
            medians.push((name, label, median));
        }
    }
    println!();
    for label in ["first", "idle"] {
        let of = |name: &str| {
            let mut found = medians.iter();
            found
                .find(|(n, l, _)| *n == name && *l == label)
                .map(|(_, _, m)| m)
        };
        let ours = of("ours").unwrap();
        for peer in ["sigstore-tuf", PYTHON, WARM_PYTHON] {
            if let Some(theirs) = of(peer) {
                println!("{label}: {}", theirs.relative_to(ours, peer));
            }
        }
    }
}

/// Runs one client as a process, and says what it cost and what it asked for.
fn measure(
    name: &str,
    python: Option<&Path>,
    job: &Job,
    served: &Served,
    relay: &Relay,
) -> Measured {
    served.take_paths();
    relay.take();
    let mut command = match python {
        Some(python) => {
            let mut command = Command::new(python);
            command.arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/benches/refresh/python_tuf.py"
            ));
            command.env("SINCE_IMPORTS", if name == WARM_PYTHON { "1" } else { "" });
            command
        }
        None => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg(format!("as-{name}"));
            command
        }
    };
    let output = command
        .arg(&job.url)
        .args([&job.folder, &job.root])
        .arg(&job.path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut measured: Measured = text
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .unwrap_or_else(|| panic!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    measured.requests = served.take_paths().len();
    (measured.bytes_in, measured.bytes_out) = relay.take();
    measured
}

/// The repository, and the path of one of its targets.
fn repository() -> (Simulator, String) {
    let plan = Plan::new("benchmark", "2030-01-01T00:00:00Z".parse().unwrap());
    let mut repository = Simulator::new(plan);
    repository.delegate_bins("targets", BINS);
    let path = |n: u32| format!("firmware/product-{}/image-{n:06}.bin", n % 97);
    for n in 0..TARGETS {
        let hashes = Hashes::sha256(Sha256Digest::of(&n.to_be_bytes()));
        repository.describe_in_bin(BINS, &path(n), TargetFile::new(u64::from(n), hashes));
    }
    repository.publish();
    (repository, path(TARGETS / 3))
}

fn python() -> Option<PathBuf> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/bin/python3");
    let candidates = [PathBuf::from(own), PathBuf::from("python3")];
    candidates.into_iter().find(|python| {
        let tried = Command::new(python)
            .args(["-c", "import tuf.ngclient"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    })
}
