//! Our certificates, lists and keys before another implementation: OpenSSL.
//!
//! `cargo test -p device-pki --test openssl -- --ignored` where the command is installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failing test may panic"
)]

mod people;

use std::path::Path;
use std::process::{Command, Output};

use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    ApiServer, CaKind, Device, FirmwareSigner, Leaf, Organisation, Passphrase, Protection,
    ScryptCost, SystemEntropy,
};
use metadata_schema::time::Timestamp;

fn openssl(folder: &Path, args: &[&str]) -> Output {
    Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output()
        .expect("openssl runs")
}

fn accepts(folder: &Path, args: &[&str]) -> String {
    let output = openssl(folder, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "openssl {args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn refuses(folder: &Path, args: &[&str]) {
    assert!(
        !openssl(folder, args).status.success(),
        "openssl {args:?} was happy"
    );
}

fn build(folder: &Path, algorithms: Algorithms) -> PkiFolder {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = Timestamp::from_unix_seconds(seconds.as_secs().try_into().unwrap());
    let passphrase = Passphrase::new("secret");
    let protection = Protection::Passphrase(&passphrase, ScryptCost::STANDARD);
    let mut ceremony = Ceremony {
        now,
        protection,
        entropy: &mut SystemEntropy,
    };
    let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
    let pki = PkiFolder::create(folder, &corp, algorithms, &mut ceremony).unwrap();
    let roles = vec![
        "root".parse().unwrap(),
        "delegated:router-x".parse().unwrap(),
    ];
    let dns_names = vec!["api.corp.example".to_owned()];
    for leaf in [
        Leaf::FirmwareSigner(FirmwareSigner {
            name: "Carol".to_owned(),
            roles,
        }),
        Leaf::ApiServer(ApiServer {
            name: String::new(),
            dns_names,
            addresses: vec!["127.0.0.1".parse().unwrap()],
        }),
        Leaf::Device(Device {
            serial: "SN-1".to_owned(),
        }),
        Leaf::Device(Device {
            serial: "SN-2".to_owned(),
        }),
    ] {
        pki.issue(&leaf, KeySource::Generate, None, &mut ceremony)
            .unwrap();
    }
    pki.revoke("SN-2", &mut ceremony).unwrap();
    pki
}

#[test]
#[ignore = "needs the openssl command"]
fn chains_verify_for_their_purposes_and_for_no_others() {
    for algorithms in [Algorithms::STANDARD, Algorithms::DETERMINISTIC] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), algorithms);
        let verify = |leaf: &'static str, purpose: &'static str| {
            let args = [
                "verify",
                "-x509_strict",
                "-CAfile",
                "trust-anchor.pem",
                "-untrusted",
            ];
            [&args[..], &[leaf, "-purpose", purpose, leaf]].concat()
        };
        let (device, server, signer) = (
            "devices/SN-1/chain.pem",
            "servers/api.corp.example/chain.pem",
            "signers/Carol/chain.pem",
        );
        for (leaf, purpose) in [
            (device, "sslclient"),
            (device, "sslserver"),
            (server, "sslserver"),
            (signer, "any"),
        ] {
            accepts(folder.path(), &verify(leaf, purpose));
        }
        for (leaf, purpose) in [
            (server, "sslclient"),
            (signer, "sslclient"),
            (signer, "sslserver"),
        ] {
            refuses(folder.path(), &verify(leaf, purpose));
        }
    }
}

#[test]
#[ignore = "needs the openssl command"]
fn lists_verify_and_revoke() {
    let folder = tempfile::tempdir().unwrap();
    let pki = build(folder.path(), Algorithms::STANDARD);
    for kind in [
        CaKind::Root,
        CaKind::FirmwareSigning,
        CaKind::DeviceIssuing,
        CaKind::Server,
    ] {
        let list = pki.crl_path(kind).unwrap();
        let ca = folder.path().join(kind.folder()).join("ca.pem");
        let (list, ca) = (list.to_str().unwrap(), ca.to_str().unwrap());
        accepts(
            folder.path(),
            &[
                "crl", "-inform", "DER", "-in", list, "-CAfile", ca, "-noout",
            ],
        );
    }
    let list = pki.crl_path(CaKind::DeviceIssuing).unwrap();
    let pem = [
        "crl",
        "-inform",
        "DER",
        "-in",
        list.to_str().unwrap(),
        "-out",
        "devices.crl.pem",
    ];
    accepts(folder.path(), &pem);
    let verify = |leaf| {
        let ca = [
            "verify",
            "-crl_check",
            "-CAfile",
            "trust-anchor.pem",
            "-CRLfile",
            "devices.crl.pem",
        ];
        [&ca[..], &["-untrusted", "device-issuing-ca/ca.pem", leaf]].concat()
    };
    accepts(folder.path(), &verify("devices/SN-1/chain.pem"));
    refuses(folder.path(), &verify("devices/SN-2/chain.pem"));
}

#[test]
#[ignore = "needs the openssl command"]
fn keys_load() {
    for algorithms in [Algorithms::STANDARD, Algorithms::DETERMINISTIC] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), algorithms);
        for key in [
            "root-ca/ca.key.pem",
            "server-ca/ca.key.pem",
            "signers/Carol/key.pem",
        ] {
            accepts(
                folder.path(),
                &[
                    "pkey",
                    "-in",
                    key,
                    "-passin",
                    "pass:secret",
                    "-check",
                    "-noout",
                ],
            );
            refuses(
                folder.path(),
                &["pkey", "-in", key, "-passin", "pass:wrong", "-noout"],
            );
        }
        for (key, chain) in [
            ("devices/SN-1/key.pem", "devices/SN-1/chain.pem"),
            (
                "servers/api.corp.example/key.pem",
                "servers/api.corp.example/chain.pem",
            ),
        ] {
            let public = accepts(folder.path(), &["pkey", "-in", key, "-pubout"]);
            assert_eq!(
                public,
                accepts(folder.path(), &["x509", "-in", chain, "-pubkey", "-noout"])
            );
        }
    }
}

#[test]
#[ignore = "needs the openssl command"]
fn private_keys_of_openssl_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for curve in ["P-256", "P-384"] {
        let curve = format!("ec_paramgen_curve:{curve}");
        accepts(
            path,
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                &curve,
                "-out",
                "ec.pem",
            ],
        );
        let key = device_pki::KeyPair::load(&path.join("ec.pem"), None).unwrap();
        for kdf in [&["-scrypt"][..], &["-v2", "aes-256-cbc"]] {
            let args = [
                "pkcs8", "-topk8", "-in", "ec.pem", "-out", "enc.pem", "-passout", "pass:x",
            ];
            accepts(path, &[&args[..], kdf].concat());
            let opened =
                device_pki::KeyPair::load(&path.join("enc.pem"), Some(&Passphrase::new("x")))
                    .unwrap();
            assert_eq!(opened.public_key_der(), key.public_key_der());
        }
    }
}
