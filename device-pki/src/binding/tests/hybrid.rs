//! A root that needs signatures of two families survives the fall of either.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use metadata_schema::envelope::{Envelope, Signature};
use metadata_schema::json::{Json, Object};
use metadata_schema::key::{Family, ml_dsa_message};
use metadata_schema::name::Version;
use metadata_schema::roles::{Common, Role as _, RoleKeys, Root};
use metadata_schema::trusted::RootWalk;
use rcgen::{PublicKeyData as _, SigningKey as _};

use super::*;
use crate::subject_key::SubjectKey;

/// Somebody with a key of each family, both certified under one name.
struct Hybrid {
    ed25519: Person,
    ml_dsa: rcgen::KeyPair,
    ml_dsa_key: PublicKey,
    ml_dsa_chain: Vec<String>,
}

impl Hybrid {
    fn new(pki: &TestPki, name: &str) -> Self {
        let ml_dsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_ML_DSA_65).unwrap();
        let subject = SubjectKey::from_der("key", &ml_dsa.subject_public_key_info()).unwrap();
        let chain = pki.certify(name, &["root"], &subject);
        Self {
            ed25519: pki.signer(name, &["root"]),
            ml_dsa,
            ml_dsa_key: subject.tuf_key().clone(),
            ml_dsa_chain: chain.iter().map(Certificate::pem).collect(),
        }
    }

    fn sign(&self, family: Family, payload: &[u8]) -> Signature {
        match family {
            Family::Ed25519 => Signature {
                key: self.ed25519.public().id().clone(),
                bytes: self.ed25519.key.sign(payload).unwrap(),
            },
            _ => Signature {
                key: self.ml_dsa_key.id().clone(),
                bytes: self.ml_dsa.sign(&ml_dsa_message(payload)).unwrap(),
            },
        }
    }
}

fn root(people: &[Hybrid], version: u64) -> Root {
    let mut certificates = Certificates::default();
    let mut keys = BTreeMap::new();
    for person in people {
        let both = [
            (person.ed25519.public(), person.ed25519.pem()),
            (&person.ml_dsa_key, person.ml_dsa_chain.clone()),
        ];
        for (key, chain) in both {
            certificates.insert(key.id().clone(), chain);
            keys.insert(key.id().clone(), key.clone());
        }
    }
    let roles =
        |threshold| RoleKeys::new(keys.keys().cloned(), NonZeroU32::new(threshold).unwrap());
    Root {
        common: Common::new(
            Version::new(version).unwrap(),
            now(),
            now().plus_seconds(86_400),
        ),
        root: roles(2),
        timestamp: roles(1),
        snapshot: roles(1),
        targets: roles(2),
        keys,
        consistent_snapshot: true,
        certificates,
        other_roles: Object::new(),
        extra: Object::new(),
    }
}

/// A file with these signatures: `true` for those that were really made, `false` for those that a forger could not make.
fn signed(root: &Root, by: &[(&Hybrid, Family, bool)]) -> Vec<u8> {
    let signed: Json = root.to_json();
    let payload = signed.canonical();
    let signatures = by.iter().map(|(person, family, good)| {
        let mut signature = person.sign(*family, &payload);
        if !good {
            signature.bytes[40] ^= 1;
        }
        signature
    });
    let signatures = signatures.collect();
    Envelope { signed, signatures }.to_bytes()
}

#[test]
fn a_hybrid_root_survives_the_fall_of_either_algorithm() {
    const E: Family = Family::Ed25519;
    const M: Family = Family::MlDsa;
    let pki = TestPki::new("hybrid");
    let people = [Hybrid::new(&pki, "Alice"), Hybrid::new(&pki, "Bob")];
    let [alice, bob] = &people;
    let thresholds = |ed25519, ml_dsa| {
        Thresholds::new(2, 2, 1)
            .requiring(&Roles::Root, E, ed25519)
            .requiring(&Roles::Root, M, ml_dsa)
    };
    let first = signed(&root(&people, 1), &[(alice, E, true), (bob, M, true)]);
    let step = |thresholds: Thresholds, by: &[(&Hybrid, Family, bool)]| {
        let gate = Arc::new(Gate::new(pki.anchor(), pki.crls(), thresholds));
        let mut walk = RootWalk::from_trusted(&first, gate).unwrap();
        let stepped = walk.step(&signed(&root(&people, 2), by));
        let confirmed = stepped.and_then(|()| walk.finish(now()).map(drop));
        confirmed.map_err(|e| e.to_string())
    };
    // `false` is a signature that does not verify: what who has broken the other algorithm only cannot make.
    let (yes, no) = (true, false);
    for (case, ed25519, ml_dsa, by, accepted) in [
        (
            "both families",
            1,
            1,
            vec![(alice, E, yes), (bob, M, yes)],
            yes,
        ),
        (
            "everybody with both",
            2,
            2,
            vec![
                (alice, E, yes),
                (alice, M, yes),
                (bob, E, yes),
                (bob, M, yes),
            ],
            yes,
        ),
        (
            "Ed25519 is broken",
            1,
            1,
            vec![(alice, E, yes), (bob, E, yes), (alice, M, no), (bob, M, no)],
            no,
        ),
        (
            "Ed25519 is broken, nothing else there",
            1,
            1,
            vec![(alice, E, yes), (bob, E, yes)],
            no,
        ),
        (
            "ML-DSA is broken",
            1,
            1,
            vec![(alice, M, yes), (bob, M, yes), (alice, E, no), (bob, E, no)],
            no,
        ),
        (
            "ML-DSA is broken, nothing else there",
            1,
            1,
            vec![(alice, M, yes), (bob, M, yes)],
            no,
        ),
        (
            "one person with both keys is one person",
            1,
            1,
            vec![(alice, E, yes), (alice, M, yes)],
            no,
        ),
        (
            "two of each are asked for",
            2,
            2,
            vec![(alice, E, yes), (alice, M, yes), (bob, E, yes)],
            no,
        ),
        (
            "two of one and one of the other",
            2,
            1,
            vec![(alice, E, yes), (alice, M, yes), (bob, E, yes)],
            yes,
        ),
        (
            "nothing is asked for",
            0,
            0,
            vec![(alice, E, yes), (bob, E, yes)],
            yes,
        ),
        (
            "one family is asked for",
            0,
            1,
            vec![(alice, E, yes), (bob, M, yes)],
            yes,
        ),
    ] {
        let answer = step(thresholds(ed25519, ml_dsa), &by);
        assert_eq!(answer.is_ok(), accepted, "{case}: {answer:?}");
    }
    let why = step(thresholds(1, 1), &[(alice, E, yes), (bob, E, yes)]).unwrap_err();
    assert!(why.contains("ml-dsa"), "{why}");
}

#[test]
fn families_are_asked_for_role_by_role() {
    let other = RoleName::delegated("router-y").unwrap();
    let thresholds = Thresholds::new(3, 2, 1)
        .with(router(), 4)
        .requiring(&Roles::Root, Family::MlDsa, 2)
        .requiring(&Roles::Targets, Family::Ecdsa, 1)
        .requiring(&Roles::Delegated, Family::Ed25519, 1)
        .requiring(&Roles::Delegated, Family::Rsa, 1)
        .requiring(&Roles::Named(router()), Family::Rsa, 0);
    let gate = Gate::new(TestPki::new("t").anchor(), Vec::new(), thresholds);
    for (role, holders, families) in [
        (RoleName::root(), 3, vec![(Family::MlDsa, 2)]),
        (RoleName::targets(), 2, vec![(Family::Ecdsa, 1)]),
        (other, 1, vec![(Family::Ed25519, 1), (Family::Rsa, 1)]),
        (router(), 4, vec![(Family::Ed25519, 1), (Family::Rsa, 0)]),
        (RoleName::timestamp(), 1, vec![]),
        (RoleName::delegated("pki").unwrap(), 1, vec![]),
    ] {
        let needed = gate.requirement(&role);
        assert_eq!(needed.holders, holders, "{role}");
        assert_eq!(needed.families, BTreeMap::from_iter(families), "{role}");
    }
}
