//! Revocation lists: as bytes, and changed anywhere but signed by the real CA. A list that the CA did not sign is never
//! believed; who is on one that it did sign is not bound.
//!
//! Input: a byte that says which, and the rest.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use device_pki::{Crl, crl_target_path};

use super::der_tree::Edit;
use super::pki::{pki, signed_part};

/// See the module.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((which, rest)) if which % 2 == 0 => any_bytes(rest),
        Some((_, rest)) => signed(rest),
        None => {}
    }
}

/// The list with Carol on it.
fn honest() -> &'static Crl {
    static LIST: OnceLock<Crl> = OnceLock::new();
    LIST.get_or_init(|| pki().firmware.list(&[&pki().carol]))
}

fn any_bytes(bytes: &[u8]) {
    let Ok(list) = Crl::from_pem_or_der("list", bytes) else {
        return;
    };
    consistent(&list);
    if list.verify(pki().firmware.certificate()).is_ok() {
        assert_eq!(list.der(), honest().der(), "a forged list");
    }
}

fn signed(script: &[u8]) {
    let Ok(edits) = Vec::<Edit>::arbitrary(&mut Unstructured::new(script)) else {
        return;
    };
    let pki = pki();
    let der = pki
        .firmware
        .sign(&signed_part(honest().der()).edited(&edits));
    let Ok(list) = Crl::from_der("list", &der) else {
        return;
    };
    consistent(&list);
    let chain = [pki.carol.pem(), pki.firmware.certificate().pem()];
    let believed = list.verify(pki.firmware.certificate()).is_ok();
    let on_it = list.revoked(pki.carol.serial()).is_some();
    let bound = pki.bound(&chain, vec![list]);
    assert_eq!(bound.is_err(), believed && on_it, "{bound:?}");
}

fn consistent(list: &Crl) {
    let entries: Vec<_> = list.entries().collect();
    assert_eq!(entries.len(), list.len());
    assert!(entries.is_sorted());
    for (serial, since) in entries {
        assert_eq!(list.revoked(serial), Some(since));
    }
    assert!(!list.issuer().contains('\n'));
    if let Ok(path) = crl_target_path(list.issuer_ski()) {
        assert!(path.as_str().starts_with("pki/"));
    }
}
