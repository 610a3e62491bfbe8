//! Keys on PKCS#11 tokens: SoftHSM. Run by `tests/peers`, which installs it, and OpenSC's pkcs11-tool.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    dead_code,
    reason = "a test that fails should panic, in its helpers as well"
)]

#[path = "flow/support.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use device_pki::SubjectKey;
use support::World;

const ROLES: [&str; 3] = ["root", "targets", "delegated:router-x"];

/// A folder with a token of its own.
struct Bench {
    world: World,
    module: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let places = [
            "/usr/lib/softhsm",
            "/usr/lib64/softhsm",
            "/usr/local/lib/softhsm",
        ];
        let found = places
            .iter()
            .map(|folder| Path::new(folder).join("libsofthsm2.so"));
        let module = found.into_iter().find(|path| path.is_file()).unwrap();
        let bench = Self {
            world: World::new(),
            module,
        };
        fs::create_dir(bench.path("tokens")).unwrap();
        let conf = format!(
            "directories.tokendir = {}\n",
            bench.path("tokens").display()
        );
        fs::write(bench.path("softhsm2.conf"), conf).unwrap();
        fs::write(bench.path("pin"), "1234\n").unwrap();
        fs::write(bench.path("wrong-pin"), "9999\n").unwrap();
        let anchor = bench.world.root.certificate().pem();
        fs::write(bench.path("root.pem"), anchor).unwrap();
        bench.make_token("release");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.folder.path().join(name)
    }

    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("PKCS11_MODULE_PATH", &self.module)
            .env_remove("REPO_TOOL_PASSPHRASE")
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(self.world.folder.path());
        command
    }

    fn make_token(&self, label: &str) {
        let made = self
            .program("softhsm2-util")
            .args([
                "--init-token",
                "--free",
                "--label",
                label,
                "--pin",
                "1234",
                "--so-pin",
                "5678",
            ])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn run(&self, line: &str) -> Output {
        self.program(env!("CARGO_BIN_EXE_repo-tool"))
            .args(line.split_whitespace())
            .args(["--at", "2026-03-01T12:00:00Z"])
            .output()
            .unwrap()
    }

    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, line: &str) -> String {
        let output = self.run(line);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(8), "{line}\n{error}");
        error
    }

    /// Certifies the holder of `NAME.pub`.
    fn certify(&mut self, name: &str) {
        let pem = fs::read(self.path(&format!("{name}.pub"))).unwrap();
        let subject = SubjectKey::from_public_key_pem(name, &pem).unwrap();
        let (_, holder) = self.world.certify(name, &ROLES, &subject);
        let chain = holder.pem_chain().concat();
        fs::write(self.path(&format!("{name}.pem")), chain).unwrap();
    }

    fn uri(&self, name: &str) -> String {
        format!("pkcs11:token=release;object={name}")
    }
}

#[test]
#[ignore = "needs SoftHSM and OpenSC: tests/peers"]
fn tokens_sign_with_every_algorithm() {
    let mut bench = Bench::new();
    let pin = format!("?pin-source=file:{}", bench.path("pin").display());
    let mut init =
        "init repo --anchor root.pem --threshold 6 --product router-x --product-threshold 6"
            .to_owned();
    for algorithm in ["ed25519", "p256", "p384", "rsa-3072"] {
        let uri = bench.uri(algorithm);
        let line = format!(
            "keygen {uri} --algorithm {algorithm} --public {algorithm}.pub --passphrase-file pin"
        );
        let text = bench.ok(&line);
        assert!(text.contains("key id     "), "{text}");
        let error = bench.fails(&line.replace(".pub", ".other"));
        assert!(error.contains("has a key"), "{error}");
    }
    // Keys that OpenSC makes; one that wants its PIN for each signature.
    for (name, kind, more) in [
        ("opensc", "EC:prime256v1", ""),
        ("each", "rsa:2048", "--always-auth"),
    ] {
        let id = if name == "each" { "0b" } else { "0a" };
        let made = bench
            .program("pkcs11-tool")
            .arg("--module")
            .arg(&bench.module)
            .args("--login --pin 1234 --keypairgen --usage-sign --key-type".split(' '))
            .args([kind, "--label", name, "--id", id])
            .args(more.split_whitespace())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        bench.ok(&format!(
            "keys public {}{pin} --public {name}.pub",
            bench.uri(name)
        ));
    }
    let names = ["ed25519", "p256", "p384", "rsa-3072", "opensc", "each"];
    let listed = bench.ok("keys list");
    for name in names {
        bench.certify(name);
        init += &format!(" --root-signer {name}.pem --product-signer {name}.pem");
        assert!(listed.contains(&format!("object={name};")), "{listed}");
    }
    bench.ok(&init);
    for name in names {
        let (uri, again) = (bench.uri(name), bench.uri(name));
        // The PIN by URI, or as any passphrase.
        let text = bench.ok(&format!("sign repo --key {uri}{pin} --yes"));
        assert!(text.contains("signed root v1: "), "{text}");
        let text = bench.ok(&format!(
            "sign repo --key {again} --passphrase-file pin --yes"
        ));
        assert!(text.contains("(as before)"), "{text}");
    }
    bench.ok("publish repo");
    bench.ok("verify repo --anchor root.pem");
}

#[test]
#[ignore = "needs SoftHSM and OpenSC: tests/peers"]
fn what_is_wrong_with_a_token_is_said() {
    let bench = Bench::new();
    bench.make_token("release-2");
    bench.ok("keygen pkcs11:token=release;object=alice --passphrase-file pin");
    let show =
        |uri: &str, pin: &str| bench.fails(&format!("keys public {uri} --passphrase-file {pin}"));
    let error = show("pkcs11:token=release;object=alice", "wrong-pin");
    assert!(error.contains("wrong PIN for token \"release\""), "{error}");
    assert!(error.contains("Hint: nothing was tried again"), "{error}");
    let error = show("pkcs11:token=lost;object=alice", "pin");
    assert!(error.contains("no token is labelled \"lost\""), "{error}");
    assert!(error.contains("sees \"release"), "{error}");
    let error = show("pkcs11:object=alice", "pin");
    assert!(error.contains("several tokens are here"), "{error}");
    let error = show("pkcs11:token=release;object=bob", "pin");
    assert!(
        error.contains("token \"release\" has no private key \"bob\"; it has \"alice\" (id "),
        "{error}"
    );
    let error = show(
        "pkcs11:token=release;object=alice?module-path=/nowhere.so",
        "pin",
    );
    assert!(
        error.contains("cannot use the PKCS#11 module /nowhere.so: there is no such file"),
        "{error}"
    );
    let error = show("pkcs11:token=release?module-path=/etc/passwd", "pin");
    assert!(
        error.contains("cannot use the PKCS#11 module /etc/passwd"),
        "{error}"
    );
    let misspelt = bench.run("keys public pkcs11:token=release;objekt=alice");
    let error = String::from_utf8(misspelt.stderr).unwrap();
    assert!(error.contains("\"objekt\" is not followed here"), "{error}");
    let without = bench
        .program(env!("CARGO_BIN_EXE_repo-tool"))
        .env_remove("PKCS11_MODULE_PATH")
        .args(["keys", "list"])
        .output()
        .unwrap();
    let error = String::from_utf8(without.stderr).unwrap();
    assert!(error.contains("no PKCS#11 module is named"), "{error}");
    // One wrong PIN after the other, and none of them by us: SoftHSM never locks, but says what it thinks of each.
    for _ in 0..3 {
        show("pkcs11:token=release;object=alice", "wrong-pin");
    }
    bench.ok("keys public pkcs11:token=release;object=alice --passphrase-file pin");
}
