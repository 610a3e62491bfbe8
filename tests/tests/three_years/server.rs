//! The server: the API server's issuer and registry, and the judgement of a handshake. And the people who hold the root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api_server::config::{Approval, Est};
use api_server::issuer::Issuer;
use api_server::store::enrolments::{Ask, Proof, Verdict};
use api_server::{Enrolments as _, SqliteStore};
use device_pki::{
    Authority, CaKind, Certificate, Clock, Crl, CrlContent, DeviceUrn, Identity, KeyAlgorithm,
    KeyPair, Leaf, Organisation, Protection, RevocationPolicy, Revocations, SerialNumber,
    SubjectKey, SystemEntropy, Trust, TrustAnchor, Validity, tls,
};
use metadata_schema::time::Timestamp;
use updater::error::{EnrolmentError, Error, TransportError};
use updater::identity::keep::{Ca, Way};

const DAY: i64 = 86_400;

pub(crate) fn urn(serial: &str) -> DeviceUrn {
    corp().device_urn(serial).unwrap()
}

fn corp() -> Organisation {
    Organisation::new("Example Corp", "corp.example", "example").unwrap()
}

fn new_key() -> KeyPair {
    KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy).unwrap()
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// A certificate that a thief made with the CA's key.
pub(crate) type Forged = Identity;

pub(crate) struct Server {
    folder: PathBuf,
    root: Authority,
    /// What the root has revoked.
    revoked_cas: Vec<(SerialNumber, Timestamp)>,
    /// The Device-Issuing CA, all generations of it; the last one certifies.
    generations: Vec<Authority>,
    issuer: Issuer,
    store: SqliteStore,
    trust: Trust,
    now: Timestamp,
    day: i64,
    /// Certificates whose use is noted.
    noted: BTreeSet<SerialNumber>,
    /// Whether it can be reached.
    pub(crate) answers: bool,
    /// Certificates so far.
    pub(crate) issued: usize,
}

impl Server {
    pub(crate) fn new(folder: &Path) -> Self {
        let random = &mut SystemEntropy;
        let root = Authority::root(corp(), new_key(), Validity::days(start(), 9125), random);
        let root = root.unwrap();
        let years = Validity::days(start(), 1825);
        let devices = root.subordinate(CaKind::DeviceIssuing, new_key(), years, random);
        let devices = devices.unwrap();
        let issuer = open(folder, &root, &devices);
        let anchor = TrustAnchor::new(root.certificate().clone()).unwrap();
        Self {
            store: SqliteStore::open(folder).unwrap(),
            folder: folder.to_owned(),
            trust: Trust {
                anchor,
                revocations: Arc::new(Revocations::new(Vec::new())),
                policy: RevocationPolicy::Strict,
                clock: Clock::System,
            },
            issuer,
            generations: vec![devices],
            root,
            revoked_cas: Vec::new(),
            now: start(),
            day: 0,
            noted: BTreeSet::new(),
            answers: true,
            issued: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn root(&self) -> &Certificate {
        self.root.certificate()
    }

    pub(crate) fn allow(&self, devices: impl Iterator<Item = String>) {
        let devices: Vec<_> = devices.collect();
        self.store.allow(&devices, "the factory", self.now).unwrap();
    }

    pub(crate) fn revoke(&mut self, device: &str) {
        self.store.revoke(device, "Olga", self.now).unwrap();
        self.lists();
    }

    /// A new day: lists are issued when it is time.
    pub(crate) fn begin(&mut self, day: i64) {
        self.day = day;
        self.now = start().plus_seconds(day * DAY + DAY / 2);
        self.lists();
    }

    fn lists(&mut self) {
        let before = self.trust.revocations.lists().to_vec();
        let own = self.generations.last().unwrap().certificate().clone();
        let ski = own.subject_key_id().unwrap();
        let news = self.issuer.publish(&self.store, &before, self.now).unwrap();
        if !news && self.day % 7 != 0 {
            return;
        }
        let mut lists = vec![self.by_hand(&self.root, self.revoked_cas.clone())];
        // What the former generations revoked has run out, or died with them.
        for former in self.generations.iter().rev().skip(1) {
            lists.push(self.by_hand(former, Vec::new()));
        }
        let path = self.folder.join("crl").join(format!("{ski}.crl"));
        lists.push(Crl::load(&path).unwrap());
        self.trust.revocations = Arc::new(Revocations::new(lists));
    }

    /// As `device-pki crl` writes it.
    fn by_hand(&self, ca: &Authority, revoked: Vec<(SerialNumber, Timestamp)>) -> Crl {
        ca.crl(&CrlContent {
            number: 1 + self.day as u64,
            this_update: self.now,
            next_update: self.now.plus_seconds(30 * DAY),
            revoked,
        })
        .unwrap()
    }

    /// As `device-pki renew-ca`, and the server with the new one.
    pub(crate) fn replace_ca(&mut self) {
        let years = Validity::days(self.now.plus_seconds(-DAY), 1825);
        let number = self.generations.len() + 1;
        let random = &mut SystemEntropy;
        let next = self
            .root
            .generation(CaKind::DeviceIssuing, number, new_key(), years, random);
        let next = next.unwrap();
        self.issuer = open(&self.folder, &self.root, &next);
        self.generations.push(next);
        self.lists();
    }

    /// Somebody has the key of the CA: what they make of it.
    pub(crate) fn steal(&mut self, names: &[String]) -> Vec<Forged> {
        let forge = |serial: &String| {
            let ca = self.generations.last().unwrap();
            let device = Leaf::Device(device_pki::Device {
                serial: serial.clone(),
            });
            let key = new_key();
            let subject = SubjectKey::from_der("key", &key.public_key_der()).unwrap();
            let years = Validity::days(self.now, 1000);
            let leaf = ca.issue(&device, &subject, years, &mut SystemEntropy);
            Identity::new(vec![leaf.unwrap(), ca.certificate().clone()], key).unwrap()
        };
        names.iter().map(forge).collect()
    }

    /// The root revokes the stolen CA, and the next one takes its place.
    pub(crate) fn recover(&mut self) {
        let stolen = self.generations.last().unwrap().certificate().serial();
        self.revoked_cas.push((stolen.clone(), self.now));
        self.replace_ca();
    }

    fn judge(&self, identity: &Identity) -> Result<device_pki::DeviceIdentity, String> {
        tls::verify_device(&identity.chain_der(), &self.trust, self.now).map_err(|e| e.to_string())
    }

    /// Whether a handshake with it succeeds.
    pub(crate) fn takes(&self, identity: &Identity) -> bool {
        self.judge(identity).is_ok()
    }

    /// Whether it is good for another certificate.
    pub(crate) fn renews(&mut self, identity: &Identity) -> bool {
        let serial = identity.device().unwrap().serial().to_owned();
        let mut caller = self.for_device(serial);
        caller
            .certify_now(Way::Renewal(identity), &new_key())
            .is_ok()
    }

    /// A connection for metadata: what a device is there for.
    pub(crate) fn connect(&mut self, identity: &Identity) -> Result<(), String> {
        let device = self.judge(identity)?;
        // What that supersedes is on the next day's list.
        if self.noted.insert(device.certificate_serial().clone()) {
            self.store.used(&device, self.now).unwrap();
        }
        Ok(())
    }

    pub(crate) fn for_device(&mut self, serial: String) -> Caller<'_> {
        Caller {
            server: self,
            serial,
        }
    }

    /// Each certificate has its line in the audit log.
    pub(crate) fn check_audit(&self) {
        let mut issued = 0;
        let mut count = |entry: api_server::store::audit::Entry| {
            issued += usize::from(serde_json::to_string(&entry).unwrap().contains("issued"));
            Ok(())
        };
        self.store.audit(&mut count).unwrap();
        assert_eq!(issued, self.issued);
    }
}

fn open(folder: &Path, root: &Authority, ca: &Authority) -> Issuer {
    std::fs::create_dir_all(folder).unwrap();
    let (path, key) = (folder.join("ca.pem"), folder.join("ca.key.pem"));
    std::fs::write(&path, ca.certificate().pem()).unwrap();
    let text = ca
        .key()
        .pair()
        .unwrap()
        .to_pem(Protection::FileMode, &mut SystemEntropy);
    device_pki::durable::write(&key, text.unwrap().as_bytes(), 0o600).unwrap();
    let est = Est {
        listen: "127.0.0.1:0".parse().unwrap(),
        ca: path,
        key: key.into(),
        passphrase: None,
        organisation: corp(),
        days: 90,
        approval: Approval::Automatic,
        superseded: Default::default(),
    };
    let anchor = TrustAnchor::new(root.certificate().clone()).unwrap();
    Issuer::open(&est, &anchor, folder).unwrap()
}

/// The server, as one device reaches it.
pub(crate) struct Caller<'a> {
    server: &'a mut Server,
    serial: String,
}

impl Caller<'_> {
    fn certify_now(
        &mut self,
        way: Way<'_>,
        key: &KeyPair,
    ) -> Result<(Certificate, Vec<Certificate>), Error> {
        let server = &mut *self.server;
        if !server.answers {
            return Err(no_answer());
        }
        let proof = match way {
            Way::Renewal(identity) => {
                let device = server.judge(identity).map_err(not_accepted)?;
                Proof::Current(device.certificate_serial().clone())
            }
            // The holder of the identity from the factory, which nobody else has.
            Way::First => Proof::Factory,
            _ => panic!("another way"),
        };
        let subject = SubjectKey::from_der("key", &key.public_key_der()).unwrap();
        let ask = Ask {
            device: self.serial.clone(),
            proof,
            key: subject.der(),
            now: server.now,
            manual: false,
        };
        let sign = || server.issuer.issue(&ask.device, &subject, ask.now);
        match server.store.enrol(&ask, &sign).unwrap() {
            Verdict::Issued(leaf) => {
                server.issued += 1;
                let issuers = server.issuer.certificates();
                Ok((*leaf, issuers.into_iter().cloned().collect()))
            }
            Verdict::Refused(refusal) => Err(Error::Enrolment(EnrolmentError::Answer {
                url: String::new(),
                status: 403,
                detail: refusal.in_words().to_owned(),
                retry_after: None,
            })),
            other => panic!("{other:?}"),
        }
    }
}

impl Ca for Caller<'_> {
    async fn certify(
        &mut self,
        way: Way<'_>,
        key: &KeyPair,
    ) -> Result<(Certificate, Vec<Certificate>), Error> {
        self.certify_now(way, key)
    }

    async fn works(&mut self, identity: &Identity) -> Result<(), Error> {
        if !self.server.answers {
            return Err(no_answer());
        }
        self.server.connect(identity).map_err(not_accepted)
    }
}

fn not_accepted(alert: String) -> Error {
    let url = String::new();
    TransportError::NotAccepted { url, alert }.into()
}

fn no_answer() -> Error {
    Error::Enrolment(EnrolmentError::NoWay)
}
