//! A device that asks for signatures of several algorithm families: a repository survives the fall of either.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair};
use metadata_schema::MetadataError;
use metadata_schema::envelope::{Envelope, Signature};
use metadata_schema::gate::{Holder, Refusal, Requirement, Signer, SignerGate};
use metadata_schema::key::{Family, KeyId, PublicKey, ml_dsa_message};
use metadata_schema::name::RoleName;
use metadata_schema::roles::{Role as _, RoleKeys};
use metadata_schema::trusted::RootWalk;

use crate::repository::{Key, NOW, Repository, at};

/// Each key belongs to one of the people named; root needs people's signatures by both families.
struct Hybrid {
    people: BTreeMap<KeyId, &'static str>,
    ml_dsa: u32,
}

impl SignerGate for Hybrid {
    fn admit(&self, signer: &Signer<'_>) -> Result<Holder, Refusal> {
        let id = signer.key.id();
        let name = self.people.get(id).copied();
        Ok(Holder(name.unwrap_or(id.as_str()).to_owned()))
    }

    fn requirement(&self, role: &RoleName) -> Requirement {
        let families = match role.as_str() {
            "root" => [(Family::Ed25519, 2), (Family::MlDsa, self.ml_dsa)].into(),
            _ => BTreeMap::new(),
        };
        Requirement {
            holders: 2,
            families,
        }
    }
}

struct MlDsa(PqdsaKeyPair);

impl MlDsa {
    fn new(seed: u8) -> Self {
        Self(PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[seed; 32]).unwrap())
    }

    fn public(&self) -> PublicKey {
        let der = self.0.public_key().as_der().unwrap();
        let text = pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()));
        PublicKey::known("ml-dsa", "ml-dsa-65/1", text).unwrap()
    }

    fn sign(&self, payload: &[u8]) -> Signature {
        let mut bytes = vec![0; ML_DSA_65_SIGNING.signature_len()];
        self.0.sign(&ml_dsa_message(payload), &mut bytes).unwrap();
        Signature {
            key: self.public().id().clone(),
            bytes,
        }
    }
}

/// Two people with an Ed25519 and an ML-DSA key each, and who of them signs root with what.
fn walk(ed25519: &[&str], ml_dsa: &[u8], needed: u32) -> Result<Vec<String>, MetadataError> {
    let mut repository = Repository::new();
    let post_quantum = [MlDsa::new(1), MlDsa::new(2)];
    let mut people: BTreeMap<KeyId, &'static str> = BTreeMap::new();
    for (name, person) in [("r1", "anna"), ("r2", "ben")] {
        people.insert(Key::new(name).public().id().clone(), person);
    }
    let root = &mut repository.root;
    for (key, person) in post_quantum.iter().zip(["anna", "ben"]) {
        people.insert(key.public().id().clone(), person);
        root.keys.insert(key.public().id().clone(), key.public());
        root.root.key_ids.insert(key.public().id().clone());
    }
    root.root = RoleKeys {
        threshold: 2.try_into().unwrap(),
        ..root.root.clone()
    };
    let signed = root.to_json();
    let payload = signed.canonical();
    let mut signatures: Vec<_> = ed25519.iter().map(|n| Key::new(n).sign(&payload)).collect();
    signatures.extend(ml_dsa.iter().map(|seed| MlDsa::new(*seed).sign(&payload)));
    let file = Envelope { signed, signatures }.to_bytes();
    let gate = Arc::new(Hybrid {
        people,
        ml_dsa: needed,
    });
    let root = RootWalk::from_trusted(&file, gate)?.finish(at(NOW))?;
    Ok(root.root().holders().iter().map(|h| h.0.clone()).collect())
}

#[test]
fn each_family_must_be_there_and_a_person_counts_once() {
    // Everyone with both keys: the threshold counts two people, not four keys.
    assert_eq!(walk(&["r1", "r2"], &[1, 2], 2).unwrap().len(), 2);
    // One post-quantum signature is enough where one is asked for.
    assert!(walk(&["r1", "r2"], &[2], 1).is_ok());
    for (ed25519, ml_dsa, needed, expected) in [
        // Whoever forges Ed25519 lacks the other family, and the other way round.
        (
            &["r1", "r2"][..],
            &[][..],
            1,
            "1 must be ml-dsa signatures, 0 are",
        ),
        (&["r1", "r2"], &[1], 2, "2 must be ml-dsa signatures, 1 are"),
        (&["r1"], &[1, 2], 1, "2 must be ed25519 signatures, 1 are"),
    ] {
        let error = walk(ed25519, ml_dsa, needed).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // Two keys of one person are one person.
    let error = walk(&["r1"], &[1], 0).unwrap_err().to_string();
    assert!(
        error.starts_with("root metadata needs 2 signatures, 1 count"),
        "{error}"
    );
}
