//! What a release manager waits for: one more release in a large repository, many files at once, and the memory of it.
//!
//! ```text
//! cargo bench -p repo-tool --bench releases
//! ```
//!
//! The repository has 100,000 files in 256 hashed bins, two people sign, and the image of the release is small, so that next to
//! nothing of the figures is work on payloads. For 10,000 files at once the peers are `sha256sum` over the same files and
//! python-tuf (a python3 with `tuf`: `PYTHON`, target/python or the path), which makes and signs the same roles. CPU is that of the
//! whole process (/proc/self/stat); memory is the greatest resident set (VmHWM) of a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark"
)]

mod measure;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use metadata_schema::name::TargetPath;
use repo_tool::{FileSource, ImageSource, ReleaseRequest, silent};

use measure::{peak_mib, timed};
use world::World;

const TARGETS: usize = 100_000;
const AT_ONCE: usize = 10_000;
const FILE: usize = 10 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if let [_, work, image] = arguments.as_slice()
        && work.starts_with("memory-")
    {
        memory(work, Path::new(image));
        println!("{}", peak_mib());
        return;
    }
    one_more_release();
    many_at_once();
    for work in ["memory-files", "memory-payload"] {
        for mebibytes in [64, 1024] {
            println!(
                "{work}, {mebibytes} MiB: peak {} MiB",
                child(work, mebibytes)
            );
        }
    }
}

fn one_more_release() {
    let mut world = World::new(256);
    let files = files(world.folder.path(), TARGETS, 64);
    let (_, added) = timed(|| world.add(&files));
    println!("{TARGETS} files: staged in {added}");
    let (_, signed) = timed(|| world.sign());
    println!("  257 roles signed by two people in {signed}");
    let (_, published) = timed(|| world.publish());
    println!("  published in {published}");
    for (number, version) in [(1, "1.0.0"), (2, "1.1.0")] {
        let before = world.metadata_files();
        let mut image = vec![number; 4096];
        image[0] = 0;
        let request = request(&world, version, ImageSource::Bytes(image));
        let now = world.now;
        let (_, staged) = timed(|| {
            world
                .repository
                .stage_release(&request, now, &silent)
                .unwrap();
        });
        let (_, signed) = timed(|| world.sign());
        let (_, published) = timed(|| world.publish());
        let all = staged + signed + published;
        let written = world.metadata_files() - before + 1;
        println!(
            "release {version}: {all} in all (stage {staged}, sign twice {signed}, publish {published}); \
             {written} metadata files written"
        );
    }
}

fn many_at_once() {
    let mut world = World::new(256);
    let files = files(world.folder.path(), AT_ONCE, FILE);
    let folder = world.folder.path().join("in");
    let sum = |processes: &str| {
        let script = format!(
            "find . -type f -print0 | xargs -0 -P {processes} -n 500 sha256sum > /dev/null"
        );
        timed(|| {
            run(Command::new("sh")
                .args(["-c", &script])
                .current_dir(&folder));
        })
        .1
    };
    let (one, two) = (sum("1"), sum("2"));
    let (_, added) = timed(|| world.add(&files));
    let (_, signed) = timed(|| world.sign());
    println!("{AT_ONCE} files of {FILE} bytes: sha256sum {one}; two of them at once {two}");
    println!("  add_files {added} (digests, copies, 256 roles), sign twice {signed}");
    let Some(python) = python() else {
        println!("  python-tuf is left out: no python3 with `tuf`");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/releases/python_tuf.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(&folder)
        .arg(world.folder.path().join("python"));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let seconds: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    let ours = (added + signed).seconds;
    println!(
        "  python-tuf {seconds:.2} s, {:.1} times as long",
        seconds / ours
    );
}

fn memory(work: &str, image: &Path) {
    let mut world = World::new(2);
    if work == "memory-files" {
        let path = TargetPath::new("router-x/large").unwrap();
        let from = image.to_owned();
        world.add(&[FileSource { path, from }]);
    } else {
        let request = request(&world, "1.0.0", ImageSource::File(image.to_owned()));
        let now = world.now;
        world
            .repository
            .stage_release(&request, now, &silent)
            .unwrap();
    }
}

fn child(work: &str, mebibytes: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let mut block: Vec<u8> = noise(1 << 16);
    block.resize(1 << 20, 0);
    let mut bytes = Vec::new();
    for _ in 0..8 {
        bytes.extend_from_slice(&block);
    }
    let mut file = fs::File::create(&image).unwrap();
    for _ in 0..mebibytes / 8 {
        std::io::Write::write_all(&mut file, &bytes).unwrap();
    }
    drop(file);
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.arg(work).arg(&image).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn request(world: &World, version: &str, image: ImageSource) -> ReleaseRequest {
    let channel = "stable".parse().unwrap();
    let mut request = ReleaseRequest::new(world.product(), channel, version.parse().unwrap());
    request.hardware = vec!["rev-a".parse().unwrap()];
    request.images.insert("rootfs".parse().unwrap(), image);
    request
}

/// So many different files of this length.
fn files(folder: &Path, count: usize, length: usize) -> Vec<FileSource> {
    let folder = folder.join("in");
    fs::create_dir_all(&folder).unwrap();
    let mut bytes = noise(length);
    (0..count)
        .map(|number| {
            let name = format!("{number:06}.bin");
            bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let from = folder.join(&name);
            fs::write(&from, &bytes).unwrap();
            let path = TargetPath::new(&format!("router-x/{name}")).unwrap();
            FileSource { path, from }
        })
        .collect()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

fn python() -> Option<PathBuf> {
    let given = std::env::var_os("PYTHON").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    given
        .into_iter()
        .chain([own, "python3".into()])
        .find(|python| {
            let asked = Command::new(python).args(["-c", "import tuf"]).output();
            asked.is_ok_and(|output| output.status.success())
        })
}
