//! A small PKI in memory for this crate's tests.

pub(crate) mod forge;

use std::cell::RefCell;
use std::sync::Arc;

use metadata_schema::gate::When;
use metadata_schema::key::PublicKey;
use metadata_schema::time::Timestamp;

use crate::authority::{Authority, CrlContent};
use crate::certificate::Certificate;
use crate::crl::Crl;
use crate::entropy::SeededEntropy;
use crate::folder::Algorithms;
use crate::identity::Identity;
use crate::key::{FileKey, KeyAlgorithm, KeyPair};
use crate::name::Organisation;
use crate::profile::{ApiServer, CaKind, Device, FirmwareSigner, Leaf, Validity};
use crate::revocations::Revocations;
use crate::subject_key::SubjectKey;
use crate::tls::{Clock, RevocationPolicy, Trust};
use crate::{SigningKey, TrustAnchor};

pub(crate) struct TestPki {
    pub(crate) root: Authority,
    pub(crate) firmware: Authority,
    pub(crate) devices: Authority,
    pub(crate) servers: Authority,
    entropy: RefCell<SeededEntropy>,
}

/// A person with key and certificates.
pub(crate) struct Person {
    pub(crate) key: FileKey,
    pub(crate) chain: Vec<Certificate>,
}

impl Person {
    pub(crate) fn public(&self) -> &PublicKey {
        self.key.public_key()
    }

    pub(crate) fn pem(&self) -> Vec<String> {
        self.chain.iter().map(Certificate::pem).collect()
    }

    pub(crate) fn named(&self) -> String {
        let leaf = &self.chain[0];
        format!(
            "certificate of {} (serial {})",
            leaf.common_name(),
            leaf.serial().short()
        )
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the CAs were made.
pub(crate) fn start() -> Timestamp {
    time("2026-01-01T00:00:00Z")
}

/// The time of most tests.
pub(crate) fn now() -> Timestamp {
    time("2026-03-01T12:00:00Z")
}

pub(crate) fn at_now() -> When {
    When::At(now())
}

impl TestPki {
    pub(crate) fn new(seed: &str) -> Self {
        Self::with(seed, Algorithms::DETERMINISTIC)
    }

    pub(crate) fn with(seed: &str, algorithms: Algorithms) -> Self {
        let mut entropy = SeededEntropy::new(seed.as_bytes());
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let key = KeyPair::generate(algorithms.root, &mut entropy).unwrap();
        let validity = Validity::days(start(), CaKind::Root.default_days());
        let root = Authority::root(corp, key, validity, &mut entropy).unwrap();
        let mut below = |kind: CaKind| {
            let key = KeyPair::generate(algorithms.issuing, &mut entropy).unwrap();
            let validity = Validity::days(start(), kind.default_days());
            root.subordinate(kind, key, validity, &mut entropy).unwrap()
        };
        let (firmware, devices, servers) = (
            below(CaKind::FirmwareSigning),
            below(CaKind::DeviceIssuing),
            below(CaKind::Server),
        );
        Self {
            root,
            firmware,
            devices,
            servers,
            entropy: RefCell::new(entropy),
        }
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::new(self.root.certificate().clone()).unwrap()
    }

    pub(crate) fn key(&self, algorithm: KeyAlgorithm) -> KeyPair {
        KeyPair::generate(algorithm, &mut *self.entropy.borrow_mut()).unwrap()
    }

    /// A certificate from freely chosen parameters: what a careless or stolen CA could issue.
    pub(crate) fn rogue(
        &self,
        ca: &Authority,
        params: rcgen::CertificateParams,
        key: &impl rcgen::SigningKey,
        validity: Validity,
    ) -> Certificate {
        ca.sign(params, key, validity, &mut *self.entropy.borrow_mut())
            .unwrap()
    }

    pub(crate) fn signer_leaf(name: &str, roles: &[&str]) -> Leaf {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Leaf::FirmwareSigner(FirmwareSigner {
            name: name.to_owned(),
            roles,
        })
    }

    pub(crate) fn signer(&self, name: &str, roles: &[&str]) -> Person {
        self.signer_valid(name, roles, Validity::days(start(), 365))
    }

    pub(crate) fn signer_valid(&self, name: &str, roles: &[&str], validity: Validity) -> Person {
        let key = self.key(KeyAlgorithm::Ed25519);
        let subject = SubjectKey::of(&key).unwrap();
        let leaf = Self::signer_leaf(name, roles);
        let mut entropy = self.entropy.borrow_mut();
        let certificate = self
            .firmware
            .issue(&leaf, &subject, validity, &mut *entropy)
            .unwrap();
        let chain = vec![certificate, self.firmware.certificate().clone()];
        Person {
            key: key.into_tuf_signer().unwrap(),
            chain,
        }
    }

    /// The chain that the real CA issues to a person for a key of any type.
    pub(crate) fn certify(&self, name: &str, roles: &[&str], key: &SubjectKey) -> Vec<Certificate> {
        let leaf = Self::signer_leaf(name, roles);
        let validity = Validity::days(start(), 365);
        let mut entropy = self.entropy.borrow_mut();
        let issued = self.firmware.issue(&leaf, key, validity, &mut *entropy);
        vec![issued.unwrap(), self.firmware.certificate().clone()]
    }

    pub(crate) fn device(&self, serial: &str) -> Identity {
        self.device_valid(serial, Validity::days(start(), 90))
    }

    pub(crate) fn device_valid(&self, serial: &str, validity: Validity) -> Identity {
        let leaf = Leaf::Device(Device {
            serial: serial.to_owned(),
        });
        self.identity(&self.devices, &leaf, validity)
    }

    pub(crate) fn server(&self, name: &str) -> Identity {
        self.server_valid(name, Validity::days(start(), 90))
    }

    pub(crate) fn server_valid(&self, name: &str, validity: Validity) -> Identity {
        let leaf = Leaf::ApiServer(ApiServer {
            name: String::new(),
            dns_names: vec![name.to_owned()],
            addresses: vec!["127.0.0.1".parse().unwrap()],
        });
        self.identity(&self.servers, &leaf, validity)
    }

    fn identity(&self, ca: &Authority, leaf: &Leaf, validity: Validity) -> Identity {
        let key = self.key(KeyAlgorithm::P256);
        let subject = SubjectKey::of(&key).unwrap();
        let issued = ca
            .issue(leaf, &subject, validity, &mut *self.entropy.borrow_mut())
            .unwrap();
        Identity::new(vec![issued, ca.certificate().clone()], key).unwrap()
    }

    /// A revocation list of `ca` in which `revoked` were revoked one day ago.
    pub(crate) fn crl(&self, ca: &Authority, number: u64, revoked: &[&Certificate]) -> Crl {
        let since = now().plus_seconds(-86_400);
        ca.crl(&CrlContent {
            number,
            this_update: since,
            next_update: since.plus_seconds(30 * 86_400),
            revoked: revoked
                .iter()
                .map(|c| (c.serial().clone(), since))
                .collect(),
        })
        .unwrap()
    }

    /// Empty lists of all CAs.
    pub(crate) fn crls(&self) -> Vec<Crl> {
        [&self.root, &self.firmware, &self.devices, &self.servers]
            .map(|ca| self.crl(ca, 1, &[]))
            .into()
    }

    pub(crate) fn trust(&self, extra: Vec<Crl>) -> Trust {
        let mut lists = self.crls();
        lists.extend(extra);
        Trust {
            anchor: self.anchor(),
            revocations: Arc::new(Revocations::new(lists)),
            policy: RevocationPolicy::Strict,
            clock: Clock::Fixed(now()),
        }
    }
}

/// Key pairs of the types that our own key files do not have, and of those that they do: P-256, P-384, RSA-3072, ML-DSA-44,
/// -65, -87. Made once: RSA keys take long.
pub(crate) fn other_keys() -> &'static [(&'static str, rcgen::KeyPair)] {
    static KEYS: std::sync::OnceLock<Vec<(&str, rcgen::KeyPair)>> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| {
        let make = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap();
        let rsa =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072);
        vec![
            ("ECDSA P-256", make(&rcgen::PKCS_ECDSA_P256_SHA256)),
            ("ECDSA P-384", make(&rcgen::PKCS_ECDSA_P384_SHA384)),
            ("RSA", rsa.unwrap()),
            ("ML-DSA-44", make(&rcgen::PKCS_ML_DSA_44)),
            ("ML-DSA-65", make(&rcgen::PKCS_ML_DSA_65)),
            ("ML-DSA-87", make(&rcgen::PKCS_ML_DSA_87)),
        ]
    })
}
