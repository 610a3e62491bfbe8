//! The manual of release managers, run as it stands: every `sh` block of `docs/OPERATIONS.md`, in one shell, from an empty
//! directory, with the programs of this workspace.
//!
//! `<!-- clock: TIME -->` before a block sets the time that the programs are given from there on; a block that begins with
//! `sh peers` needs programs of others, and runs with `tests/peers` only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails should panic, in its helpers as well"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// What the manual's reader does not see: programs under a clock, and a line before each command.
const PRELUDE: &str = r#"
set -euo pipefail
set +o history
NOW=
repo-tool() { if [ -n "$NOW" ]; then command repo-tool --at "$NOW" "$@"; else command repo-tool "$@"; fi; }
device-pki() {
    case "${1-}" in
        init | issue-* | revoke | crl) if [ -n "$NOW" ]; then command device-pki "$@" --at "$NOW"; return; fi ;;
    esac
    command device-pki "$@"
}
trap 'echo "FAILED in the block at line $BLOCK of the manual: $BASH_COMMAND" >&2' ERR
set -o errtrace
"#;

#[derive(PartialEq, Eq)]
enum Kind {
    /// An example of output, or of a file.
    Shown,
    Run,
    WithPeers,
}

struct Block {
    line: usize,
    clock: Option<String>,
    kind: Kind,
    text: String,
}

fn blocks(manual: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut clock = None;
    let mut open: Option<Block> = None;
    for (index, line) in manual.lines().enumerate() {
        if let Some(time) = line.strip_prefix("<!-- clock: ") {
            clock = Some(time.trim_end_matches(" -->").to_owned());
        } else if let Some(block) = &mut open {
            if line.starts_with("```") {
                blocks.extend(open.take());
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(info) = line.strip_prefix("```") {
            let mut words = info.split_whitespace();
            let run = words.next() == Some("sh");
            let peers = words.any(|word| word == "peers");
            let block = Block {
                line: index + 1,
                clock: clock.clone(),
                kind: match (run, peers) {
                    (false, _) => Kind::Shown,
                    (true, false) => Kind::Run,
                    (true, true) => Kind::WithPeers,
                },
                text: String::new(),
            };
            open = Some(block);
        }
    }
    blocks
}

/// The folder where cargo puts programs; those that are not there yet are built.
fn programs() -> PathBuf {
    let own = env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap().to_owned();
    for name in ["repo-tool", "device-pki"] {
        if !folder.join(name).is_file() {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--package", name]);
            if folder.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "cannot build {name}");
        }
    }
    folder
}

fn run(peers: bool) {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATIONS.md");
    let blocks = blocks(&fs::read_to_string(manual).unwrap());
    let wanted = |block: &&Block| block.kind == Kind::Run || peers && block.kind == Kind::WithPeers;
    let wanted: Vec<&Block> = blocks.iter().filter(wanted).collect();
    assert!(wanted.len() > 10, "{} blocks", wanted.len());
    let mut script = PRELUDE.to_owned();
    for block in wanted {
        writeln!(script, "BLOCK={}", block.line).unwrap();
        if let Some(clock) = &block.clock {
            writeln!(script, "NOW={clock}").unwrap();
        }
        script.push_str(&block.text);
    }
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = env::join_paths(
        std::iter::once(programs()).chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last: Vec<&str> = said.lines().rev().take(30).collect();
    assert!(
        output.status.success(),
        "{}\nlast lines of output, newest first:\n{}",
        String::from_utf8_lossy(&output.stderr),
        last.join("\n")
    );
}

#[test]
fn every_command_of_the_manual_runs() {
    run(false);
}

#[test]
#[ignore = "needs programs of others: run by tests/peers"]
fn every_command_of_the_manual_runs_with_programs_of_others() {
    run(true);
}
