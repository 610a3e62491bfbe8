//! The manual of release managers, run as it stands: every `sh` block of `docs/OPERATIONS.md`, in one shell, from an empty
//! directory, with the programs of this workspace.
//!
//! The manual is a year of its readers' life. Every state that is published in it is put by, and devices live through all of
//! them afterwards. What of the manual is run, and at which time, says [`blocks`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails should panic, in its helpers as well"
)]

mod blocks;
mod clients;
mod devices;
mod guide;
mod pki;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use blocks::{Block, Kind, blocks};

/// What the manual's reader does not see: programs under a clock, and a line before each command.
const PRELUDE: &str = r#"
set -euo pipefail
set +o history
NOW=
repo-tool() {
    if [ -n "$NOW" ]; then command repo-tool --at "$NOW" "$@"; else command repo-tool "$@"; fi || return
    if [ -f repo/published/metadata/timestamp.json ]; then put_by; fi
}
COUNT=100
put_by() {
    if cmp -s repo/published/metadata/timestamp.json "$STATES/$COUNT/published/metadata/timestamp.json"; then return; fi
    COUNT=$((COUNT + 1))
    mkdir "$STATES/$COUNT"
    cp -a repo/published "$STATES/$COUNT/published"
    if [ -n "$NOW" ]; then echo "$NOW"; else date -u +%Y-%m-%dT%H:%M:%SZ; fi > "$STATES/$COUNT/clock"
}
device-pki() {
    case "${1-}" in
        init | issue-* | revoke | crl) if [ -n "$NOW" ]; then command device-pki "$@" --at "$NOW"; return; fi ;;
    esac
    command device-pki "$@"
}
trap 'echo "FAILED in the block at line $BLOCK of the manual: $BASH_COMMAND" >&2' ERR
set -o errtrace
"#;

/// The folder where cargo puts programs; those that are not there yet are built.
fn programs() -> PathBuf {
    let own = env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap().to_owned();
    for name in [
        "repo-tool",
        "device-pki",
        "api-server",
        "updater",
        "device-channel",
    ] {
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
    let other = if peers {
        Kind::WithPeers
    } else {
        Kind::WithoutPeers
    };
    let wanted = |block: &&Block| block.kind == Kind::Run || block.kind == other;
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
    let states = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = env::join_paths(
        std::iter::once(programs()).chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let mut bash = Command::new("bash");
    if peers {
        // Carol's, whose PIN the manual has in `carol.pass`.
        token(home.path(), "release", "a passphrase of carol", &mut bash);
    }
    let output = bash
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("HOME", home.path())
        .env("STATES", states.path())
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
    let published = devices::states(states.path());
    let anchor = folder.path().join("pki/trust-anchor.pem");
    devices::follow(&published, &anchor);
    clients::follow(&published);
    if peers {
        python_tuf(states.path());
    }
}

/// A token for the manual's commands: SoftHSM in `home`.
fn token(home: &Path, label: &str, pin: &str, bash: &mut Command) {
    let modules = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
    let module = modules
        .iter()
        .map(|folder| Path::new(folder).join("softhsm/libsofthsm2.so"))
        .find(|path| path.is_file())
        .unwrap();
    let (tokens, conf) = (home.join("tokens"), home.join("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\n", tokens.display());
    fs::write(&conf, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label])
        .args(["--pin", pin, "--so-pin", "12345678"])
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    bash.env("SOFTHSM2_CONF", conf)
        .env("PKCS11_MODULE_PATH", module);
}

/// Another implementation's client lives through the same.
fn python_tuf(states: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manual/states.py");
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(script)
        .arg(states)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
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
