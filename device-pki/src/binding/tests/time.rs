//! When certificates are valid.

use super::*;
use crate::Authority;
use crate::testing::time;

fn validity(not_before: &str, not_after: &str) -> Validity {
    Validity {
        not_before: time(not_before),
        not_after: time(not_after),
    }
}

#[test]
fn validity_is_asked_at_the_time_that_counts() {
    let pki = TestPki::new("time");
    let gate = gate(&pki, pki.crls());
    let validity = validity("2026-02-01T00:00:00Z", "2026-06-01T00:00:00Z");
    let carol = pki.signer_valid("Carol", &["root"], validity);
    let at = |text: &str| ask(&gate, &carol, &RoleName::root(), When::At(time(text)));
    assert!(at("2026-02-01T00:00:00Z").is_ok());
    assert!(at("2026-06-01T00:00:00Z").is_ok());
    assert_eq!(
        at("2026-06-01T00:00:01Z").unwrap_err(),
        format!("{} expired on 2026-06-01", carol.named())
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
fn a_wrong_clock_locks_nobody_out_and_revives_nothing() {
    let pki = TestPki::new("clocks");
    let gate = gate(&pki, pki.crls());
    // By a right clock it is March 2026.
    let past = validity("2026-01-02T00:00:00Z", "2026-02-01T00:00:00Z");
    let present = validity("2026-02-01T00:00:00Z", "2026-06-01T00:00:00Z");
    let future = validity("2026-05-01T00:00:00Z", "2027-05-01T00:00:00Z");
    let (past, present, future) = (
        pki.signer_valid("Past", &["root"], past),
        pki.signer_valid("Present", &["root"], present),
        pki.signer_valid("Future", &["root"], future),
    );
    // A leaf that was issued when its CA had ended: at no time was all of its path valid.
    let mut never = pki.signer_valid(
        "Never",
        &["root"],
        validity("2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z"),
    );
    let params = CaKind::FirmwareSigning.params(pki.root.organisation());
    let short = Validity::days(start(), 30);
    never.chain[1] = pki.rogue(&pki.root, params, pki.firmware.key(), short);
    let (yes, no) = (true, false);
    for (case, clock, expected) in [
        ("1970", "1970-01-01T00:00:00Z", [yes, yes, yes, no]),
        ("before the CA", "2025-06-01T00:00:00Z", [yes, yes, yes, no]),
        (
            "a floor that is behind",
            "2026-01-15T00:00:00Z",
            [yes, yes, yes, no],
        ),
        ("right", "2026-03-01T12:00:00Z", [no, yes, yes, no]),
        ("months ahead", "2026-09-01T00:00:00Z", [no, no, yes, no]),
        ("years ahead", "2040-01-01T00:00:00Z", [no, no, no, no]),
        (
            "and corrected again",
            "2026-03-01T12:00:00Z",
            [no, yes, yes, no],
        ),
    ] {
        let found = [&past, &present, &future, &never].map(|person| {
            let answer = ask(&gate, person, &RoleName::root(), When::At(time(clock)));
            if let Err(why) = &answer {
                assert!(why.contains(" expired on 20"), "{case}: {why}");
            }
            answer.is_ok()
        });
        assert_eq!(found, expected, "{case}");
    }
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
            .pair()
            .unwrap()
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
