//! One form for every key, whatever else its type's RFC allows; and nothing that no RFC allows.

use rcgen::PublicKeyData as _;

use super::*;
use crate::der::{BIT_STRING, SEQUENCE, write};
use crate::testing::other_keys;

const NULL: &[u8] = &[5, 0];

fn spki(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
    let bits = write(BIT_STRING, &[&[0], bits].concat());
    write(SEQUENCE, &[write(SEQUENCE, algorithm), bits].concat())
}

fn read(der: &[u8]) -> Result<SubjectKey> {
    SubjectKey::from_der("key", der)
}

fn why(der: &[u8]) -> String {
    read(der).unwrap_err().to_string()
}

#[test]
fn keys_of_every_type_are_taken_from_keys_and_from_requests() {
    for (name, pair) in other_keys() {
        let der = pair.subject_public_key_info();
        let key = read(&der).unwrap();
        assert_eq!(key.algorithm(), *name);
        assert_eq!(key.der(), der);
        assert_eq!(key.tuf_key().spki_der().unwrap(), der);
        let pem = pem_text::encode("PUBLIC KEY", &der);
        let again = SubjectKey::from_public_key_pem("key", pem.as_bytes()).unwrap();
        assert_eq!(again.der(), der);

        let params = rcgen::CertificateParams::new(vec!["x.example".to_owned()]).unwrap();
        let request = params.serialize_request(pair).unwrap();
        let asked = SubjectKey::from_request_der("request", request.der()).unwrap();
        assert_eq!(asked.der(), der);
        // Signed by somebody else.
        let mut changed = request.der().to_vec();
        let at = changed.windows(9).position(|w| w == b"x.example").unwrap();
        changed[at] = b'y';
        let error = SubjectKey::from_request_der("request", &changed).unwrap_err();
        assert!(
            matches!(error, Error::RequestSignature { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn an_rsa_key_is_the_same_key_under_rsassa_pss_without_parameters() {
    let (_, rsa) = &other_keys()[2];
    let bits = rsa.der_bytes();
    let plain = read(&rsa.subject_public_key_info()).unwrap();
    let name = write(OID, RSASSA_PSS);
    let pss = read(&spki(&name, bits)).unwrap();
    assert_eq!(pss.der(), plain.der());
    assert_eq!(pss.tuf_key(), plain.tuf_key());
    // Metadata writes it under rsaEncryption only, so that no key counts twice.
    let text = pem_text::encode("PUBLIC KEY", &spki(&name, bits));
    assert!(PublicKey::known("rsa", "rsassa-pss-sha256", text).is_err());
    for parameters in [NULL.to_vec(), write(SEQUENCE, &[])] {
        let error = why(&spki(&[name.clone(), parameters].concat(), bits));
        assert!(error.contains("RSA for one digest only"), "{error}");
    }
}

#[test]
fn a_compressed_point_is_the_same_key() {
    for (_, pair) in &other_keys()[..2] {
        let whole = read(&pair.subject_public_key_info()).unwrap();
        let point = pair.der_bytes();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let sign = 2 + (y[y.len() - 1] & 1);
        let compressed = [&[sign], x].concat();
        let algorithm = &whole.kind.algorithm;
        assert_eq!(
            read(&spki(algorithm, &compressed)).unwrap().der(),
            whole.der()
        );
        // The point with the other sign is on the curve as well, and another key.
        let other = [&[sign ^ 1], x].concat();
        assert_ne!(read(&spki(algorithm, &other)).unwrap().der(), whole.der());
    }
}

#[test]
fn what_the_rfcs_do_not_allow_is_no_key() {
    let keys = other_keys();
    let bits = |index: usize| keys[index].1.der_bytes();
    let rsa_name = write(OID, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]);
    let with_null = |algorithm: &[u8]| [algorithm, NULL].concat();
    let small = rsa_of_1024_bits();
    let p521 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let good = spki(&alg_id::ED25519, &ed25519_point());
    assert!(read(&good).is_ok());
    for (case, der) in [
        ("nothing", vec![]),
        ("a byte behind it", [&good[..], &[0]].concat()),
        ("unused bits", {
            let mut odd = good.clone();
            odd[11] = 1;
            odd
        }),
        (
            "Ed25519 with NULL",
            spki(&with_null(&alg_id::ED25519), &ed25519_point()),
        ),
        (
            "Ed25519 of 31 bytes",
            spki(&alg_id::ED25519, &ed25519_point()[..31]),
        ),
        ("Ed25519 off the curve", spki(&alg_id::ED25519, &[2; 32])),
        ("Ed448", spki(&alg_id::ED448, &[2; 57])),
        ("RSA without NULL", spki(&rsa_name, bits(2))),
        ("RSA of 1024 bits", small),
        ("P-521", p521.subject_public_key_info()),
        ("secp256k1", spki(&alg_id::ECDSA_P256K1, bits(0))),
        ("P-384 called P-256", spki(&alg_id::ECDSA_P256, bits(1))),
        (
            "no curve",
            spki(&write(OID, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), bits(0)),
        ),
        ("the point at infinity", spki(&alg_id::ECDSA_P256, &[0])),
        (
            "a point off the curve",
            spki(&alg_id::ECDSA_P256, &[&[4][..], &[1; 64]].concat()),
        ),
        (
            "ML-DSA with NULL",
            spki(&with_null(&alg_id::ML_DSA_65), bits(4)),
        ),
        ("ML-DSA-44 called 65", spki(&alg_id::ML_DSA_65, bits(3))),
        ("ML-DSA cut short", spki(&alg_id::ML_DSA_44, &bits(3)[1..])),
    ] {
        let error = read(&der).expect_err(case).to_string();
        assert!(
            error.starts_with("key is not a public key for Ed25519, P-256, P-384, RSA or ML-DSA: "),
            "{case}: {error}"
        );
    }
}

fn ed25519_point() -> Vec<u8> {
    let pair = KeyPair::generate(crate::KeyAlgorithm::Ed25519, &mut crate::SystemEntropy);
    pair.unwrap().der_bytes().to_vec()
}

/// A SubjectPublicKeyInfo of RSA with 1024 bits: nobody makes such keys any more, so this one is any odd number.
fn rsa_of_1024_bits() -> Vec<u8> {
    let modulus = write(INTEGER, &[&[0][..], &[0xc5; 128]].concat());
    let exponent = write(INTEGER, &[1, 0, 1]);
    let key = write(SEQUENCE, &[modulus, exponent].concat());
    spki(&alg_id::RSA_ENCRYPTION, &key)
}
