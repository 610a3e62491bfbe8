//! Every condition of Bound(key, role), one refusal each.

mod hybrid;
mod keys;
mod leaf;
mod path;
mod revocation;
mod time;
mod tricks;

use super::*;
use crate::folder::Algorithms;
use crate::key::{KeyAlgorithm, SigningKey};
use crate::profile::{CaKind, Validity};
use crate::testing::{Person, TestPki, at_now, now, start};

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
        assert_eq!(gate.requirement(&role).holders, 1);
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
        found.map(|role| gate.requirement(&role).holders),
        [3, 2, 2, 1]
    );
}
