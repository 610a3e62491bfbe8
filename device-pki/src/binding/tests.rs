//! Every condition of Bound(key, role), one refusal each.

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose as Eku, IsCa};

use super::*;
use crate::Authority;
use crate::folder::Algorithms;
use crate::key::{KeyAlgorithm, SigningKey};
use crate::profile::{CaKind, Validity};
use crate::testing::{Person, TestPki, at_now, now, start, time};

fn gate(pki: &TestPki, crls: Vec<Crl>) -> Gate {
    Gate::new(pki.anchor(), crls, Thresholds::new(2, 2, 1))
}

fn ask(gate: &Gate, person: &Person, role: &RoleName, when: When) -> Result<String, String> {
    match gate.bound(person.public(), role, &person.pem(), when) {
        Ok(Holder(name)) => Ok(name),
        Err(Refusal(why)) => Err(why),
    }
}

fn router() -> RoleName {
    RoleName::delegated("router-x").unwrap()
}

/// A person whose leaf certificate is a firmware signer's, but for one change.
fn odd_leaf(pki: &TestPki, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Person {
    let key = pki.key(KeyAlgorithm::Ed25519);
    let leaf = TestPki::signer_leaf("Mallory", &["root", "targets"]);
    let mut params = leaf.params(pki.firmware.organisation()).unwrap();
    change(&mut params);
    let leaf = pki.rogue(&pki.firmware, params, &key, Validity::days(start(), 365));
    let chain = vec![leaf, pki.firmware.certificate().clone()];
    Person {
        key: key.into_tuf_signer().unwrap(),
        chain,
    }
}

#[test]
fn a_bound_key_counts_for_its_roles_and_names_its_holder() {
    for algorithms in [Algorithms::STANDARD, Algorithms::DETERMINISTIC] {
        let pki = TestPki::with("bound", algorithms);
        let gate = gate(&pki, pki.crls());
        let carol = pki.signer("Carol", &["root", "targets", "delegated:router-x"]);
        for role in [RoleName::root(), RoleName::targets(), router()] {
            let holder = ask(&gate, &carol, &role, at_now());
            assert_eq!(
                holder.unwrap(),
                "urn:example:person:Carol",
                "{algorithms:?}"
            );
        }
        assert!(gate.unlisted().is_empty());
    }
}

#[test]
fn online_roles_need_no_certificate() {
    let pki = TestPki::new("online");
    let key = pki.key(KeyAlgorithm::Ed25519).into_tuf_signer().unwrap();
    let gate = gate(&pki, Vec::new());
    for role in [
        RoleName::snapshot(),
        RoleName::timestamp(),
        RoleName::delegated("pki").unwrap(),
    ] {
        let holder = gate.bound(key.public_key(), &role, &[], at_now()).unwrap();
        assert_eq!(holder.0, key.public_key().id().to_string());
        assert_eq!(gate.minimum_threshold(&role), 1);
    }
    let refusal = gate
        .bound(key.public_key(), &router(), &[], at_now())
        .unwrap_err();
    assert_eq!(
        refusal.0,
        format!("no certificate for key {}", key.public_key().id().short())
    );
}

#[test]
fn thresholds_do_not_fall_below_the_devices() {
    let thresholds = Thresholds::new(3, 2, 1).with(router(), 2);
    let gate = Gate::new(TestPki::new("t").anchor(), Vec::new(), thresholds);
    let other = RoleName::delegated("router-y").unwrap();
    let found = [RoleName::root(), RoleName::targets(), router(), other];
    assert_eq!(
        found.map(|role| gate.minimum_threshold(&role)),
        [3, 2, 2, 1]
    );
}

#[test]
fn the_certificate_has_to_be_the_keys() {
    let pki = TestPki::new("key");
    let (carol, mut dave) = (
        pki.signer("Carol", &["root"]),
        pki.signer("Dave", &["root"]),
    );
    dave.chain = carol.chain.clone();
    let why = ask(&gate(&pki, pki.crls()), &dave, &RoleName::root(), at_now()).unwrap_err();
    assert_eq!(
        why,
        format!(
            "{} is for another key than {}",
            carol.named(),
            dave.public().id().short()
        )
    );
}

#[test]
fn the_certificate_has_to_name_the_role() {
    let pki = TestPki::new("role");
    let gate = gate(&pki, pki.crls());
    let carol = pki.signer("Carol", &["root", "targets"]);
    let why = ask(&gate, &carol, &router(), at_now()).unwrap_err();
    assert_eq!(
        why,
        format!(
            "{} is for roles root, targets, not for delegated:router-x",
            carol.named()
        )
    );
    let dave = pki.signer("Dave", &["delegated:router-y"]);
    let why = ask(&gate, &dave, &RoleName::root(), at_now()).unwrap_err();
    assert_eq!(
        why,
        format!(
            "{} is for role delegated:router-y, not for root",
            dave.named()
        )
    );
    let none = odd_leaf(&pki, |params| params.custom_extensions.clear());
    let why = ask(&gate, &none, &RoleName::root(), at_now()).unwrap_err();
    assert_eq!(
        why,
        format!("{} names no role to sign, needed is root", none.named())
    );
}

#[test]
fn every_certificate_has_to_be_for_code_signing() {
    let pki = TestPki::new("eku");
    let gate = gate(&pki, pki.crls());
    for usages in [
        vec![],
        vec![Eku::Any],
        vec![Eku::ClientAuth, Eku::ServerAuth],
    ] {
        let person = odd_leaf(&pki, |params| params.extended_key_usages = usages.clone());
        let why = ask(&gate, &person, &RoleName::root(), at_now()).unwrap_err();
        assert_eq!(
            why,
            format!("{} is not for code signing", person.named()),
            "{usages:?}"
        );
    }
}

#[test]
fn a_device_ca_cannot_certify_signers() {
    let pki = TestPki::new("device");
    let key = pki.key(KeyAlgorithm::Ed25519);
    let leaf = TestPki::signer_leaf("Mallory", &["root"]);
    let params = leaf.params(pki.devices.organisation()).unwrap();
    let leaf = pki.rogue(&pki.devices, params, &key, Validity::days(start(), 365));
    let chain = vec![leaf, pki.devices.certificate().clone()];
    let person = Person {
        key: key.into_tuf_signer().unwrap(),
        chain,
    };
    let why = ask(
        &gate(&pki, pki.crls()),
        &person,
        &RoleName::root(),
        at_now(),
    )
    .unwrap_err();
    assert!(why.contains("Device-Issuing CA"), "{why}");
    assert!(
        why.ends_with("which issued that of Mallory, is not for code signing"),
        "{why}"
    );
}

#[test]
fn a_devices_certificate_is_no_signers() {
    let pki = TestPki::new("device");
    let key = pki.key(KeyAlgorithm::Ed25519);
    let leaf = crate::Leaf::Device(crate::Device {
        serial: "SN-1".to_owned(),
    });
    let params = leaf.params(pki.devices.organisation()).unwrap();
    let leaf = pki.rogue(&pki.devices, params, &key, Validity::days(start(), 90));
    let chain = vec![leaf, pki.devices.certificate().clone()];
    let person = Person {
        key: key.into_tuf_signer().unwrap(),
        chain,
    };
    let why = ask(
        &gate(&pki, pki.crls()),
        &person,
        &RoleName::root(),
        at_now(),
    )
    .unwrap_err();
    assert_eq!(
        why,
        format!("{} names no role to sign, needed is root", person.named())
    );
}

#[test]
fn validity_is_asked_at_the_time_that_counts() {
    let pki = TestPki::new("time");
    let gate = gate(&pki, pki.crls());
    let validity = Validity {
        not_before: time("2026-02-01T00:00:00Z"),
        not_after: time("2026-06-01T00:00:00Z"),
    };
    let carol = pki.signer_valid("Carol", &["root"], validity);
    let at = |text: &str| ask(&gate, &carol, &RoleName::root(), When::At(time(text)));
    assert!(at("2026-02-01T00:00:00Z").is_ok());
    assert!(at("2026-06-01T00:00:00Z").is_ok());
    assert_eq!(
        at("2026-06-01T00:00:01Z").unwrap_err(),
        format!("{} expired on 2026-06-01", carol.named())
    );
    assert_eq!(
        at("2026-01-31T23:59:59Z").unwrap_err(),
        format!("{} is not valid before 2026-02-01", carol.named())
    );
    // The issuer is gone as well by then; the leaf is named first.
    assert!(
        at("2040-01-01T00:00:00Z")
            .unwrap_err()
            .contains("expired on 2026-06-01")
    );
    // A step of the walk is judged by the chain's own time.
    assert!(ask(&gate, &carol, &RoleName::root(), When::Walk).is_ok());
}

#[test]
fn an_expired_issuer_is_named() {
    let pki = TestPki::new("issuer");
    let mut carol = pki.signer("Carol", &["root"]);
    // The CA's key once more, under a certificate that ended before now.
    let params = CaKind::FirmwareSigning.params(pki.root.organisation());
    let short = pki.rogue(
        &pki.root,
        params,
        pki.firmware.key(),
        Validity::days(start(), 30),
    );
    let serial = short.serial().short();
    carol.chain[1] = short;
    let why = ask(&gate(&pki, pki.crls()), &carol, &RoleName::root(), at_now()).unwrap_err();
    let issuer = format!("certificate of Example Corp Firmware-Signing CA (serial {serial})");
    assert_eq!(
        why,
        format!("{issuer}, which issued that of Carol, expired on 2026-01-31")
    );
    // Nor does the walk accept a leaf that was issued after its issuer had ended.
    let late = Validity {
        not_before: now(),
        not_after: now().plus_seconds(86_400),
    };
    let mut dave = pki.signer_valid("Dave", &["root"], late);
    dave.chain[1] = carol.chain[1].clone();
    let why = ask(
        &gate(&pki, pki.crls()),
        &dave,
        &RoleName::root(),
        When::Walk,
    )
    .unwrap_err();
    assert!(
        why.ends_with("which issued that of Dave, expired on 2026-01-31"),
        "{why}"
    );
}

#[test]
fn the_anchor_has_to_be_valid_and_the_right_one() {
    let pki = TestPki::new("anchor");
    let carol = pki.signer("Carol", &["root"]);
    let other = TestPki::new("other");
    let why = ask(
        &gate(&other, other.crls()),
        &carol,
        &RoleName::root(),
        at_now(),
    )
    .unwrap_err();
    let anchor = other.anchor().certificate().subject().to_owned();
    assert!(
        why.starts_with(&format!(
            "{} does not lead to the trust anchor {anchor}: ",
            carol.named()
        )),
        "{why}"
    );

    let late = Validity::days(time("2026-01-01T00:00:00Z"), 365);
    let root_key = crate::KeyPair::from_pem(
        "root",
        pki.root
            .key()
            .to_pem(crate::Protection::FileMode, &mut crate::SystemEntropy)
            .unwrap()
            .as_bytes(),
        None,
    )
    .unwrap();
    let short = Authority::root(
        pki.root.organisation().clone(),
        root_key,
        Validity::days(start(), 30),
        &mut crate::SystemEntropy,
    )
    .unwrap();
    let anchor = TrustAnchor::new(short.certificate().clone()).unwrap();
    let gate = Gate::new(anchor, Vec::new(), Thresholds::new(1, 1, 1));
    let dave = pki.signer_valid("Dave", &["root"], late);
    let why = ask(&gate, &dave, &RoleName::root(), at_now()).unwrap_err();
    assert!(
        why.starts_with("trust anchor ")
            && why.ends_with("is valid from 2026-01-01 to 2026-01-31 only"),
        "{why}"
    );
}

#[test]
fn revoked_people_and_revoked_cas_do_not_count() {
    let pki = TestPki::new("revoked");
    let carol = pki.signer("Carol", &["root"]);
    let dave = pki.signer("Dave", &["root"]);
    let root = RoleName::root();

    let gate_1 = gate(
        &pki,
        vec![
            pki.crl(&pki.root, 1, &[]),
            pki.crl(&pki.firmware, 2, &[&carol.chain[0]]),
        ],
    );
    let revoked = format!("{} was revoked on 2026-02-28", carol.named());
    assert_eq!(ask(&gate_1, &carol, &root, at_now()).unwrap_err(), revoked);
    assert_eq!(
        ask(&gate_1, &carol, &root, When::Walk).unwrap_err(),
        revoked
    );
    assert!(ask(&gate_1, &dave, &root, at_now()).is_ok());

    // Of two lists the one with the higher number counts, wherever it stands.
    let lists = vec![
        pki.crl(&pki.firmware, 2, &[&carol.chain[0]]),
        pki.crl(&pki.firmware, 1, &[]),
    ];
    assert!(ask(&gate(&pki, lists), &carol, &root, at_now()).is_err());

    let gate_2 = gate(
        &pki,
        vec![pki.crl(&pki.root, 1, &[pki.firmware.certificate()])],
    );
    let why = ask(&gate_2, &dave, &root, at_now()).unwrap_err();
    assert!(
        why.contains("which issued that of Dave, was revoked on 2026-02-28"),
        "{why}"
    );
}

#[test]
fn an_overdue_list_still_revokes_and_still_admits() {
    let pki = TestPki::new("stale");
    let (carol, dave) = (
        pki.signer("Carol", &["root"]),
        pki.signer("Dave", &["root"]),
    );
    let lists = vec![
        pki.crl(&pki.root, 1, &[]),
        pki.crl(&pki.firmware, 1, &[&carol.chain[0]]),
    ];
    let gate = gate(&pki, lists);
    let late = When::At(now().plus_seconds(200 * 86_400));
    assert!(
        ask(&gate, &carol, &RoleName::root(), late)
            .unwrap_err()
            .contains("was revoked")
    );
    assert!(ask(&gate, &dave, &RoleName::root(), late).is_ok());
}

#[test]
fn a_missing_or_forged_list_is_reported_and_revokes_nobody() {
    let pki = TestPki::new("forged");
    let carol = pki.signer("Carol", &["root"]);
    // Another CA of the same name, which therefore claims to be the issuer.
    let forger = TestPki::new("forger");
    let forged = forger.crl(&forger.firmware, 9, &[&carol.chain[0]]);
    assert!(forged.verify(pki.firmware.certificate()).is_err());
    let gate = gate(&pki, vec![pki.crl(&pki.root, 1, &[]), forged]);
    assert!(ask(&gate, &carol, &RoleName::root(), at_now()).is_ok());
    assert_eq!(gate.unlisted(), [pki.firmware.certificate().subject()]);
}

#[test]
fn a_ca_that_may_not_sign_lists_revokes_nobody() {
    let pki = TestPki::new("usage");
    let mut carol = pki.signer("Carol", &["root"]);
    let list = pki.crl(&pki.firmware, 2, &[&carol.chain[0]]);
    let mut params = CaKind::FirmwareSigning.params(pki.root.organisation());
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let validity = Validity::days(start(), 365);
    carol.chain[1] = pki.rogue(&pki.root, params, pki.firmware.key(), validity);
    assert!(list.verify(&carol.chain[1]).is_err());
    let gate = gate(&pki, vec![pki.crl(&pki.root, 1, &[]), list]);
    assert!(ask(&gate, &carol, &RoleName::root(), at_now()).is_ok());
    assert_eq!(gate.unlisted().len(), 1);
}

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
    assert!(why.ends_with("was issued by one that is no CA"), "{why}");

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
