//! `docs/PKI.md`, run as it stands: a ceremony, a factory, a server, devices that enrol, renew, are revoked and come back.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::blocks::{Kind, blocks};

/// The manual's own ports, in the place of which free ones are used.
const PORTS: [&str; 5] = ["18443", "18444", "18445", "18446", "18447"];

const PRELUDE: &str = r#"
set -Eeuo pipefail
trap 'echo "FAILED in the block at line $BLOCK of the manual: $BASH_COMMAND" >&2; cat *.log >&2 || true' ERR
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
"#;

#[test]
#[ignore = "needs curl, openssl and SoftHSM: tests/peers has them"]
fn every_command_of_the_pki_manual_works() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PKI.md");
    let blocks = blocks(&fs::read_to_string(manual).unwrap());
    let wanted: Vec<_> = blocks.iter().filter(|b| b.kind == Kind::Run).collect();
    assert!(wanted.len() > 10, "{} blocks", wanted.len());
    let mut script = PRELUDE.to_owned();
    for block in wanted {
        write!(script, "BLOCK={}\n{}", block.line, block.text).unwrap();
    }
    // All at once, or the second could be the first again.
    let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    for (port, listener) in PORTS.iter().zip(&listeners) {
        let free = listener.local_addr().unwrap().port().to_string();
        script = script.replace(port, &free);
    }
    drop(listeners);
    let folder = tempfile::tempdir().unwrap();
    let path = env::var_os("PATH").unwrap();
    let path = env::join_paths(std::iter::once(crate::programs()).chain(env::split_paths(&path)));
    let mut bash = Command::new("timeout");
    // Its PIN is the one that the manual has in `ca.pin`.
    crate::token(folder.path(), "ceremony", "123456", &mut bash);
    let output = bash
        .args(["120", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{said}",
        String::from_utf8_lossy(&output.stderr)
    );
    for expected in [
        "Provisioned 3 devices, 0 were before",
        "as enrolling device  accepted",
        "urn:example:device:SN-0001 has a new certificate",
        "Revoked SN-0001",
        "G2 issues from now on",
        "entries, whole",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
}
