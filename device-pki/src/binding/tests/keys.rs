//! Keys of every type that metadata can have, in certificates that our CAs issue.

use rcgen::PublicKeyData as _;

use super::*;
use crate::certificate::Certificate;
use crate::der::{self, SEQUENCE};
use crate::subject_key::SubjectKey;
use crate::testing::forge::Forged;
use crate::testing::other_keys;

fn subject(pair: &rcgen::KeyPair) -> SubjectKey {
    SubjectKey::from_der("key", &pair.subject_public_key_info()).unwrap()
}

fn bound(gate: &Gate, key: &PublicKey, chain: &[String]) -> Result<String, String> {
    let holder = gate.bound(key, &RoleName::root(), chain, at_now());
    holder.map(|h| h.0).map_err(|refusal| refusal.0)
}

fn pem(chain: &[Certificate]) -> Vec<String> {
    chain.iter().map(Certificate::pem).collect()
}

#[test]
fn a_key_of_any_type_is_bound_by_its_certificate_and_by_no_other() {
    for algorithms in [Algorithms::STANDARD, Algorithms::DETERMINISTIC] {
        let pki = TestPki::with("keys", algorithms);
        let gate = gate(&pki, pki.crls());
        let certified: Vec<(SubjectKey, Vec<String>)> = other_keys()
            .iter()
            .map(|(_, pair)| subject(pair))
            .map(|key| {
                let chain = pki.certify("Carol", &["root"], &key);
                (key, pem(&chain))
            })
            .collect();
        for (index, (key, _)) in certified.iter().enumerate() {
            for (other, (_, chain)) in certified.iter().enumerate() {
                let answer = bound(&gate, key.tuf_key(), chain);
                let case = key.algorithm();
                if index == other {
                    assert_eq!(answer.unwrap(), "urn:example:person:Carol", "{case}");
                } else {
                    let why = answer.expect_err(case);
                    assert!(why.contains("is for another key than"), "{case}: {why}");
                }
            }
        }
    }
}

#[test]
fn one_key_is_one_key_however_metadata_and_certificates_write_it() {
    let pki = TestPki::new("forms");
    let gate = gate(&pki, pki.crls());
    let root = RoleName::root();
    for (name, pair) in &other_keys()[..3] {
        let key = subject(pair);
        let chain = pki.certify("Carol", &["root"], &key);
        let pem_text = crate::pem_text::encode("PUBLIC KEY", &key.der());
        let others: Vec<(&str, &str, String)> = match *name {
            "ECDSA P-256" => vec![
                ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", pem_text),
                (
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp256",
                    hex::encode(pair.der_bytes()),
                ),
            ],
            "ECDSA P-384" => vec![("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", pem_text)],
            _ => vec![
                ("rsa", "rsassa-pss-sha384", pem_text.clone()),
                ("rsa", "rsassa-pss-sha512", pem_text.replace('\n', "\r\n")),
            ],
        };
        for (keytype, scheme, public) in others {
            let written = PublicKey::known(keytype, scheme, public).unwrap();
            assert_ne!(written.id(), key.tuf_key().id());
            assert!(bound(&gate, &written, &pem(&chain)).is_ok(), "{scheme}");
        }
    }
    // A certificate of another CA software, whose key stands in another form that RFC 4055 and RFC 5480 allow.
    let forms = [
        (&other_keys()[2].1, {
            let name = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
            let algorithm = der::write(SEQUENCE, &der::write(0x06, &name));
            let bits = [&[0], other_keys()[2].1.der_bytes()].concat();
            der::write(
                SEQUENCE,
                &[algorithm, der::write(der::BIT_STRING, &bits)].concat(),
            )
        }),
        (&other_keys()[0].1, {
            let point = other_keys()[0].1.der_bytes();
            let compressed = [&[0, 2 + (point[64] & 1)], &point[1..33]].concat();
            let algorithm = der::write(SEQUENCE, &rustls_pki_types::alg_id::ECDSA_P256);
            let bits = der::write(der::BIT_STRING, &compressed);
            der::write(SEQUENCE, &[algorithm, bits].concat())
        }),
    ];
    for (pair, form) in forms {
        let key = subject(pair);
        let chain = pki.certify("Carol", &["root"], &key);
        let mut leaf = Forged::from(&chain[0]);
        assert_ne!(leaf.public_key, form);
        leaf.public_key = form;
        let chain = [leaf.sign_pem(pki.firmware.key()), chain[1].pem()];
        let holder = gate.bound(key.tuf_key(), &root, &chain, at_now());
        assert!(holder.is_ok(), "{holder:?}");
    }
}

#[test]
fn a_key_that_cannot_verify_is_not_bound() {
    let pki = TestPki::new("unknown");
    let gate = gate(&pki, pki.crls());
    let carol = pki.signer("Carol", &["root"]);
    let object = br#"{"keytype": "x", "scheme": "x", "keyval": {"public": "00"}}"#;
    let json = metadata_schema::json::Json::read(object).unwrap();
    let unknown = PublicKey::from_json(json, "key").unwrap();
    let why = bound(&gate, &unknown, &carol.pem()).unwrap_err();
    assert!(why.contains("is for another key than"), "{why}");
    // A certificate for a key that nobody knows.
    let mut odd = Forged::from(&carol.chain[0]);
    let algorithm = der::write(SEQUENCE, &rustls_pki_types::alg_id::ED448);
    let bits = der::write(der::BIT_STRING, &[0; 58]);
    odd.public_key = der::write(SEQUENCE, &[algorithm, bits].concat());
    let chain = [odd.sign_pem(pki.firmware.key()), carol.chain[1].pem()];
    let why = bound(&gate, carol.public(), &chain).unwrap_err();
    assert!(why.contains("is of no use here"), "{why}");
}

#[test]
fn servers_and_devices_keep_to_what_tls_knows() {
    let pki = TestPki::new("tls");
    let leaf = crate::Leaf::Device(crate::Device {
        serial: "SN-1".to_owned(),
    });
    for (name, pair) in other_keys() {
        let validity = Validity::days(start(), 90);
        let entropy = &mut crate::SystemEntropy;
        let issued = pki.devices.issue(&leaf, &subject(pair), validity, entropy);
        assert_eq!(issued.is_ok(), name.starts_with("ECDSA"), "{name}");
    }
}
