//! Chains that are none, or that lead elsewhere.

use rcgen::{BasicConstraints, IsCa};

use super::*;
use crate::Authority;

#[test]
fn hostile_chains_are_refused_in_words() {
    let pki = TestPki::new("hostile");
    let carol = pki.signer("Carol", &["root"]);
    let gate = gate(&pki, pki.crls());
    let ask = |chain: &[String]| {
        gate.bound(carol.public(), &RoleName::root(), chain, at_now())
            .unwrap_err()
            .0
    };
    let good = carol.pem();
    let garbage = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n".to_owned();
    for (chain, expected) in [
        (vec![garbage.clone()], "unreadable certificate for key"),
        (vec![String::new()], "unreadable certificate for key"),
        (
            vec![good[0].clone(), garbage],
            "unreadable certificate for key",
        ),
        (vec![good.concat()], "unreadable certificate for key"),
        (vec!["A".repeat(100_000)], "unreadable certificate for key"),
        (vec![good[0].clone()], "its issuer is unknown"),
        (
            vec![good[1].clone(), good[0].clone()],
            "is for another key than",
        ),
        (
            vec![good[0].clone(), good[1].clone(), good[1].clone()],
            "not on the path",
        ),
        (
            vec![
                good[0].clone(),
                good[1].clone(),
                pki.root.certificate().pem(),
            ],
            "is not for code signing",
        ),
        (vec![good[0].clone(); 5], "chain of 5 certificates"),
    ] {
        let why = ask(&chain);
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains('\n') && why.len() < 500, "{why}");
    }
}

#[test]
fn a_signer_cannot_certify_others_and_no_ca_stands_below_the_issuing_ones() {
    let pki = TestPki::new("long");
    let gate = gate(&pki, pki.crls());
    // A leaf that signs a leaf.
    let carol = pki.signer("Carol", &["root"]);
    let carols_leaf = carol.chain[0].clone();
    let pem = carol
        .key
        .key_pair()
        .to_pem(crate::Protection::FileMode, &mut crate::SystemEntropy)
        .unwrap();
    let carols_key = crate::KeyPair::from_pem("key", pem.as_bytes(), None).unwrap();
    let corp = pki.root.organisation().clone();
    let false_ca = Authority::new(
        CaKind::FirmwareSigning,
        corp.clone(),
        carols_leaf,
        carols_key,
    )
    .unwrap();
    let key = pki.key(KeyAlgorithm::Ed25519);
    let params = TestPki::signer_leaf("Mallory", &["root"])
        .params(&corp)
        .unwrap();
    let leaf = pki.rogue(
        &false_ca,
        params.clone(),
        &key,
        Validity::days(start(), 100),
    );
    let chain = [vec![leaf], carol.chain].concat();
    let mallory = Person {
        key: key.into_tuf_signer().unwrap(),
        chain,
    };
    let why = ask(&gate, &mallory, &RoleName::root(), at_now()).unwrap_err();
    assert!(
        why.ends_with("which issued that of Mallory, may not sign certificates"),
        "{why}"
    );

    // A CA below the firmware-signing CA, whose path length forbids it.
    let key = pki.key(KeyAlgorithm::Ed25519);
    let mut ca = CaKind::FirmwareSigning.params(&corp);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "Deeper CA");
    let deeper = pki.rogue(&pki.firmware, ca, &key, Validity::days(start(), 300));
    let deeper = Authority::new(CaKind::FirmwareSigning, corp, deeper, key).unwrap();
    let key = pki.key(KeyAlgorithm::Ed25519);
    let leaf = pki.rogue(&deeper, params, &key, Validity::days(start(), 100));
    let chain = vec![
        leaf,
        deeper.certificate().clone(),
        pki.firmware.certificate().clone(),
    ];
    let mallory = Person {
        key: key.into_tuf_signer().unwrap(),
        chain,
    };
    let why = ask(&gate, &mallory, &RoleName::root(), at_now()).unwrap_err();
    assert!(
        why.ends_with("the path is longer than a CA on it allows"),
        "{why}"
    );
}

#[test]
fn issuers_of_all_chains_are_found_once() {
    let pki = TestPki::new("issuers");
    let (carol, dave) = (
        pki.signer("Carol", &["root"]),
        pki.signer("Dave", &["root"]),
    );
    let mut certificates = Certificates::default();
    certificates.insert(carol.public().id().clone(), carol.pem());
    certificates.insert(dave.public().id().clone(), dave.pem());
    let issuers = gate(&pki, Vec::new()).issuers(&certificates);
    let mut expected =
        [pki.root.certificate(), pki.firmware.certificate()].map(|c| c.subject_key_id().unwrap());
    expected.sort();
    assert_eq!(issuers.keys().cloned().collect::<Vec<_>>(), expected);
    let list = pki.crl(&pki.firmware, 7, &[]);
    assert_eq!(list.number(), 7);
    list.verify(&issuers[list.issuer_ski()]).unwrap();
    assert!(list.verify(pki.root.certificate()).is_err());
}
