//! Keys: key objects of metadata, SubjectPublicKeyInfos, and what verifies. A key has one form, whoever reads it, and a
//! signature fits one message.
//!
//! Input: a byte that says which, and the rest.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use device_pki::SubjectKey;
use metadata_schema::json::Json;
use metadata_schema::key::{Family, PublicKey};

/// Signatures of all schemes over one message, by another implementation.
const VECTORS: &str = include_str!("../../../metadata-schema/tests/vectors/signatures.json");

/// See the module.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => key_object(rest),
        Some((1, rest)) => subject_public_key_info(rest),
        Some((_, rest)) => signature(rest),
        None => {}
    }
}

fn key_object(bytes: &[u8]) {
    let Some(key) = Json::read(bytes)
        .ok()
        .and_then(|json| PublicKey::from_json(json, "key").ok())
    else {
        return;
    };
    let again = PublicKey::from_json(key.json().clone(), "key").expect("reads back");
    assert_eq!(again, key);
    assert_eq!(again.spki_der(), key.spki_der());
    assert_eq!(key.spki_der().is_some(), key.family().is_some());
    assert_eq!(
        key.ed25519_bytes().is_some(),
        key.family() == Some(Family::Ed25519)
    );
    assert!(key.verify(b"message", &[]).is_err());
    if let Some(spki) = key.spki_der() {
        // Certificates may refuse more keys, such as short ones of RSA.
        if let Ok(same) = SubjectKey::from_der("key", spki) {
            assert_eq!(same.der(), spki);
            assert_eq!(same.tuf_key().family(), key.family());
        }
    }
}

fn subject_public_key_info(der: &[u8]) {
    let Ok(key) = SubjectKey::from_der("key", der) else {
        return;
    };
    let form = key.der();
    let again = SubjectKey::from_der("key", &form).expect("reads back");
    assert_eq!(again.der(), form);
    assert_eq!(again.tuf_key(), key.tuf_key());
    assert_eq!(key.tuf_key().spki_der(), Some(form.as_slice()));
}

struct Vector {
    key: PublicKey,
    signature: Vec<u8>,
}

fn vectors() -> &'static (Vec<u8>, Vec<Vector>) {
    static ALL: OnceLock<(Vec<u8>, Vec<Vector>)> = OnceLock::new();
    ALL.get_or_init(|| {
        let file: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
        let vectors = file["vectors"].as_array().unwrap().iter().map(|vector| {
            let key = Json::read(vector["key"].to_string().as_bytes()).unwrap();
            Vector {
                key: PublicKey::from_json(key, "key").unwrap(),
                signature: bytes(&vector["sig"]),
            }
        });
        (bytes(&file["message"]), vectors.collect())
    })
}

/// A change of one byte, or other bytes altogether.
#[derive(Arbitrary)]
enum Change {
    None,
    Byte { at: u16, value: u8 },
    Cut(u16),
    Longer(Vec<u8>),
    Other(Vec<u8>),
}

impl Change {
    fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        match self {
            Self::None => {}
            Self::Byte { at, value } => {
                let at = usize::from(*at) % changed.len().max(1);
                changed[at] = *value;
            }
            Self::Cut(length) => changed.truncate(usize::from(*length)),
            Self::Longer(more) => changed.extend(more),
            Self::Other(other) => changed.clone_from(other),
        }
        changed
    }
}

fn signature(script: &[u8]) {
    let (message, vectors) = vectors();
    let mut script = Unstructured::new(script);
    let Ok((which, by, of, over)) = <(u8, u8, Change, Change)>::arbitrary(&mut script) else {
        return;
    };
    let pick = |index: u8| &vectors[usize::from(index) % vectors.len()];
    let (key, signed) = (&pick(which).key, pick(by));
    let (signature, other_message) = (of.of(&signed.signature), over.of(message));
    let same = signed.key.id() == key.id() && signature == signed.signature;
    match key.verify(&other_message, &signature) {
        Ok(()) => {
            assert_eq!(other_message, *message, "one signature, two messages");
            // Of an ECDSA signature there are two forms.
            assert!(
                same || key.family() == Some(Family::Ecdsa),
                "another signature"
            );
        }
        Err(why) => assert!(!same || other_message != *message, "{why}"),
    }
}
