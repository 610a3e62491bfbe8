//! Certificates: as bytes, as text, and changed anywhere but signed by the real CA. A leaf that the CA did not sign is never
//! believed; one that it did is believed only if it says all that it must say.
//!
//! Input: a byte that says which, and the rest.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use device_pki::inspect::inspect;
use device_pki::{
    Certificate, Clock, RevocationPolicy, Revocations, SignerRole, SubjectKey, Trust, tls,
};
use rustls_pki_types::CertificateDer;

use super::der_tree::{Edit, Node};
use super::pki::{Ca, Pki, now, pem, pki, signed_part};

/// See the module.
pub fn run(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    match which % 6 {
        0 => any_leaf(rest),
        1 => any_text(rest),
        2 => drop(SubjectKey::from_request_der("request", rest)),
        3 => signer(rest),
        4 => ca(rest),
        _ => device(rest),
    }
}

/// Any bytes in the place of Carol's certificate: only the very one is believed.
fn any_leaf(der: &[u8]) {
    let pki = pki();
    let chain = [pem("CERTIFICATE", der), pki.firmware.certificate().pem()];
    if pki.bound(&chain, Vec::new()).is_ok() {
        assert_eq!(der, &pki.carol.der()[..], "a forged certificate");
    }
}

/// Any text as a file of certificates, keys or requests.
fn any_text(text: &[u8]) {
    if let Ok(lines) = inspect("text", text) {
        assert!(lines.iter().all(|line| !line.contains(['\n', '\x1b'])));
    }
    if let Ok(chain) = Certificate::chain_from_pem("text", text) {
        for certificate in chain {
            let again = Certificate::from_pem("again", certificate.pem().as_bytes());
            assert_eq!(again.unwrap(), certificate);
        }
    }
    drop(SubjectKey::from_request_pem("text", text));
    drop(SubjectKey::from_public_key_pem("text", text));
}

/// Carol's certificate, changed and signed by the real CA.
fn signer(script: &[u8]) {
    let pki = pki();
    let Some(der) = forged(&pki.carol, &pki.firmware, script) else {
        return;
    };
    let chain = [pem("CERTIFICATE", &der), pki.firmware.certificate().pem()];
    let Ok(holder) = pki.bound(&chain, Vec::new()) else {
        return;
    };
    let leaf = Certificate::from_der("leaf", &der).expect("it was believed");
    assert!(!holder.0.is_empty());
    assert!(
        leaf.roles()
            .is_some_and(|roles| roles.contains(&SignerRole::Root))
    );
    assert_eq!(leaf.subject_key().unwrap().tuf_key(), &pki.carols_key);
    valid_for(&leaf, &["codeSigning"]);
    // Its serial number is the one that a list would name it by.
    let list = pki.firmware.list(&[&leaf]);
    assert!(list.revoked(leaf.serial()).is_some());
    assert!(pki.bound(&chain, vec![list]).is_err(), "revoked");
}

/// The CA's certificate, changed and signed by the real root, above Carol's own.
fn ca(script: &[u8]) {
    let pki = pki();
    let Some(der) = forged(pki.firmware.certificate(), &pki.root, script) else {
        return;
    };
    let chain = [pki.carol.pem(), pem("CERTIFICATE", &der)];
    if pki.bound(&chain, Vec::new()).is_ok() {
        let ca = Certificate::from_der("CA", &der).expect("it was believed");
        assert!(ca.is_ca());
        assert_eq!(ca.subject(), pki.carol.issuer());
        valid_for(&ca, &["codeSigning"]);
    }
}

/// A device's certificate, changed and signed by the real CA, in TLS.
fn device(script: &[u8]) {
    let pki = pki();
    let Some(der) = forged(&pki.device, &pki.devices, script) else {
        return;
    };
    let chain = [
        CertificateDer::from(der.clone()),
        pki.devices.certificate().der().clone(),
    ];
    if let Ok(identity) = tls::verify_device(&chain, &trust(pki), now()) {
        let leaf = Certificate::from_der("leaf", &der).expect("it was believed");
        assert_eq!(leaf.device().as_ref(), Some(identity.urn()));
        assert_eq!(leaf.serial(), identity.certificate_serial());
        valid_for(&leaf, &["clientAuth", "serverAuth"]);
    }
}

fn trust(pki: &Pki) -> Trust {
    Trust {
        anchor: pki.anchor(),
        revocations: Arc::new(Revocations::new(Vec::new())),
        policy: RevocationPolicy::Available,
        clock: Clock::Fixed(now()),
    }
}

fn valid_for(certificate: &Certificate, purposes: &[&str]) {
    let found = certificate.purposes();
    assert!(
        purposes
            .iter()
            .all(|wanted| found.iter().any(|p| p == wanted))
    );
    assert!(certificate.not_after() >= now());
}

fn forged(certificate: &Certificate, ca: &Ca, script: &[u8]) -> Option<Vec<u8>> {
    let edits = Vec::<Edit>::arbitrary(&mut Unstructured::new(script)).ok()?;
    let what: Node = signed_part(certificate.der()).edited(&edits);
    Some(ca.sign(&what))
}
