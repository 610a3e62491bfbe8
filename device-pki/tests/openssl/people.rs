//! People who make their keys with OpenSSL: their public keys and requests are certified, OpenSSL verifies the certificates,
//! and what they sign with OpenSSL counts.

use std::path::Path;

use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    FirmwareSigner, Gate, Leaf, Passphrase, Protection, ScryptCost, SubjectKey, SystemEntropy,
    Thresholds, TrustAnchor,
};
use metadata_schema::gate::When;
use metadata_schema::key::ml_dsa_message;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;

use crate::{accepts, build, refuses};

/// A type of key: how OpenSSL makes it, and how it signs metadata with it.
struct Type {
    name: &'static str,
    genpkey: &'static [&'static str],
    request: &'static [&'static str],
    sign: &'static [&'static str],
}

const DIGEST: &[&str] = &[
    "dgst", "-sha256", "-sign", "key.pem", "-out", "sig", "message",
];
const DIGEST_384: &[&str] = &[
    "dgst", "-sha384", "-sign", "key.pem", "-out", "sig", "message",
];
const PSS: &[&str] = &[
    "dgst",
    "-sha256",
    "-sigopt",
    "rsa_padding_mode:pss",
    "-sigopt",
    "rsa_pss_saltlen:32",
    "-sign",
    "key.pem",
    "-out",
    "sig",
    "message",
];
const RAW: &[&str] = &[
    "pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-out", "sig", "-in", "message",
];
const RAW_ML_DSA: &[&str] = &[
    "pkeyutl",
    "-sign",
    "-rawin",
    "-inkey",
    "key.pem",
    "-out",
    "sig",
    "-in",
    "ml-dsa-message",
];

const TYPES: [Type; 8] = [
    Type {
        name: "Ed25519",
        genpkey: &["-algorithm", "ed25519"],
        request: &[],
        sign: RAW,
    },
    Type {
        name: "ECDSA P-256",
        genpkey: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        request: &[],
        sign: DIGEST,
    },
    Type {
        name: "ECDSA P-384",
        genpkey: &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        request: &["-sha512"],
        sign: DIGEST_384,
    },
    Type {
        name: "RSA",
        genpkey: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        request: &[],
        sign: PSS,
    },
    Type {
        name: "RSA",
        genpkey: &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:3072"],
        request: &["-sigopt", "rsa_pss_saltlen:32"],
        sign: PSS,
    },
    Type {
        name: "ML-DSA-44",
        genpkey: &["-algorithm", "ML-DSA-44"],
        request: &[],
        sign: RAW_ML_DSA,
    },
    Type {
        name: "ML-DSA-65",
        genpkey: &["-algorithm", "ML-DSA-65"],
        request: &[],
        sign: RAW_ML_DSA,
    },
    Type {
        name: "ML-DSA-87",
        genpkey: &["-algorithm", "ML-DSA-87"],
        request: &[],
        sign: RAW_ML_DSA,
    },
];

fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_unix_seconds(since.as_secs().try_into().unwrap())
}

fn issue(pki: &PkiFolder, name: &str, key: SubjectKey) -> Vec<String> {
    let passphrase = Passphrase::new("secret");
    let mut ceremony = Ceremony {
        now: now(),
        protection: Protection::Passphrase(&passphrase, ScryptCost::STANDARD),
        entropy: &mut SystemEntropy,
    };
    let leaf = Leaf::FirmwareSigner(FirmwareSigner {
        name: name.to_owned(),
        roles: vec!["root".parse().unwrap()],
    });
    let issued = pki.issue(&leaf, KeySource::Given(key), None, &mut ceremony);
    issued.unwrap().chain_pem()
}

/// Makes a key, a request and a signature over `message` with OpenSSL.
fn make(folder: &Path, kind: &Type) -> (SubjectKey, Vec<u8>) {
    let genpkey = [&["genpkey", "-out", "key.pem"], kind.genpkey].concat();
    accepts(folder, &genpkey);
    let request = [
        "req",
        "-new",
        "-key",
        "key.pem",
        "-subj",
        "/CN=Anybody",
        "-out",
        "key.csr",
    ];
    accepts(folder, &[&request[..], kind.request].concat());
    accepts(
        folder,
        &["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub.pem"],
    );
    accepts(folder, kind.sign);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let asked = SubjectKey::from_request_pem("key.csr", &read("key.csr")).unwrap();
    let given = SubjectKey::from_public_key_pem("key.pub.pem", &read("key.pub.pem")).unwrap();
    assert_eq!(asked.der(), given.der(), "{}", kind.name);
    assert_eq!(asked.algorithm(), kind.name);
    (asked, read("sig"))
}

#[test]
#[ignore = "needs the openssl command"]
fn keys_of_every_type_that_openssl_knows_sign_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let pki = build(path, Algorithms::STANDARD);
    let anchor = std::fs::read(path.join("trust-anchor.pem")).unwrap();
    let anchor = TrustAnchor::from_pem(&anchor).unwrap();
    let gate = Gate::new(anchor, Vec::new(), Thresholds::new(1, 1, 1));
    let message = b"{\"_type\":\"root\"}";
    std::fs::write(path.join("message"), message).unwrap();
    std::fs::write(path.join("ml-dsa-message"), ml_dsa_message(message)).unwrap();
    // ML-DSA came with OpenSSL 3.5; before that, the tests beside the code make such keys in other ways.
    let known = accepts(path, &["list", "-public-key-algorithms"]);
    let types = TYPES
        .iter()
        .filter(|kind| !kind.name.starts_with("ML-DSA") || known.contains("ML-DSA"));
    for (index, kind) in types.enumerate() {
        let (key, signature) = make(path, kind);
        assert_eq!(
            key.tuf_key().verify(message, &signature),
            Ok(()),
            "{}",
            kind.name
        );
        let name = format!("Signer{index}");
        let chain = issue(&pki, &name, key.clone());
        let holder = gate.bound(key.tuf_key(), &RoleName::root(), &chain, When::At(now()));
        assert_eq!(holder.unwrap().0, format!("urn:example:person:{name}"));
        let chain = format!("signers/{name}/chain.pem");
        accepts(
            path,
            &[
                "verify",
                "-x509_strict",
                "-CAfile",
                "trust-anchor.pem",
                "-untrusted",
                &chain,
                &chain,
            ],
        );
        let public = accepts(path, &["x509", "-in", &chain, "-pubkey", "-noout"]);
        let certified = SubjectKey::from_public_key_pem("x509", public.as_bytes()).unwrap();
        assert_eq!(certified.der(), key.der());
    }
    refuses(path, &["genpkey", "-algorithm", "no such algorithm"]);
}

#[test]
#[ignore = "needs the openssl command"]
fn a_request_that_another_key_signed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for kind in &TYPES[..4] {
        std::fs::write(folder.path().join("message"), b"x").unwrap();
        make(folder.path(), kind);
        let convert = ["req", "-in", "key.csr", "-outform", "DER", "-out", "der"];
        accepts(folder.path(), &convert);
        let mut der = std::fs::read(folder.path().join("der")).unwrap();
        let at = der.windows(7).position(|w| w == b"Anybody").unwrap();
        der[at] = b'B';
        let error = SubjectKey::from_request_der("request", &der).unwrap_err();
        assert!(
            error.to_string().contains("not signed by its own key"),
            "{error}"
        );
    }
}
