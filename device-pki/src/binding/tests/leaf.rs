//! What the leaf has to say: its key, its roles, its purpose.

use rcgen::ExtendedKeyUsagePurpose as Eku;

use super::*;

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
fn a_bin_is_certified_as_its_product() {
    let pki = TestPki::new("bins");
    let thresholds = Thresholds::new(2, 2, 1).with(router(), 3);
    let gate = Gate::new(pki.anchor(), pki.crls(), thresholds);
    let carol = pki.signer("Carol", &["delegated:router-x"]);
    let role = |name| RoleName::delegated(name).unwrap();
    assert!(ask(&gate, &carol, &role("router-x~3f"), at_now()).is_ok());
    assert_eq!(gate.requirement(&role("router-x~3f")).holders, 3);
    let why = ask(&gate, &carol, &role("router-y~3f"), at_now()).unwrap_err();
    assert!(why.ends_with("not for delegated:router-y"), "{why}");
    let why = ask(&gate, &carol, &role("router-x~other"), at_now()).unwrap_err();
    assert!(why.ends_with("not for delegated:router-x~other"), "{why}");
    // What needs no certificate has no bins: nobody gets around one by a name.
    let key = pki.key(KeyAlgorithm::Ed25519).into_tuf_signer().unwrap();
    let refused = gate.bound(key.public_key(), &role("pki~3f"), &[], at_now());
    assert!(refused.is_err());
    assert_eq!(gate.requirement(&role("pki~3f")).holders, 1);
    assert_eq!(gate.requirement(&role("router-z~3f")).holders, 1);
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
