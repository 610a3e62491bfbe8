//! A PKI whose CA keys are on PKCS#11 tokens: SoftHSM. Run by `tests/peers`, which installs it; OpenSSL verifies what comes of it.
#![cfg(feature = "pkcs11")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that fails should panic, in its helpers as well"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use device_pki::folder::{CaTokens, PkiFolder};
use device_pki::token::TokenError;
use device_pki::{CaKind, Clock, CrlContent, Error, Passphrase, Protection};

/// A folder with two tokens: `ca` with the PIN 1234, `root` with the PIN 4321.
struct Bench {
    folder: tempfile::TempDir,
    module: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let places = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
        let found = places.map(|folder| Path::new(folder).join("softhsm/libsofthsm2.so"));
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            module: found.into_iter().find(|path| path.is_file()).unwrap(),
        };
        fs::create_dir(bench.path("tokens")).unwrap();
        let conf = format!(
            "directories.tokendir = {}\n",
            bench.path("tokens").display()
        );
        fs::write(bench.path("softhsm2.conf"), conf).unwrap();
        fs::write(bench.path("pass"), "of people\n").unwrap();
        fs::write(bench.path("root-pin"), "4321\n").unwrap();
        for (label, pin) in [("ca", "1234"), ("root", "4321")] {
            let line = format!("--init-token --free --label {label} --pin {pin} --so-pin 5678");
            bench.good(bench.program("softhsm2-util").args(line.split(' ')));
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("PKCS11_MODULE_PATH", &self.module)
            .env("DEVICE_PKI_PIN", "1234")
            .env_remove("DEVICE_PKI_PASSPHRASE")
            .current_dir(self.folder.path());
        command
    }

    fn pki(&self, line: &str) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_device-pki"));
        command.args(line.split_whitespace());
        command
    }

    fn good(&self, command: &mut Command) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let error = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{command:?}\n{error}");
        String::from_utf8(stdout).unwrap()
    }

    fn ok(&self, line: &str) -> String {
        self.good(&mut self.pki(line))
    }

    fn fails(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        assert!(!output.status.success(), "{command:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn init(&self, keys: &str) -> String {
        let names = "--organisation Corp --domain corp.example --namespace example";
        self.ok(&format!("init pki {names} {keys}"))
    }

    fn openssl(&self, line: &str) -> String {
        self.good(self.program("openssl").args(line.split_whitespace()))
    }

    /// What OpenSSL reads in the list of a CA, which the CA has signed.
    fn read_list(&self, ca: &str) -> String {
        let line = format!(
            "crl -inform DER -in {} -CAfile pki/{ca}/ca.pem -noout -text",
            self.list_of(ca)
        );
        let mut command = self.program("openssl");
        let output = command.args(line.split(' ')).output().unwrap();
        // It ends with success whatever the signature is.
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("verify OK"), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Files below the folder, whatever they are called, that have private keys in them.
    fn private_keys(&self, folder: &str) -> usize {
        let list = format!("grep -rl 'PRIVATE KEY' {folder} | wc -l");
        let counted = self.good(self.program("sh").args(["-c", &list]));
        counted.trim().parse().unwrap()
    }

    /// The file of the newest revocation list of a CA.
    fn list_of(&self, ca: &str) -> String {
        let text = self.openssl(&format!(
            "x509 -in pki/{ca}/ca.pem -noout -ext subjectKeyIdentifier"
        ));
        let line = text.lines().last().unwrap();
        let ski = line.trim().replace(':', "").to_lowercase();
        format!("pki/crl/{ski}.crl")
    }
}

#[test]
#[ignore = "needs SoftHSM, OpenSC and OpenSSL: tests/peers has them"]
fn a_pki_lives_on_tokens() {
    let bench = Bench::new();
    bench.init("--key pkcs11:token=ca");
    assert_eq!(bench.private_keys("pki"), 0);
    let uri = fs::read_to_string(bench.path("pki/root-ca/ca.key.uri")).unwrap();
    assert!(
        uri.starts_with("pkcs11:token=ca;object=root-ca;id="),
        "{uri}"
    );
    assert!(!uri.contains("1234"), "{uri}");

    bench.ok("issue-server pki --name api --dns localhost");
    bench.openssl(
        "verify -x509_strict -purpose sslserver -CAfile pki/trust-anchor.pem \
         -untrusted pki/servers/api/chain.pem pki/servers/api/chain.pem",
    );
    fs::write(bench.path("batch.csv"), "SN-1\nSN-2\n").unwrap();
    bench.ok("provision pki --csv batch.csv");
    bench.ok("revoke pki SN-2");
    let read = bench.read_list("factory-ca");
    assert_eq!(read.matches("Serial Number:").count(), 1, "{read}");

    // CA keys without a passphrase are no reason for a person's key without one.
    let refused = bench.fails(&mut bench.pki("issue-operator pki --name Olga"));
    assert!(refused.contains("passphrase"), "{refused}");
    bench.ok("issue-operator pki --name Olga --passphrase-file pass");
    let key = fs::read_to_string(bench.path("pki/operators/Olga/key.pem")).unwrap();
    assert!(key.contains("ENCRYPTED PRIVATE KEY"));

    bench.ok("renew-ca pki device-issuing-ca");
    let uri = fs::read_to_string(bench.path("pki/device-issuing-ca/ca.key.uri")).unwrap();
    assert!(uri.contains("object=device-issuing-ca-g2;"), "{uri}");
    // The former generation's list is signed by its key, on the same token.
    let said = bench.ok("crl pki");
    assert_eq!(said.lines().count(), 7, "{said}");
    for ca in [
        "firmware-signing-ca",
        "device-issuing-ca",
        "server-ca",
        "operator-ca",
    ] {
        bench.read_list(ca);
        bench.openssl(&format!(
            "verify -x509_strict -CAfile pki/trust-anchor.pem pki/{ca}/ca.pem"
        ));
    }
}

#[test]
#[ignore = "needs SoftHSM, OpenSC and OpenSSL: tests/peers has them"]
fn the_root_is_on_a_token_that_lies_in_a_safe() {
    let bench = Bench::new();
    let pin = bench.path("root-pin");
    let root = format!(
        "root-ca=pkcs11:token=root?pin-source=file:{}",
        pin.display()
    );
    bench.init(&format!("--key pkcs11:token=ca --key {root}"));
    let tokens = bench.ok("crl pki");
    assert!(tokens.contains("Corp Root CA"), "{tokens}");

    let (there, away) = (bench.path("tokens"), bench.path("safe"));
    fs::create_dir(&away).unwrap();
    for entry in fs::read_dir(&there).unwrap().flatten() {
        let line = format!("grep -rq root-ca {}", entry.path().display());
        if bench
            .program("sh")
            .args(["-c", &line])
            .status()
            .unwrap()
            .success()
        {
            fs::rename(entry.path(), away.join(entry.file_name())).unwrap();
        }
    }
    assert_eq!(fs::read_dir(&away).unwrap().count(), 1);
    let said = bench.ok("crl pki");
    assert!(
        said.contains("Root: no new list, its key is not here"),
        "{said}"
    );
    bench.ok("issue-server pki --name api --dns localhost");
    let why = bench.fails(&mut bench.pki("renew-ca pki server-ca"));
    assert!(why.contains("no token is labelled \"root\""), "{why}");
    assert!(why.contains("Hint: plug it in"), "{why}");
}

#[test]
#[ignore = "needs SoftHSM, OpenSC and OpenSSL: tests/peers has them"]
fn what_a_token_refuses_is_told() {
    let bench = Bench::new();
    let names = "--organisation Corp --domain corp.example --namespace example";
    let init = |keys: &str| bench.pki(&format!("init pki {names} {keys}"));
    let why = bench.fails(init("--key pkcs11:token=ca").env("DEVICE_PKI_PIN", "9999"));
    assert!(why.contains("wrong PIN for token \"ca\""), "{why}");
    let why = bench.fails(&mut init("--key pkcs11:token=ca;object=one"));
    assert!(why.contains("every CA has a key of its own"), "{why}");
    let why = bench.fails(&mut init("--key roots-ca=pkcs11:token=ca"));
    assert!(why.contains("is none of root-ca"), "{why}");
    let two = "--key root-ca=pkcs11:token=ca;object=x --key server-ca=pkcs11:token=ca;object=x";
    let why = bench.fails(&mut init(&format!("{two} --passphrase-file pass")));
    assert!(why.contains("it is the key of"), "{why}");
    assert!(!bench.path("pki/pki.json").exists());
    // What was made before it went wrong can be used by its name.
    fs::remove_dir_all(bench.path("pki")).unwrap();
    bench.init("--key pkcs11:token=ca --key root-ca=pkcs11:token=ca;object=x");
    let why = bench.fails(bench.pki("crl pki").env_remove("PKCS11_MODULE_PATH"));
    assert!(why.contains("no PKCS#11 module is named"), "{why}");
}

/// A program that runs for months, as the API server does: in a process of its own, for the module reads the environment.
#[test]
#[ignore = "needs SoftHSM, OpenSC and OpenSSL: tests/peers has them"]
fn a_ca_signs_again_when_its_token_is_back() {
    let Some(folder) = std::env::var_os("TOKENS_OF_THIS_TEST") else {
        let bench = Bench::new();
        let name = "a_ca_signs_again_when_its_token_is_back";
        let mut again = bench.program(std::env::current_exe().unwrap().to_str().unwrap());
        again.args(["--exact", name, "--ignored", "--nocapture"]);
        bench.init("--key pkcs11:token=ca");
        print!(
            "{}",
            bench.good(again.env("TOKENS_OF_THIS_TEST", bench.folder.path()))
        );
        return;
    };
    let folder = PathBuf::from(folder);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let tokens = CaTokens::asking(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Passphrase::new("1234"))
    });
    let pki = PkiFolder::open(&folder.join("pki"))
        .unwrap()
        .with_tokens(tokens);
    let ca = pki
        .authority(CaKind::DeviceIssuing, Protection::FileMode)
        .unwrap();
    let now = Clock::System.now();
    let sign = |number| {
        ca.crl(&CrlContent {
            number,
            this_update: now,
            next_update: now.plus_seconds(3600),
            revoked: Vec::new(),
        })
    };
    let is_good = |number| {
        ca.certificate().subject_key_id() == Some(sign(number).unwrap().issuer_ski().to_owned())
    };
    assert!(is_good(1));

    // Pulled, and plugged in again.
    let (there, away) = (folder.join("tokens"), folder.join("away"));
    fs::create_dir(&away).unwrap();
    carry(&there, &away);
    for number in [2, 3] {
        let why = sign(number).unwrap_err();
        assert!(
            matches!(why, Error::Token(TokenError::NoToken { .. })),
            "{why}"
        );
        assert!(
            why.to_string().contains("no token is labelled \"ca\""),
            "{why}"
        );
    }
    carry(&away, &there);
    assert!(is_good(4) && is_good(5));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the PIN is remembered");

    // It comes back with another PIN: the old one is tried once, for tokens count.
    carry(&there, &away);
    sign(6).unwrap_err();
    carry(&away, &there);
    let pins = [
        "--module",
        &std::env::var("PKCS11_MODULE_PATH").unwrap(),
        "--token-label",
        "ca",
    ];
    let changed = Command::new("pkcs11-tool")
        .args(pins)
        .args([
            "--login",
            "--pin",
            "1234",
            "--change-pin",
            "--new-pin",
            "2345",
        ])
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    let why = sign(7).unwrap_err();
    assert!(
        matches!(why, Error::Token(TokenError::WrongPin { .. })),
        "{why}"
    );
    let why = sign(8).unwrap_err();
    assert!(
        matches!(why, Error::Token(TokenError::NotTriedAgain { .. })),
        "{why}"
    );
}

/// Moves all that is in a folder into another.
fn carry(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
