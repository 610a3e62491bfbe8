//! Certificate tricks, through the whole client: a chain that does not bind a key to the trust anchor for its role, so that the
//! key's signature does not count, whoever put it into the metadata.

use device_pki::{Authority, CaKind, KeyAlgorithm, KeyPair, Validity};
use rcgen::ExtendedKeyUsagePurpose as Eku;
use tests::simulator::{Key, Pki, Simulator, date};

use crate::support::{bound, now, reasons, still_follows, verdict, world};

fn pems(leaf: &device_pki::Certificate, ca: &Authority) -> Vec<String> {
    vec![leaf.pem(), ca.certificate().pem()]
}

/// A CA below the root, of some kind, from some time on.
fn subordinate(pki: &Pki, kind: CaKind, validity: Validity) -> Authority {
    pki.with_entropy(|entropy| {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy).unwrap();
        pki.root()
            .subordinate(kind, key, validity, entropy)
            .unwrap()
    })
}

type Trick = (
    &'static str,
    fn(&Pki, &Key, &str) -> Vec<String>,
    &'static str,
);

/// The chain for a key and a role, and why the key does not count.
fn tricks() -> Vec<Trick> {
    vec![
        (
            "no certificate",
            |_, _, _| Vec::new(),
            "no certificate for key",
        ),
        (
            "for TLS clients and servers",
            |pki, key, role| {
                let leaf = pki.rogue(pki.firmware(), key, &[role], |params| {
                    params.extended_key_usages = vec![Eku::ClientAuth, Eku::ServerAuth];
                });
                pems(&leaf, pki.firmware())
            },
            "is not for code signing",
        ),
        (
            "for no purpose in particular",
            |pki, key, role| {
                let leaf = pki.rogue(pki.firmware(), key, &[role], |params| {
                    params.extended_key_usages.clear();
                });
                pems(&leaf, pki.firmware())
            },
            "is not for code signing",
        ),
        (
            "for any purpose",
            |pki, key, role| {
                let leaf = pki.rogue(pki.firmware(), key, &[role], |params| {
                    params.extended_key_usages = vec![Eku::Any];
                });
                pems(&leaf, pki.firmware())
            },
            "is not for code signing",
        ),
        (
            "for another role",
            |pki, key, _| {
                pems(
                    &pki.rogue(pki.firmware(), key, &["another"], |_| {}),
                    pki.firmware(),
                )
            },
            "is for role delegated:another, not for",
        ),
        (
            "for a delegated role that is called like it",
            |pki, key, role| {
                let leaf = pki.rogue(pki.firmware(), key, &[&format!("delegated:{role}")], |_| {});
                pems(&leaf, pki.firmware())
            },
            "is for role delegated:delegated:",
        ),
        (
            "for no role",
            |pki, key, role| {
                let leaf = pki.rogue(pki.firmware(), key, &[role], |params| {
                    params.custom_extensions.clear();
                });
                pems(&leaf, pki.firmware())
            },
            "names no role to sign",
        ),
        (
            "expired",
            |pki, key, role| {
                let leaf = pki.rogue(pki.firmware(), key, &[role], |params| {
                    params.not_after = date(now().plus_seconds(-1));
                });
                pems(&leaf, pki.firmware())
            },
            "expired on 2029-12-31",
        ),
        (
            "from a time when its CA is no more",
            |pki, key, role| {
                let ca = subordinate(
                    pki,
                    CaKind::FirmwareSigning,
                    Validity::days(pki.start(), 61),
                );
                let leaf = pki.rogue(&ca, key, &[role], |params| {
                    params.not_before = date(now().plus_seconds(2 * 86_400));
                });
                pems(&leaf, &ca)
            },
            "which issued that of",
        ),
        (
            "of another company's CA",
            |_, key, role| {
                let other = Pki::new("another company", now());
                other.certify(key, &[role])
            },
            "does not lead to the trust anchor",
        ),
        (
            "of a CA that only looks like ours",
            |pki, key, role| {
                // Names and key identifiers are free to choose; the keys are not.
                let other = Pki::new("a twin", now());
                let leaf = other.rogue(other.firmware(), key, &[role], |_| {});
                vec![leaf.pem(), pki.firmware().certificate().pem()]
            },
            "does not lead to the trust anchor",
        ),
        (
            "of a CA for devices",
            |pki, key, role| {
                let ca = subordinate(pki, CaKind::DeviceIssuing, Validity::days(pki.start(), 300));
                pems(&pki.rogue(&ca, key, &[role], |_| {}), &ca)
            },
            "is not for code signing",
        ),
        (
            "of a CA for servers",
            |pki, key, role| {
                let ca = subordinate(pki, CaKind::Server, Validity::days(pki.start(), 300));
                pems(&pki.rogue(&ca, key, &[role], |_| {}), &ca)
            },
            "is not for code signing",
        ),
        (
            "of a CA that has expired",
            |pki, key, role| {
                let ca = subordinate(
                    pki,
                    CaKind::FirmwareSigning,
                    Validity::days(pki.start(), 30),
                );
                pems(&pki.rogue(&ca, key, &[role], |_| {}), &ca)
            },
            "which issued that of",
        ),
        (
            "of a CA below the firmware-signing CA",
            |pki, key, role| {
                let ca = pki.with_entropy(|entropy| {
                    let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy).unwrap();
                    let validity = Validity::days(pki.start(), 300);
                    let kind = CaKind::FirmwareSigning;
                    pki.firmware()
                        .subordinate(kind, key, validity, entropy)
                        .unwrap()
                });
                let mut chain = pems(&pki.rogue(&ca, key, &[role], |_| {}), &ca);
                chain.push(pki.firmware().certificate().pem());
                chain
            },
            "does not lead to the trust anchor",
        ),
        (
            "of another keyholder",
            |pki, key, role| {
                // A leaf is no CA.
                let name = format!("{} friend", key.name());
                let friend = Key::new(tests::simulator::KeyKind::Ed25519, "friends", &name);
                let by = pki.rogue(pki.firmware(), &friend, &[role], |_| {});
                let organisation = pki.firmware().organisation().clone();
                let pair = KeyPair::generate(
                    KeyAlgorithm::Ed25519,
                    &mut device_pki::SeededEntropy::new(format!("friends/{name}").as_bytes()),
                );
                let ca = Authority::new(
                    CaKind::FirmwareSigning,
                    organisation,
                    by.clone(),
                    pair.unwrap(),
                )
                .unwrap();
                let leaf = pki.rogue(&ca, key, &[role], |_| {});
                vec![leaf.pem(), by.pem(), pki.firmware().certificate().pem()]
            },
            "may not sign certificates",
        ),
        (
            "somebody else's",
            |pki, _, role| {
                let friend = Key::new(tests::simulator::KeyKind::Ed25519, "friends", "somebody");
                pems(
                    &pki.rogue(pki.firmware(), &friend, &[role], |_| {}),
                    pki.firmware(),
                )
            },
            "is for another key than",
        ),
        (
            "without the CA",
            |pki, key, role| vec![pki.certify(key, &[role])[0].clone()],
            "does not lead to the trust anchor",
        ),
        (
            "the wrong way round",
            |pki, key, role| pki.certify(key, &[role]).into_iter().rev().collect(),
            "is for another key than",
        ),
        (
            "text",
            |_, _, _| vec!["a certificate".to_owned()],
            "unreadable certificate for key",
        ),
    ]
}

/// Puts a chain for one of the two keyholders of a role into the metadata of its delegator, and publishes all of it.
fn with_chain(
    honest: &Simulator,
    role: &str,
    make: fn(&Pki, &Key, &str) -> Vec<String>,
) -> Simulator {
    let mut tricked = honest.clone();
    let pki = tricked.pki().unwrap().clone();
    let key = tricked.signers(role)[1].clone();
    let delegator = if role == "lamp" { "targets" } else { "root" };
    let chain = make(&pki, &key, role);
    tricked.set_chain(delegator, &key, chain);
    tricked.targets("lamp").edit();
    tricked.targets("targets").edit();
    tricked.publish_root().publish();
    tricked
}

#[test]
fn a_chain_that_does_not_bind_does_not_count() {
    for (what, make, why) in tricks() {
        for role in ["root", "targets", "lamp"] {
            let (mut honest, device) = world(bound());
            let mut tricked = with_chain(&honest, role, make);
            let end = device.find(&mut tricked, "lamp/fw");
            assert!(end.is_err(), "{what} for {role}");
            let reason = reasons(end);
            assert!(reason.contains(why), "{what}: {reason}");
            let end = verdict(device.find(&mut tricked, "lamp/fw"));
            assert_eq!(end, format!("{role}: threshold 1/2"), "{what}");
            assert_eq!(device.trusted()[role], 2, "{what}");
            // The honest root has the next number again, and what follows comes after what was published with the trick.
            if role != "root" {
                let key = tricked.signers(role)[1].clone();
                let delegator = if role == "lamp" { "targets" } else { "root" };
                let good = honest.chain(delegator, &key);
                let chain = good.iter().map(device_pki::Certificate::pem).collect();
                tricked.set_chain(delegator, &key, chain);
                tricked.publish_root();
                honest = tricked;
            }
            still_follows(&device, &mut honest);
        }
    }
}

/// The table above is worth something only if a good chain made in the same way counts.
#[test]
fn an_honest_chain_counts() {
    for role in ["root", "targets", "lamp"] {
        let (honest, device) = world(bound());
        let mut changed = with_chain(&honest, role, |pki, key, role| {
            pems(
                &pki.rogue(pki.firmware(), key, &[role], |_| {}),
                pki.firmware(),
            )
        });
        still_follows(&device, &mut changed);
    }
}

/// A certificate from the future says that the clock is behind: its path is judged at its own beginning.
#[test]
fn a_chain_from_the_future_counts() {
    for role in ["root", "targets", "lamp"] {
        let (honest, device) = world(bound());
        let mut changed = with_chain(&honest, role, |pki, key, role| {
            let leaf = pki.rogue(pki.firmware(), key, &[role], |params| {
                params.not_before = date(now().plus_seconds(3600));
            });
            pems(&leaf, pki.firmware())
        });
        still_follows(&device, &mut changed);
    }
}

/// A chain of more certificates than any has makes the file unreadable: bounded before anything is looked at.
#[test]
fn a_chain_without_an_end() {
    let (mut honest, device) = world(bound());
    let mut tricked = with_chain(&honest, "targets", |pki, key, role| {
        let chain = pki.certify(key, &[role]);
        vec![
            chain[0].clone(),
            chain[1].clone(),
            chain[1].clone(),
            chain[1].clone(),
            chain[1].clone(),
        ]
    });
    let end = verdict(device.refresh(&mut tricked));
    assert_eq!(end, "root: shape of signed.x-pki.certs");
    still_follows(&device, &mut honest);
}
