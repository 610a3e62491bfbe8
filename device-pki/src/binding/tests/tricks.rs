//! Certificates that are wrong in ways that no honest CA would make them: most signed by the real CA's key all the same,
//! so that nothing but the rule in question stands against them.

use super::*;
use crate::certificate::Certificate;
use crate::der::{self, SEQUENCE};
use crate::oid;
use crate::profile::Leaf;
use crate::role;
use crate::testing::forge::{Forged, pem};

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// An identifier that nobody knows, below our own arc.
const NOBODYS: &[u8] = &[0x2b, 6, 1, 4, 1, 0x81, 0xfd, 0x59, 99];
const CA: &[u8] = &[0x30, 0x03, 0x01, 0x01, 0xff];
/// KeyUsage: keyAgreement only.
const KEY_AGREEMENT: &[u8] = &[0x03, 0x02, 0x03, 0x08];

/// Carol, and a gate that admits her.
struct World {
    pki: TestPki,
    carol: Person,
    gate: Gate,
}

impl World {
    fn new() -> Self {
        let pki = TestPki::new("tricks");
        let carol = pki.signer("Carol", &["root"]);
        let gate = gate(&pki, pki.crls());
        let world = Self { pki, carol, gate };
        let honest = [world.leaf(|leaf| leaf), world.ca(|ca| ca)];
        assert_eq!(world.ask(&honest), Ok(()), "forging changes nothing else");
        world
    }

    /// Carol's certificate, changed and signed by the real CA.
    fn leaf(&self, change: impl FnOnce(Forged) -> Forged) -> String {
        change(Forged::from(&self.carol.chain[0])).sign_pem(self.pki.firmware.key())
    }

    /// The firmware-signing CA's certificate, changed and signed by the real root.
    fn ca(&self, change: impl FnOnce(Forged) -> Forged) -> String {
        change(Forged::from(&self.carol.chain[1])).sign_pem(self.pki.root.key())
    }

    fn ask(&self, chain: &[String]) -> Result<(), String> {
        let root = RoleName::root();
        let answer = self.gate.bound(self.carol.public(), &root, chain, at_now());
        answer.map(drop).map_err(|refusal| refusal.0)
    }

    fn refuses(&self, case: &str, chain: &[String], expected: &str) {
        let why = self.ask(chain).expect_err(case);
        assert!(why.contains(expected), "{case}: {why}");
        assert!(!why.contains('\n') && why.len() < 600, "{case}: {why}");
    }
}

#[test]
fn leaves_that_no_honest_ca_would_sign() {
    let world = World::new();
    let roles = |names: &[&str]| {
        let roles: Vec<SignerRole> = names.iter().map(|name| name.parse().unwrap()).collect();
        role::encode(&roles)
    };
    let plain: fn(Forged) -> Forged = |leaf| leaf;
    let unreadable = "unreadable certificate for key";
    let table: Vec<(&str, String, &str)> = vec![
        (
            "a CA as leaf",
            world.leaf(|l| {
                l.without(BASIC_CONSTRAINTS)
                    .with(BASIC_CONSTRAINTS, true, CA)
            }),
            "a CA's certificate stands in the place of a leaf",
        ),
        (
            "a key that may not sign",
            world.leaf(|l| l.without(KEY_USAGE).with(KEY_USAGE, true, KEY_AGREEMENT)),
            "its key may not sign data",
        ),
        (
            "an unknown critical extension",
            world.leaf(|l| l.with(NOBODYS, true, &[5, 0])),
            "does not lead to the trust anchor",
        ),
        (
            "roles marked critical, which others cannot read",
            world.leaf(|l| {
                let roles = roles(&["root"]);
                l.without(oid::SIGNER_ROLES_DER)
                    .with(oid::SIGNER_ROLES_DER, true, &roles)
            }),
            "does not lead to the trust anchor",
        ),
        (
            "roles twice",
            world.leaf(|l| l.with(oid::SIGNER_ROLES_DER, false, &roles(&["targets"]))),
            unreadable,
        ),
        (
            "the same roles twice",
            world.leaf(|l| l.with(oid::SIGNER_ROLES_DER, false, &roles(&["root"]))),
            unreadable,
        ),
        (
            "roles of another shape",
            world.leaf(|l| {
                l.without(oid::SIGNER_ROLES_DER)
                    .with(oid::SIGNER_ROLES_DER, false, b"\x0c\x04root")
            }),
            unreadable,
        ),
        (
            "more behind the roles",
            world.leaf(|l| {
                let more = [roles(&["root"]), roles(&["targets"])].concat();
                l.without(oid::SIGNER_ROLES_DER)
                    .with(oid::SIGNER_ROLES_DER, false, &more)
            }),
            unreadable,
        ),
        (
            "a role's name with a zero in it",
            world.leaf(|l| {
                let name = der::write(der::UTF8_STRING, b"root\0");
                l.without(oid::SIGNER_ROLES_DER).with(
                    oid::SIGNER_ROLES_DER,
                    false,
                    &der::write(SEQUENCE, &name),
                )
            }),
            "names no role to sign",
        ),
        (
            "purposes twice",
            world.leaf(|l| {
                let purpose = der::write(0x06, oid::CODE_SIGNING_DER);
                l.with(EXTENDED_KEY_USAGE, false, &der::write(SEQUENCE, &purpose))
            }),
            unreadable,
        ),
        (
            "an unknown extension twice",
            world.leaf(|l| {
                l.with(NOBODYS, false, &[5, 0])
                    .with(NOBODYS, false, &[5, 0])
            }),
            "extension 1.3.6.1.4.1.32473.99 twice",
        ),
        (
            "a negative serial number",
            world.leaf(|l| l.serial(&[0x81, 1, 2, 3])),
            "its serial number is not positive",
        ),
        (
            "serial number 0",
            world.leaf(|l| l.serial(&[0])),
            "its serial number is not positive",
        ),
        (
            "an endless serial number",
            world.leaf(|l| l.serial(&[1; 21])),
            "its serial number has more than 20 bytes",
        ),
        (
            "version 1",
            world.leaf(|mut l| {
                l.version.clear();
                l.extensions.clear();
                l
            }),
            "names no role to sign",
        ),
        (
            "version 1 with extensions",
            world.leaf(|mut l| {
                l.version.clear();
                l
            }),
            "does not lead to the trust anchor",
        ),
        (
            "another algorithm inside than outside",
            world.leaf(|mut l| {
                l.outer_algorithm = der::write(SEQUENCE, &der::write(0x06, &[0x2b, 0x65, 0x71]));
                l
            }),
            "does not lead to the trust anchor",
        ),
        (
            "an algorithm that is not used here",
            world.leaf(|mut l| {
                // sha1WithRSAEncryption
                let name = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
                let algorithm = [der::write(0x06, &name), vec![5, 0]].concat();
                l.algorithm = der::write(SEQUENCE, &algorithm);
                l.outer_algorithm = l.algorithm.clone();
                l
            }),
            "does not lead to the trust anchor",
        ),
        (
            "the end before the beginning",
            world.leaf(|mut l| {
                let times = b"\x17\x0d260601000000Z\x17\x0d260101000000Z";
                l.validity = der::write(SEQUENCE, times);
                l
            }),
            "expired on 2026-01-01",
        ),
        (
            "larger than any certificate",
            world.leaf(|l| l.with(NOBODYS, false, &vec![0; 20_000])),
            unreadable,
        ),
        ("honest", world.leaf(plain), "honest"),
    ];
    for (case, leaf, expected) in table {
        let chain = [leaf, world.ca(|ca| ca)];
        if case == "honest" {
            assert_eq!(world.ask(&chain), Ok(()));
        } else {
            world.refuses(case, &chain, expected);
        }
    }
}

#[test]
fn cas_that_no_honest_root_would_sign() {
    let world = World::new();
    for (case, ca, expected) in [
        (
            "no CA flag",
            world.ca(|ca| {
                ca.without(BASIC_CONSTRAINTS)
                    .with(BASIC_CONSTRAINTS, true, &[0x30, 0])
            }),
            "was issued by one that is no CA",
        ),
        (
            "no basic constraints",
            world.ca(|ca| ca.without(BASIC_CONSTRAINTS)),
            "was issued by one that is no CA",
        ),
        (
            "a key that may sign lists only",
            world.ca(|ca| {
                // cRLSign
                ca.without(KEY_USAGE)
                    .with(KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x02])
            }),
            "which issued that of Carol, may not sign certificates",
        ),
        (
            "an unknown critical extension",
            world.ca(|ca| ca.with(NOBODYS, true, &[5, 0])),
            "does not lead to the trust anchor",
        ),
        (
            "key identifier twice",
            world.ca(|ca| ca.with(SUBJECT_KEY_ID, false, &[4, 1, 7])),
            "unreadable certificate for key",
        ),
        (
            "a negative serial number",
            world.ca(|ca| ca.serial(&[0xff; 8])),
            "its serial number is not positive",
        ),
    ] {
        world.refuses(case, &[world.leaf(|leaf| leaf), ca], expected);
    }
}

#[test]
fn a_ca_with_anothers_name_and_key_identifier_is_not_that_ca() {
    let world = World::new();
    let attacker = TestPki::new("attacker");
    // Everything is the real CA's but the key.
    let mut twin = Forged::from(&world.carol.chain[1]);
    twin.public_key = attacker.firmware.key().public_key_der();
    let by_attacker = twin.sign_pem(attacker.root.key());
    let by_itself = {
        let mut twin = twin.clone();
        twin.issuer = twin.subject.clone();
        twin.sign_pem(attacker.firmware.key())
    };
    let leaf = Forged::from(&world.carol.chain[0]).sign_pem(attacker.firmware.key());
    let real = world.ca(|ca| ca);
    for (case, chain) in [
        ("a twin", vec![leaf.clone(), by_attacker.clone()]),
        ("a twin of its own", vec![leaf.clone(), by_itself]),
        ("the real CA", vec![leaf.clone(), real.clone()]),
        (
            "both",
            vec![leaf.clone(), by_attacker.clone(), real.clone()],
        ),
        (
            "both, the other way round",
            vec![leaf.clone(), real, by_attacker],
        ),
        ("none", vec![leaf]),
    ] {
        world.refuses(case, &chain, "does not lead to the trust anchor");
    }
    // Signed by itself in the name of the trust anchor.
    let mut alone = Forged::from(&world.carol.chain[0]);
    alone.issuer = Forged::from(world.pki.root.certificate()).subject;
    let own = world.carol.key.key_pair();
    world.refuses(
        "alone",
        &[alone.sign_pem(own)],
        "does not lead to the trust anchor",
    );
}

#[test]
fn what_is_not_der_is_no_certificate() {
    let world = World::new();
    let honest = world.carol.chain[0].der().to_vec();
    let body = &honest[4..];
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let unreadable = "unreadable certificate for key";
    for (case, der, expected) in [
        ("a byte behind it", [&honest[..], &[0]].concat(), unreadable),
        ("twice", [&honest[..], &honest[..]].concat(), unreadable),
        (
            "a length that is too long",
            [&[0x30, 0x83, 0][..], &length, body].concat(),
            "does not lead to the trust anchor",
        ),
        (
            "without end",
            [&[0x30, 0x80][..], body, &[0, 0]].concat(),
            unreadable,
        ),
        ("cut short", honest[..honest.len() - 1].to_vec(), unreadable),
        ("empty", vec![0x30, 0], unreadable),
        ("nothing", vec![], unreadable),
        (
            "deep",
            (0..4000).fold(vec![], |inner, _| der::write(SEQUENCE, &inner)),
            unreadable,
        ),
    ] {
        let chain = [pem(&der), world.ca(|ca| ca)];
        world.refuses(case, &chain, expected);
    }
    assert_eq!(world.ask(&[pem(&honest), world.ca(|ca| ca)]), Ok(()));
}

#[test]
fn names_may_be_long_and_no_message_is() {
    let world = World::new();
    let name = "x".repeat(9_000);
    let leaf = Leaf::FirmwareSigner(crate::FirmwareSigner {
        name: "Carol".to_owned(),
        roles: vec![SignerRole::Root],
    });
    let mut params = leaf.params(world.pki.firmware.organisation()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let key = world.carol.key.key_pair();
    let validity = Validity::days(start(), 365);
    let issue = |params: rcgen::CertificateParams| {
        let leaf = world.pki.rogue(&world.pki.firmware, params, key, validity);
        [Certificate::pem(&leaf), world.ca(|ca| ca)]
    };
    assert_eq!(world.ask(&issue(params.clone())), Ok(()));
    params.extended_key_usages.clear();
    let chain = issue(params);
    world.refuses("a long name", &chain, "is not for code signing");
}
