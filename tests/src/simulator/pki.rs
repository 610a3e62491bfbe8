//! Certificates for keyholders, and revocation lists as the targets of the online role `pki`.

use std::sync::{Arc, Mutex};

use device_pki::Entropy as _;
use device_pki::oid::SIGNER_ROLES;
use device_pki::{
    Authority, CaKind, Certificate, Crl, CrlContent, FirmwareSigner, KeyAlgorithm, KeyPair, Leaf,
    Organisation, SeededEntropy, SerialNumber, TrustAnchor, Validity, crl_target_path,
};
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};

use super::{Delegation, Key, Simulator};

/// Days before the repository begins that the CAs were made.
const AGE_DAYS: i64 = 60;

/// A root CA and a firmware-signing CA. Clones share them.
#[derive(Clone)]
pub struct Pki {
    inner: Arc<Inner>,
    start: Timestamp,
}

struct Inner {
    root: Authority,
    firmware: Authority,
    entropy: Mutex<SeededEntropy>,
}

impl Pki {
    /// CAs that follow from the seed, made two months before `now`.
    pub fn new(seed: &str, now: Timestamp) -> Self {
        let mut entropy = SeededEntropy::new(format!("{seed}/pki").as_bytes());
        let start = now.plus_seconds(-AGE_DAYS * 86_400);
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let validity = |kind: CaKind| Validity::days(start, kind.default_days());
        // Ed25519, for its signatures follow from key and content alone.
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut entropy).unwrap();
        let root = Authority::root(corp, key, validity(CaKind::Root), &mut entropy).unwrap();
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut entropy).unwrap();
        let kind = CaKind::FirmwareSigning;
        let firmware = root
            .subordinate(kind, key, validity(kind), &mut entropy)
            .unwrap();
        let inner = Inner {
            root,
            firmware,
            entropy: Mutex::new(entropy),
        };
        Self {
            inner: Arc::new(inner),
            start,
        }
    }

    /// The trust anchor of devices.
    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::new(self.inner.root.certificate().clone()).unwrap()
    }

    /// The root CA.
    pub fn root(&self) -> &Authority {
        &self.inner.root
    }

    /// The CA that certifies who signs firmware.
    pub fn firmware(&self) -> &Authority {
        &self.inner.firmware
    }

    /// When the CAs were made.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// A certificate for the key's holder, who is called like the key, for these roles: PEM, the leaf first. Valid for two years
    /// from when the CAs were made.
    pub fn certify(&self, key: &Key, roles: &[&str]) -> Vec<String> {
        self.certify_for(key, roles, Validity::days(self.start, 2 * 365))
    }

    /// [`Pki::certify`], for another time.
    pub fn certify_for(&self, key: &Key, roles: &[&str], validity: Validity) -> Vec<String> {
        let roles = roles.iter().map(|role| in_certificate(role));
        let leaf = Leaf::FirmwareSigner(FirmwareSigner {
            name: key.name().to_owned(),
            roles: roles.map(|role| role.parse().unwrap()).collect(),
        });
        let subject = key.subject();
        let certificate = self.with_entropy(|entropy| {
            self.firmware()
                .issue(&leaf, &subject, validity, entropy)
                .unwrap()
        });
        vec![certificate.pem(), self.firmware().certificate().pem()]
    }

    /// What a careless or stolen CA could issue: a firmware signer's certificate for the key's holder and these roles, but for one
    /// change.
    pub fn rogue(
        &self,
        ca: &Authority,
        key: &Key,
        roles: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, key.name());
        let urn = format!("urn:example:person:{}", key.name());
        params.subject_alt_names = vec![SanType::URI(urn.as_str().try_into().unwrap())];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        let roles = role_extension(roles);
        params.custom_extensions = vec![CustomExtension::from_oid_content(&SIGNER_ROLES, roles)];
        let mut serial = [0; 16];
        self.with_entropy(|entropy| entropy.fill(&mut serial))
            .unwrap();
        serial[0] = (serial[0] & 0x7f) | 0x40;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        params.not_before = date(self.start);
        params.not_after = date(self.start.plus_seconds(2 * 365 * 86_400));
        change(&mut params);
        let issuer = Issuer::from_ca_cert_der(ca.certificate().der(), ca.key()).unwrap();
        let issued = params.signed_by(key.pair().unwrap(), &issuer).unwrap();
        Certificate::from_der("rogue", issued.der()).unwrap()
    }

    /// Calls with the random numbers that follow from the seed.
    pub fn with_entropy<T>(&self, use_it: impl FnOnce(&mut SeededEntropy) -> T) -> T {
        use_it(&mut self.inner.entropy.lock().unwrap())
    }

    /// A revocation list of one of the CAs, issued at `now` for a month.
    pub fn crl(ca: &Authority, number: u64, now: Timestamp, revoked: &[SerialNumber]) -> Crl {
        ca.crl(&CrlContent {
            number,
            this_update: now,
            next_update: now.plus_seconds(30 * 86_400),
            revoked: revoked.iter().map(|serial| (serial.clone(), now)).collect(),
        })
        .unwrap()
    }
}

/// The path of a CA's revocation list.
pub fn crl_path(ca: &Authority) -> String {
    let ski = ca.certificate().subject_key_id().unwrap();
    crl_target_path(&ski).unwrap().to_string()
}

impl Simulator {
    /// Publishes, together with the next [`Simulator::publish`], a revocation list of one of the CAs.
    pub fn add_crl(&mut self, ca: &Authority, number: u64, revoked: &[SerialNumber]) -> &mut Self {
        let crl = Pki::crl(ca, number, self.plan.now, revoked);
        self.add_target("pki", &crl_path(ca), crl.der())
    }

    /// The certificates that a delegator carries for a key, the leaf first.
    pub fn chain(&mut self, delegator: &str, key: &Key) -> Vec<Certificate> {
        let id = key.public().id();
        let chain = match delegator {
            "root" => self.root().value().certificates.chain(id).to_vec(),
            delegator => self
                .targets(delegator)
                .value()
                .certificates
                .chain(id)
                .to_vec(),
        };
        let read = |pem: &String| Certificate::from_pem("chain", pem.as_bytes()).unwrap();
        chain.iter().map(read).collect()
    }

    /// The role `pki` with empty lists of both CAs, if there are any.
    pub(super) fn publish_pki(&mut self) {
        let Some(pki) = self.pki.clone() else {
            return;
        };
        self.delegate(
            "targets",
            &Delegation::new("pki", &["pki/*.crl"]).terminating(),
        );
        self.add_crl(pki.root(), 1, &[]);
        self.add_crl(pki.firmware(), 1, &[]);
    }
}

/// A point in time as certificates are written.
pub fn date(time: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(time.unix_seconds()).unwrap()
}

/// SEQUENCE OF UTF8String, each shorter than 128 bytes.
fn role_extension(roles: &[&str]) -> Vec<u8> {
    let tagged = |tag: u8, content: Vec<u8>| {
        let length = u8::try_from(content.len()).ok().filter(|l| *l < 128);
        [vec![tag, length.unwrap()], content].concat()
    };
    let names = roles
        .iter()
        .flat_map(|role| tagged(0x0c, in_certificate(role).into_bytes()));
    tagged(0x30, names.collect())
}

/// A role as a certificate names it.
fn in_certificate(role: &str) -> String {
    match RoleName::delegated(role) {
        Ok(name) => format!("delegated:{name}"),
        Err(_) => role.to_owned(),
    }
}
