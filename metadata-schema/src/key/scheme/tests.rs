use super::*;
use crate::json::Json;
use crate::key::PublicKey;

/// Signatures by securesystemslib, made by `tests/vectors/make.py`.
const VECTORS: &str = include_str!("../../../tests/vectors/signatures.json");

struct Vector {
    key: PublicKey,
    scheme: String,
    signature: Vec<u8>,
}

fn vectors() -> (Vec<u8>, Vec<Vector>) {
    let file: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let vectors = file["vectors"].as_array().unwrap().iter().map(|vector| {
        let key = Json::read(vector["key"].to_string().as_bytes()).unwrap();
        Vector {
            key: PublicKey::from_json(key, "key").unwrap(),
            scheme: text(&vector["key"]["scheme"]),
            signature: hex::decode(text(&vector["sig"])).unwrap(),
        }
    });
    let message = hex::decode(text(&file["message"])).unwrap();
    (message, vectors.collect())
}

#[test]
fn verifies_what_another_implementation_signed() {
    let (message, vectors) = vectors();
    let families: Vec<_> = vectors.iter().filter_map(|v| v.key.family()).collect();
    assert_eq!(families.len(), 11);
    assert!(Family::ALL.iter().all(|family| families.contains(family)));
    for vector in &vectors {
        assert_eq!(
            vector.key.verify(&message, &vector.signature),
            Ok(()),
            "{}",
            vector.scheme
        );
    }
}

#[test]
fn refuses_what_differs_in_a_bit() {
    let (message, vectors) = vectors();
    for Vector {
        key,
        scheme,
        signature,
    } in &vectors
    {
        let mut other = message.clone();
        other[3] ^= 1;
        assert!(key.verify(&other, signature).is_err(), "{scheme}");
        for index in [0, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[index] ^= 1;
            assert!(key.verify(&message, &changed).is_err(), "{scheme} {index}");
        }
        for bad in [
            &[][..],
            &signature[1..],
            &signature[..signature.len() - 1],
            &[signature.as_slice(), &[0]].concat(),
            &[0; 9000],
        ] {
            assert!(
                key.verify(&message, bad).is_err(),
                "{scheme} of {} bytes",
                bad.len()
            );
        }
    }
}

#[test]
fn a_signature_is_of_one_key_only() {
    let (message, vectors) = vectors();
    for (a, one) in vectors.iter().enumerate() {
        for (b, other) in vectors.iter().enumerate() {
            assert_eq!(
                one.key.verify(&message, &other.signature).is_ok(),
                a == b,
                "{} {}",
                one.scheme,
                other.scheme
            );
        }
    }
}

#[test]
fn a_key_of_another_kind_than_its_scheme_says_never_counts() {
    let (message, vectors) = vectors();
    let public = |scheme: &str| {
        let vector = vectors.iter().find(|v| v.scheme == scheme).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&vector.key.json().pretty()).unwrap();
        (
            json["keyval"]["public"].as_str().unwrap().to_owned(),
            &vector.signature,
        )
    };
    for (keytype, scheme, of) in [
        ("ecdsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"),
        ("ecdsa", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp256"),
        ("ecdsa", "ecdsa-sha2-nistp256", "rsassa-pss-sha256"),
        ("rsa", "rsassa-pss-sha256", "ecdsa-sha2-nistp256"),
        ("rsa", "rsassa-pss-sha256", "rsassa-pss-sha384"),
        ("rsa", "rsassa-pss-sha256", "ml-dsa-44/1"),
        ("ml-dsa", "ml-dsa-44/1", "ml-dsa-65/1"),
        ("ml-dsa", "ml-dsa-87/1", "ml-dsa-65/1"),
        ("ml-dsa", "ml-dsa-44/1", "ecdsa-sha2-nistp256"),
        ("ed25519", "ed25519", "ecdsa-sha2-nistp256"),
        ("rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
        ("ecdsa", "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp256"),
    ] {
        let (public, signature) = public(of);
        let verified = Verifier::new(keytype, scheme, &public)
            .and_then(|verifier| verifier.verify(&message, signature));
        assert!(verified.is_err(), "{keytype}/{scheme} with a key of {of}");
    }
}

/// The same key in every way that TUF keys have been written: one SubjectPublicKeyInfo.
#[test]
fn the_same_point_is_the_same_key_however_it_is_written() {
    let (_, vectors) = vectors();
    let old = vectors
        .iter()
        .find(|v| v.scheme == "ecdsa-sha2-nistp256")
        .unwrap();
    let spki = old.key.spki_der().unwrap();
    let point = &spki[spki.len() - 65..];
    let by_hex = Verifier::new(
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp256",
        &hex::encode(point),
    )
    .unwrap();
    assert_eq!(by_hex.spki(), spki);
    // A compressed point (SEC 1, section 2.3.3), in the SubjectPublicKeyInfo of RFC 5480.
    let mut compressed = vec![
        0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x22, 0x00,
    ];
    compressed.push(2 + (point[64] & 1));
    compressed.extend_from_slice(&point[1..33]);
    let text = pem::encode(&pem::Pem::new("PUBLIC KEY", compressed));
    let by_compressed = Verifier::new("ecdsa", "ecdsa-sha2-nistp256", &text).unwrap();
    assert_eq!(by_compressed.spki(), spki);
}

#[test]
fn malformed_keys_say_why() {
    let short = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n";
    let private = short.replace("PUBLIC", "PRIVATE");
    for (keytype, scheme, public, expected) in [
        ("ed25519", "ed25519", "zz", "malformed ed25519 key"),
        ("rsa", "rsassa-pss-sha256", "", "0 PEM blocks, expected one"),
        (
            "rsa",
            "rsassa-pss-sha256",
            short,
            "malformed rsassa-pss-sha256 key",
        ),
        (
            "ecdsa",
            "ecdsa-sha2-nistp256",
            &private,
            "PEM block \"PRIVATE KEY\"",
        ),
        (
            "ecdsa",
            "ecdsa-sha2-nistp256",
            &[short, short].concat(),
            "2 PEM blocks",
        ),
        (
            "ml-dsa",
            "ml-dsa-65/1",
            &"x".repeat(9000),
            "public key of 9000 characters",
        ),
        ("dsa", "dsa", "", "unknown key type \"dsa\"/\"dsa\""),
    ] {
        let why = Verifier::new(keytype, scheme, public).unwrap_err();
        assert!(why.starts_with(expected), "{scheme}: {why}");
    }
}

#[test]
fn families_have_names() {
    for family in Family::ALL {
        assert_eq!(family.name().parse(), Ok(family));
    }
    assert!(
        "sphincs"
            .parse::<Family>()
            .unwrap_err()
            .to_string()
            .contains("ml-dsa")
    );
}
