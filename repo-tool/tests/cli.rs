//! The program itself: arguments, answers, exit codes.

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

use device_pki::{Passphrase, Protection, ScryptCost};

use support::{Person, World, image};

struct Desk {
    world: World,
    people: Vec<Person>,
}

impl Desk {
    /// Certificates and keys of three people as files, as they would lie on a release manager's desk.
    fn new() -> Self {
        let mut world = World::new();
        let people: Vec<Person> = ["alice", "bob", "carol"]
            .iter()
            .map(|name| world.person(name))
            .collect();
        let desk = Self { world, people };
        fs::write(desk.path("root.pem"), desk.world.root.certificate().pem()).unwrap();
        fs::write(desk.path("pass"), "secret\n").unwrap();
        let passphrase = Passphrase::new("secret");
        for person in &desk.people {
            let name = person.holder.name();
            fs::write(
                desk.path(&format!("{name}.pem")),
                person.holder.pem_chain().concat(),
            )
            .unwrap();
            let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
            let path = desk.path(&format!("{name}.key"));
            person
                .key
                .key_pair()
                .save(&path, protection, &mut desk.world.entropy.clone())
                .unwrap();
        }
        fs::write(desk.path("1.img"), image(1)).unwrap();
        fs::write(desk.path("2.img"), image(2)).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.folder.path().join(name)
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_repo-tool"))
            .args(line.split_whitespace())
            .args(["--at", "2026-03-01T12:00:00Z"])
            .env_remove("REPO_TOOL_PASSPHRASE")
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(self.world.folder.path())
            .output()
            .unwrap()
    }

    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}\n{error}");
        error
    }

    fn init(&self) {
        self.ok(
            "init repo --anchor root.pem --root-signer alice.pem --root-signer bob.pem \
             --root-signer carol.pem --threshold 2 --product router-x --product-signer alice.pem \
             --product-signer bob.pem --product-threshold 2 --device-minimum 2,2,2",
        );
    }

    fn sign_and_publish(&self) {
        self.ok("sign repo --key alice.key --passphrase-file pass --yes");
        self.ok("sign repo --key bob.key --passphrase-file pass --yes");
        self.ok("publish repo");
    }
}

#[test]
fn the_whole_flow_by_commands() {
    let desk = Desk::new();
    desk.init();
    let text = desk.ok("show repo");
    assert!(text.contains("root v1 (new)"), "{text}");
    let text = desk.ok("sign repo --key alice.key --passphrase-file pass --yes");
    assert!(text.contains("signed router-x v1: sha256 "), "{text}");
    let error = desk.fails("publish repo", 4);
    assert!(
        error.contains("Error: root metadata needs 2 signatures, 1 count"),
        "{error}"
    );
    assert!(error.contains("Hint: have the role signed"), "{error}");
    desk.sign_and_publish();

    let text = desk.ok(
        "add-release repo --product router-x --version 1.0.0 --hardware rev-a --image rootfs=1.img",
    );
    assert!(text.contains("any version "), "{text}");
    desk.sign_and_publish();
    let text = desk.ok(
        "add-release repo --product router-x --version 1.1.0 --security-version 2 --wave now=10 \
         --wave +1d=100 --image rootfs=2.img",
    );
    assert!(text.contains("\n  1.0.0 "), "{text}");
    assert!(text.contains("any other version"), "{text}");
    let text = desk.ok("status repo");
    assert!(
        text.contains("router-x v3, by targets: 0 of 2 signatures, not enough"),
        "{text}"
    );
    desk.sign_and_publish();
    assert_eq!(desk.ok("publish repo"), "Nothing to do.\n");
    assert_eq!(desk.ok("refresh repo"), "Nothing to do.\n");

    let text = desk.ok("verify repo/published --anchor root.pem --product router-x");
    assert!(text.ends_with("A device accepts all of this.\n"), "{text}");
    let json = desk.ok("verify repo --anchor root.pem --json --device-minimum 2,2,2");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["releases"][0]["version"], "1.1.0");
    let json = desk.ok("status repo --json");
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status["ready"], false);

    let crl = desk.world.crl(1, &[]);
    fs::write(desk.path("signing.crl"), crl.der()).unwrap();
    desk.ok("add-crl repo signing.crl");
    desk.ok("publish repo");
    let text = desk.ok("signers list repo");
    assert!(text.contains("root: 2 of 3\n  alice "), "{text}");
    desk.ok("signers remove repo carol --role root");
    desk.ok("signers remove repo carol --role root");
    let error = desk.fails("signers remove repo dave --role root", 2);
    assert!(
        error.contains("\"dave\" does not sign root, but alice, bob do"),
        "{error}"
    );
    assert!(desk.ok("show repo").contains("carol (key"));
    desk.ok("renew repo targets router-x");
    desk.sign_and_publish();
    desk.ok("verify repo --anchor root.pem");
}

#[test]
fn a_loss_is_planned_for() {
    let desk = Desk::new();
    desk.init();
    desk.fails("plan-loss repo --lost carol", 8);
    desk.sign_and_publish();
    let text = desk.ok("plan-loss repo --lost carol");
    for line in [
        "  root           yes: 2 needed, left alice, bob",
        "  root v1        follow, to the present root and to a new one",
        "       repo-tool signers replace repo carol carol-new.pem",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("thief"), "{text}");
    let text = desk.ok("plan-loss repo --stolen alice --stolen bob --json");
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["roles"][0]["can_sign"], false);
    assert_eq!(plan["roles"][0]["thief_can_sign"], true);
    assert_eq!(plan["thief"][0]["reach"], "root");
    desk.fails("plan-loss repo", 2);
    desk.fails("plan-loss repo --lost nobody", 2);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let desk = Desk::new();
    desk.fails("no-such-command", 2);
    desk.fails("show nowhere", 8);
    desk.fails("verify nowhere --anchor root.pem --device-minimum 2,2", 2);
    desk.fails("verify nowhere --anchor root.pem --device-minimum 2,2,2", 4);
    desk.fails(
        "init repo --anchor root.pem --root-signer alice.pem --threshold 2",
        8,
    );
    desk.init();
    desk.fails("publish repo", 4);
    fs::write(desk.path("wrong"), "wrong\n").unwrap();
    let error = desk.fails("sign repo --key alice.key --passphrase-file wrong --yes", 8);
    assert!(error.contains("wrong passphrase"), "{error}");
    desk.sign_and_publish();
    let release = "--product router-x --hardware rev-a --image rootfs=1.img";
    desk.ok(&format!("add-release repo {release} --version 1.0.0"));
    desk.sign_and_publish();
    desk.fails(&format!("add-release repo {release} --version 0.1.0"), 2);
    desk.fails(&format!("add-release repo {release} --version 1.x"), 2);
    desk.fails(
        &format!("add-release repo {release} --version 2.0.0 --wave soon=10"),
        2,
    );
    desk.fails("sign repo --key alice.key --passphrase-file pass --yes", 2);
    let payload = payload_of(&desk.path("repo/published/targets/router-x"));
    let bytes = fs::read(&payload).unwrap();
    fs::write(&payload, &bytes[1..]).unwrap();
    let error = desk.fails("verify repo --anchor root.pem", 5);
    assert!(error.contains("Caused by:"), "{error}");
    let error = desk.fails(
        "verify repo --anchor root.pem --json --device-minimum 2,2,2",
        5,
    );
    let value: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert!(value["hint"].is_string());
    fs::remove_file(desk.path("repo/published/metadata/timestamp.json")).unwrap();
    let error = desk.fails("verify repo --anchor root.pem", 4);
    assert!(
        error.contains("metadata file timestamp.json is missing"),
        "{error}"
    );
}

#[test]
fn keys_are_made_once() {
    let desk = Desk::new();
    let text = desk.ok("keygen dora.key --public dora.pub --passphrase-file pass");
    assert!(text.contains("key id     "), "{text}");
    let pem = fs::read_to_string(desk.path("dora.key")).unwrap();
    assert!(
        pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        "{pem}"
    );
    desk.fails("keygen dora.key --passphrase-file pass", 2);
    desk.init();
    let error = desk.fails("sign repo --key dora.key --passphrase-file pass --yes", 8);
    assert!(error.contains("is not among the signers"), "{error}");
}

#[test]
fn payloads_by_hand() {
    let desk = Desk::new();
    for (make, apply) in [
        (
            "payload diff 1.img 2.img p",
            "payload apply 1.img p back.img",
        ),
        ("payload full 2.img p", "payload apply none p back.img"),
    ] {
        let text = desk.ok(make);
        assert!(text.starts_with("head    "), "{text}");
        assert_eq!(desk.ok("payload inspect p"), text);
        desk.ok(apply);
        assert_eq!(fs::read(desk.path("back.img")).unwrap(), image(2));
    }
    desk.ok("payload diff 1.img 2.img p");
    desk.fails("payload apply 2.img p back.img", 5);
    let mut bytes = fs::read(desk.path("p")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(desk.path("p"), bytes).unwrap();
    let error = desk.fails("payload inspect p", 5);
    assert!(error.contains("frame 0 has digest"), "{error}");
}

fn payload_of(folder: &Path) -> PathBuf {
    let mut paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|end| end == "full"))
        .unwrap()
}

#[test]
fn names_from_metadata_cannot_command_a_terminal() {
    let desk = Desk::new();
    desk.init();
    let staged = desk.path("repo/staged/targets.json");
    let mut targets: serde_json::Value =
        serde_json::from_slice(&fs::read(&staged).unwrap()).unwrap();
    let evil = "a\u{1b}[2K\n  - nothing changes\u{202e}\u{9b}";
    let file = serde_json::json!({"length": 1, "hashes": {"sha256": "00".repeat(32)}});
    targets["targets"][evil] = file;
    targets["delegations"]["roles"][0]["paths"] = serde_json::json!([evil]);
    targets["x\u{2066}\r"] = serde_json::json!(1);
    fs::write(&staged, targets.to_string()).unwrap();
    for line in ["show repo", "show repo --json", "status repo"] {
        let text = desk.ok(line);
        let bad = |c: &char| c.is_control() && *c != '\n' || ('\u{2028}'..='\u{206f}').contains(c);
        assert_eq!(text.chars().find(bad), None, "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("  - nothing")),
            "{text}"
        );
    }
    let text = desk.ok("show repo");
    assert!(
        text.contains("adds a\\u{1b}[2K\\u{a}  - nothing changes\\u{202e}\\u{9b}"),
        "{text}"
    );
}

#[test]
fn what_is_signed_is_said_before() {
    let desk = Desk::new();
    desk.init();
    let shown = desk.ok("show repo");
    assert!(shown.contains("  to sign: sha256 "), "{shown}");
    let output = desk.run("sign repo --key alice.key --passphrase-file pass --yes");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&shown), "{said}");
    assert!(output.status.success());
}

#[test]
fn keys_of_every_kind_by_commands() {
    let desk = Desk::new();
    for algorithm in ["ed25519", "p256", "p384", "ml-dsa-65"] {
        let cost = if algorithm == "p256" {
            "portable"
        } else {
            "memory-hard"
        };
        let text = desk.ok(&format!(
            "keygen {algorithm}.key --algorithm {algorithm} --public {algorithm}.pub --scrypt {cost} --passphrase-file pass"
        ));
        let shown = desk.ok(&format!(
            "keys public {algorithm}.key --passphrase-file pass"
        ));
        assert_eq!(text, shown);
        assert!(
            fs::read_to_string(desk.path(&format!("{algorithm}.pub")))
                .unwrap()
                .contains("PUBLIC KEY")
        );
    }
    desk.fails("keygen ed25519.key --passphrase-file pass", 2);
    desk.fails("keygen env:KEY --passphrase-file pass", 2);
    desk.fails("keygen other.key --algorithm rsa --passphrase-file pass", 8);
    let error = desk.fails("keys public env:NO_SUCH_KEY", 8);
    assert!(error.contains("no variable NO_SUCH_KEY"), "{error}");
    let error = desk.fails("keys public pkcs11:token=a", 8);
    assert!(error.contains("no PKCS#11 module is named"), "{error}");
}

#[test]
fn a_key_in_the_environment_signs() {
    let desk = Desk::new();
    desk.init();
    let sign = |value: &str| {
        Command::new(env!("CARGO_BIN_EXE_repo-tool"))
            .args([
                "sign",
                "repo",
                "--key",
                "env:SIGNER",
                "--passphrase-file",
                "pass",
                "--yes",
            ])
            .env("SIGNER", value)
            .env("XDG_STATE_HOME", desk.path("state"))
            .current_dir(desk.world.folder.path())
            .output()
            .unwrap()
    };
    // PEM as it is, PEM in base64, and the base64 of DER; encrypted or not.
    let pem = fs::read_to_string(desk.path("alice.key")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    let plain = desk.people[1].key.key_pair();
    let plain = plain
        .to_pem(Protection::FileMode, &mut desk.world.entropy.clone())
        .unwrap();
    let twice = base64(plain.as_bytes());
    for value in [pem.as_str(), &der, &plain, &twice] {
        let output = sign(value);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{value}\n{error}");
    }
    for bad in ["", "x", "!!"] {
        assert_eq!(sign(bad).status.code(), Some(8), "{bad}");
    }
    desk.ok("publish repo");
}

/// By another way than the program's own.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut number = 0_usize;
        for place in 0..3 {
            number = number * 256 + usize::from(*chunk.get(place).unwrap_or(&0));
        }
        for place in 0..4 {
            let digit = (number >> (18 - 6 * place)) & 63;
            let padded = place > chunk.len();
            text.push(if padded {
                '='
            } else {
                char::from(DIGITS[digit])
            });
        }
    }
    text
}

#[test]
fn events_are_named_signed_merged_and_dropped_by_commands() {
    let desk = Desk::new();
    desk.init();
    let copy = |to: &str| {
        let mut copying = Command::new("cp");
        let copying = copying.args(["-r", "repo", to]);
        let folder = desk.world.folder.path();
        assert!(copying.current_dir(folder).status().unwrap().success());
    };
    copy("bobs");
    let sign = "sign repo --key alice.key --passphrase-file pass";
    let error = desk.fails(sign, 2);
    assert!(error.contains("nobody agreed to event"), "{error}");
    let id = desk
        .ok("show repo")
        .trim_end()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let other = "0".repeat(64);
    let error = desk.fails(&format!("{sign} --event {other}"), 2);
    assert!(error.contains(&id), "{error}");
    desk.fails(&format!("{sign} --event {}", &id[..12]), 2);
    desk.ok(&format!("{sign} --event {}", &id[..32]));
    desk.ok(&format!(
        "sign bobs --key bob.key --passphrase-file pass --event {id}"
    ));
    let text = desk.ok("merge repo bobs");
    assert!(
        text.contains("added     root             bob (key "),
        "{text}"
    );
    let text = desk.ok("status repo");
    assert!(
        text.contains(&id[..12]) && text.contains("  repo-tool publish repo\n"),
        "{text}"
    );
    desk.ok("publish repo");
    let text = desk.ok("audit repo");
    assert!(text.contains("bob (certificate "), "{text}");
    assert!(text.contains("The chain holds. Head: line "), "{text}");
    // Another event in the copy.
    desk.ok("renew repo router-x");
    copy("carols");
    desk.ok("renew carols targets");
    desk.ok("sign carols --key carol.key --passphrase-file pass --yes");
    let text = desk.run("merge repo carols");
    assert_eq!(text.status.code(), Some(4));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("NOTHING TAKEN from carols"), "{text}");
    assert!(text.contains("here   not staged"), "{text}");
    let error = desk.fails("unstage carols", 2);
    assert!(error.contains("carol over targets"), "{error}");
    assert!(
        desk.ok("unstage carols --yes")
            .contains("dropped targets v2")
    );
    // Only what changed was voided, and a changed log is found.
    let log = desk.path("repo/audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replacen("stage", "publish", 1)).unwrap();
    let error = desk.fails("audit repo", 8);
    assert!(
        error.contains("audit.jsonl: line 2 does not fit"),
        "{error}"
    );
}

#[test]
fn a_repository_from_a_set_up_file() {
    let desk = Desk::new();
    let example = desk.ok("init --example");
    fs::create_dir(desk.path("pki")).unwrap();
    fs::copy(desk.path("root.pem"), desk.path("pki/trust-anchor.pem")).unwrap();
    fs::write(desk.path("setup.toml"), &example).unwrap();
    let text = desk.ok("init repo --setup setup.toml");
    assert!(text.contains("router-x v1 (new)"), "{text}");
    desk.sign_and_publish();
    desk.ok("verify repo --anchor root.pem");
    let bad = example.replace("threshold = 2", "threshold = 1");
    fs::write(desk.path("bad.toml"), bad.replace("bob.pem", "bobby.pem")).unwrap();
    let error = desk.fails("init other --setup bad.toml", 8);
    assert!(error.contains("- root: "), "{error}");
    assert!(error.contains("- router-x: "), "{error}");
    assert!(!desk.path("other").exists());
    desk.fails("init other --setup setup.toml --anchor root.pem", 2);
    let error = desk.fails("init other", 2);
    assert!(error.contains("--setup FILE"), "{error}");
}

#[test]
fn an_old_copy_is_noticed_by_who_saw_a_newer_one() {
    let desk = Desk::new();
    desk.init();
    desk.sign_and_publish();
    let copied = Command::new("cp")
        .args(["-r", "repo", "old"])
        .current_dir(desk.world.folder.path())
        .status();
    assert!(copied.unwrap().success());
    desk.ok("renew repo router-x");
    desk.sign_and_publish();
    let output = desk.run("show repo --anchor root.pem");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("What is published leads to your anchor, "),
        "{said}"
    );
    let output = desk.run("show repo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("give yours with --anchor"), "{said}");
    let error = desk.fails("show old", 4);
    assert!(error.contains("router-x v1, you saw v2"), "{error}");
    desk.ok("renew old targets");
    let sign = "sign old --key alice.key --passphrase-file pass --yes";
    desk.fails(sign, 4);
    assert!(
        !desk.path("old/staged/signatures").exists()
            || fs::read_dir(desk.path("old/staged/signatures"))
                .unwrap()
                .next()
                .is_none()
    );
    desk.ok(&format!("{sign} --forget"));
}
