//! Who does not get to where devices enrol: certificates that no honest factory makes, each refused at the handshake.

use device_pki::oid::{FACTORY_IDENTITY, OPERATOR};
use device_pki::{CaKind, Certificate, Identity, KeyPair};
use metadata_schema::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};

use crate::enrolling::{Enrolling, key};
use crate::world::start;

const DAY: i64 = 86_400;

fn date(time: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(time.unix_seconds()).unwrap()
}

fn urn(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// What the Factory CA makes for SN-1, valid for ten years around the server's time.
fn honest() -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, "Example Corp");
    name.push(DnType::CommonName, "SN-1");
    params.subject_alt_names = vec![urn("urn:example:device:SN-1")];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![Eku::Other(FACTORY_IDENTITY.to_vec())];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date(start().plus_seconds(-DAY));
    params.not_after = date(start().plus_seconds(9 * 365 * DAY));
    params
}

/// A CA's certificate and key.
struct Ca(Certificate, KeyPair);

impl Ca {
    fn of(world: &Enrolling, kind: CaKind, folder: &str) -> Self {
        let pki = &world.world.pki;
        let key = pki.path().join(folder).join("ca.key.pem");
        Self(
            pki.ca_certificate(kind).unwrap(),
            KeyPair::load(&key, None).unwrap(),
        )
    }

    fn sign(&self, mut params: CertificateParams, key: &KeyPair) -> Certificate {
        let serial: [u8; 16] = std::array::from_fn(|at| 0x40 + u8::try_from(at).unwrap());
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        let issuer = Issuer::from_ca_cert_der(self.0.der(), &self.1).unwrap();
        let signed = params.signed_by(key, &issuer).unwrap();
        Certificate::from_der("imposter", signed.der()).unwrap()
    }

    /// An identity whose leaf differs by one change from an honest one.
    fn odd(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = honest();
        change(&mut params);
        let key = key();
        Identity::new(vec![self.sign(params, &key), self.0.clone()], key).unwrap()
    }

    /// A CA below this one.
    fn below(&self) -> Self {
        let mut params = honest();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Another CA");
        let key = key();
        Self(self.sign(params, &key), key)
    }
}

#[tokio::test]
async fn no_imposter_gets_to_where_devices_enrol() {
    let world = Enrolling::new("").await;
    let stranger = Enrolling::new("").await;
    let factory = Ca::of(&world, CaKind::Factory, "factory-ca");
    assert!(
        !world.enrolment_refuses(&factory.odd(|_| {})).await,
        "an honest one gets in"
    );

    let below = factory.below();
    let as_leaf = Identity::new(vec![factory.0.clone()], factory.1).unwrap();
    let factory = Ca::of(&world, CaKind::Factory, "factory-ca");
    let long = |copies: usize| {
        let key = key();
        let mut chain = vec![factory.sign(honest(), &key)];
        chain.extend(std::iter::repeat_n(factory.0.clone(), copies));
        Identity::new(chain, key).unwrap()
    };
    let operators = Ca::of(&world, CaKind::Operator, "operator-ca");
    let cases = [
        (
            "two URNs",
            factory.odd(|p| p.subject_alt_names.push(urn("urn:example:device:SN-2"))),
        ),
        ("no URN", factory.odd(|p| p.subject_alt_names.clear())),
        (
            "a person",
            factory.odd(|p| p.subject_alt_names = vec![urn("urn:example:person:Eve")]),
        ),
        ("no EKU", factory.odd(|p| p.extended_key_usages.clear())),
        (
            "wrong EKU",
            factory.odd(|p| p.extended_key_usages = vec![Eku::ClientAuth]),
        ),
        (
            "any EKU",
            factory.odd(|p| p.extended_key_usages = vec![Eku::Any]),
        ),
        (
            "operator as device",
            operators.odd(|p| p.extended_key_usages.push(Eku::Other(OPERATOR.to_vec()))),
        ),
        (
            "expired",
            factory.odd(|p| p.not_after = date(start().plus_seconds(-DAY / 2))),
        ),
        (
            "not yet valid",
            factory.odd(|p| p.not_before = date(start().plus_seconds(DAY))),
        ),
        (
            "other CA",
            Ca::of(&stranger, CaKind::Factory, "factory-ca").odd(|_| {}),
        ),
        ("a CA as a leaf", as_leaf),
        (
            "a leaf that says it is a CA",
            factory.odd(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        ),
        ("a chain of twenty", long(20)),
        ("a chain of five hundred", long(500)),
    ];
    for (case, imposter) in &cases {
        assert!(world.enrolment_refuses(imposter).await, "{case}");
    }

    // A leaf that issues, and a CA below one that may have none.
    let key_2 = key();
    let mut chain = vec![below.sign(honest(), &key_2), below.0.clone()];
    chain.push(factory.0.clone());
    let too_deep = Identity::new(chain, key_2).unwrap();
    assert!(world.enrolment_refuses(&too_deep).await, "path length");
    let issuing = issuing_leaf(&factory);
    assert!(
        world.enrolment_refuses(&issuing).await,
        "leaf issued by a leaf"
    );

    // None of it has kept the honest one away.
    assert!(!world.enrolment_refuses(&long(1)).await);
}

/// Signed by the key of an honest leaf.
fn issuing_leaf(factory: &Ca) -> Identity {
    let leaf_key = key();
    let leaf = Ca(factory.sign(honest(), &leaf_key), leaf_key);
    let forged_key = key();
    let forged = leaf.sign(honest(), &forged_key);
    Identity::new(vec![forged, leaf.0, factory.0.clone()], forged_key).unwrap()
}
