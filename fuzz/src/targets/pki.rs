//! A PKI that is the same in every run: made from a seed, signed with Ed25519.

use std::sync::OnceLock;

use device_pki::{
    Authority, CaKind, Certificate, Crl, CrlContent, Device, FileKey, FirmwareSigner, Gate,
    KeyAlgorithm, KeyPair, Leaf, Organisation, Protection, SeededEntropy, SigningKey, SubjectKey,
    Thresholds, TrustAnchor, Validity,
};
use metadata_schema::gate::{Holder, Refusal, When};
use metadata_schema::key::PublicKey;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;

use super::der_tree::{Node, element};

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// AlgorithmIdentifier of Ed25519 (RFC 8410)
const ED25519: [u8; 7] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// Who is there: a root CA and two below it, Carol, who may sign root, and a device.
pub(super) struct Pki {
    pub(super) root: Ca,
    pub(super) firmware: Ca,
    pub(super) devices: Ca,
    pub(super) carol: Certificate,
    pub(super) carols_key: PublicKey,
    pub(super) device: Certificate,
}

/// A CA, and its key once more as one that signs anything.
pub(super) struct Ca {
    pub(super) authority: Authority,
    key: FileKey,
}

/// The time of all runs.
pub(super) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_772_366_400)
}

pub(super) fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(Pki::new)
}

impl Pki {
    fn new() -> Self {
        let entropy = &mut SeededEntropy::new(b"fuzz");
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let start = now().plus_seconds(-60 * 86_400);
        let pair = |entropy: &mut SeededEntropy| {
            KeyPair::generate(KeyAlgorithm::Ed25519, entropy).unwrap()
        };
        let (key, twin) = twins(pair(entropy), entropy);
        let validity = |kind: CaKind| Validity::days(start, kind.default_days());
        let root = Ca {
            authority: Authority::root(corp, key, validity(CaKind::Root), entropy).unwrap(),
            key: twin,
        };
        let below = |kind: CaKind, entropy: &mut SeededEntropy| {
            let (key, twin) = twins(pair(entropy), entropy);
            let authority = root
                .authority
                .subordinate(kind, key, validity(kind), entropy);
            Ca {
                authority: authority.unwrap(),
                key: twin,
            }
        };
        let firmware = below(CaKind::FirmwareSigning, entropy);
        let devices = below(CaKind::DeviceIssuing, entropy);
        let subject = SubjectKey::of(&pair(entropy)).unwrap();
        let signer = Leaf::FirmwareSigner(FirmwareSigner {
            name: "Carol".to_owned(),
            roles: vec!["root".parse().unwrap()],
        });
        let device = Leaf::Device(Device {
            serial: "SN-1".to_owned(),
        });
        let issue = |ca: &Ca, leaf: &Leaf, entropy: &mut SeededEntropy| {
            let validity = Validity::days(start, 365);
            let issued = ca.authority.issue(leaf, &subject, validity, entropy);
            issued.unwrap()
        };
        Self {
            carol: issue(&firmware, &signer, entropy),
            device: issue(&devices, &device, entropy),
            carols_key: subject.tuf_key().clone(),
            root,
            firmware,
            devices,
        }
    }

    pub(super) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::new(self.root.certificate().clone()).unwrap()
    }

    /// Whether Carol's key may sign root, by this chain of PEM texts and under these lists.
    pub(super) fn bound(&self, chain: &[String], lists: Vec<Crl>) -> Result<Holder, Refusal> {
        let gate = Gate::new(self.anchor(), lists, Thresholds::new(1, 1, 1));
        gate.bound(&self.carols_key, &RoleName::root(), chain, When::At(now()))
    }
}

impl Ca {
    pub(super) fn certificate(&self) -> &Certificate {
        self.authority.certificate()
    }

    /// What is signed, the algorithm and the signature: a certificate or a list (RFC 5280, section 4.1.1).
    pub(super) fn sign(&self, what: &Node) -> Vec<u8> {
        let message = what.write();
        let signature = self.key.sign(&message).unwrap();
        let signature = element(BIT_STRING, &[&[0], &signature[..]].concat());
        element(SEQUENCE, &[&message[..], &ED25519, &signature].concat())
    }

    /// The CA's list, with these certificates on it.
    pub(super) fn list(&self, revoked: &[&Certificate]) -> Crl {
        let since = now().plus_seconds(-86_400);
        let content = CrlContent {
            number: 7,
            this_update: since,
            next_update: since.plus_seconds(30 * 86_400),
            revoked: revoked
                .iter()
                .map(|c| (c.serial().clone(), since))
                .collect(),
        };
        self.authority.crl(&content).unwrap()
    }
}

/// The part of a certificate or list that is signed.
pub(super) fn signed_part(der: &[u8]) -> Node {
    Node::read(der).unwrap().inside()[0].clone()
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

fn twins(pair: KeyPair, entropy: &mut SeededEntropy) -> (KeyPair, FileKey) {
    let text = pair.to_pem(Protection::FileMode, entropy).unwrap();
    let again = KeyPair::from_pem("key", text.as_bytes(), None).unwrap();
    (pair, again.into_tuf_signer().unwrap())
}
