//! Certificates and lists, the same in every process of a run.

use std::sync::Arc;

use device_pki::{
    ApiServer, Authority, CaKind, Clock, Crl, CrlContent, Device, Identity, KeyAlgorithm, KeyPair,
    Leaf, Organisation, RevocationPolicy, Revocations, SeededEntropy, SerialNumber, SubjectKey,
    Trust, TrustAnchor, Validity,
};
use metadata_schema::time::Timestamp;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Entries of the lists of the CA of devices.
pub(crate) const SIZES: [usize; 3] = [0, 10_000, 100_000];
/// The server's name.
pub(crate) const NAME: &str = "api.corp.example";

const DAY: i64 = 86_400;

pub(crate) struct World {
    pub(crate) root: Authority,
    pub(crate) devices: Authority,
    pub(crate) server: Identity,
    pub(crate) device: Identity,
    now: Timestamp,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut entropy = SeededEntropy::new(b"handshakes");
        let now = Clock::System.now();
        let from = now.plus_seconds(-DAY);
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let key =
            |algorithm, entropy: &mut SeededEntropy| KeyPair::generate(algorithm, entropy).unwrap();
        let root_key = key(KeyAlgorithm::P384, &mut entropy);
        let root = Authority::root(corp, root_key, Validity::days(from, 9000), &mut entropy);
        let root = root.unwrap();
        let mut below = |kind: CaKind| {
            let key = key(KeyAlgorithm::P256, &mut entropy);
            let validity = Validity::days(from, kind.default_days());
            root.subordinate(kind, key, validity, &mut entropy).unwrap()
        };
        let (devices, servers) = (below(CaKind::DeviceIssuing), below(CaKind::Server));
        let mut issue = |ca: &Authority, leaf: &Leaf| {
            let key = key(KeyAlgorithm::P256, &mut entropy);
            let subject = SubjectKey::of(&key).unwrap();
            let validity = Validity::days(from, 60);
            let leaf = ca.issue(leaf, &subject, validity, &mut entropy).unwrap();
            Identity::new(vec![leaf, ca.certificate().clone()], key).unwrap()
        };
        let server = Leaf::ApiServer(ApiServer {
            name: "api".to_owned(),
            dns_names: vec![NAME.to_owned()],
            addresses: Vec::new(),
        });
        let device = Leaf::Device(Device {
            serial: "SN-1".to_owned(),
        });
        Self {
            server: issue(&servers, &server),
            device: issue(&devices, &device),
            root,
            devices,
            now,
        }
    }

    /// The root's list, and that of the CA of devices, with so many entries.
    pub(crate) fn lists(&self, entries: usize) -> [Crl; 2] {
        let list = |ca: &Authority, entries: usize| {
            let serial = |n: usize| {
                let mut bytes = [0x55; 16];
                bytes[8..].copy_from_slice(&n.to_be_bytes());
                (SerialNumber::new(&bytes), self.now)
            };
            ca.crl(&CrlContent {
                number: 1,
                this_update: self.now,
                next_update: self.now.plus_seconds(7 * DAY),
                revoked: (0..entries).map(serial).collect(),
            })
            .unwrap()
        };
        [list(&self.root, 0), list(&self.devices, entries)]
    }

    pub(crate) fn trust(&self, lists: &[Crl]) -> Trust {
        Trust {
            anchor: TrustAnchor::new(self.root.certificate().clone()).unwrap(),
            revocations: Arc::new(Revocations::new(lists.to_vec())),
            policy: RevocationPolicy::Strict,
            clock: Clock::System,
        }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.root.certificate().der().to_vec().into())
            .unwrap();
        roots
    }

    pub(crate) fn server_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.server.bundle().unwrap().as_bytes()).unwrap()
    }

    /// A device, of bare rustls so that key exchange can be chosen.
    pub(crate) fn client(&self, only: Option<&'static dyn SupportedKxGroup>) -> ClientConfig {
        let mut provider: CryptoProvider = aws_lc_rs::default_provider();
        if let Some(only) = only {
            provider.kx_groups = vec![only];
        }
        let key = PrivateKeyDer::from_pem_slice(self.device.bundle().unwrap().as_bytes());
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(self.device.chain_der(), key.unwrap())
            .unwrap();
        config.resumption = rustls::client::Resumption::disabled();
        config
    }
}
