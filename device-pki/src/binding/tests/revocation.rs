//! Who is on the lists, and which lists count.

use super::*;

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
