//! A device and a CA that behaves as the API server does: one certificate for a key, and the former one revoked once the newer
//! one has been used.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use device_pki::{
    Authority, CaKind, Certificate, Device, DeviceUrn, Error as PkiError, Identity, KeyAlgorithm,
    KeyPair, Leaf, Organisation, SerialNumber, SubjectKey, SystemEntropy, TrustAnchor, Validity,
};
use metadata_schema::time::Timestamp;

use super::keep::{Ca, Kept, Means, Way, keep, note_refused};
use super::store::IdentityStore;
use crate::error::{EnrolmentError, Error, TransportError};
use crate::storage::Storage;

const DAY: i64 = 86_400;

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn day(number: i64) -> Timestamp {
    start().plus_seconds(number * DAY)
}

fn corp() -> Organisation {
    Organisation::new("Example Corp", "corp.example", "example").unwrap()
}

fn new_key() -> KeyPair {
    KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy).unwrap()
}

struct Server {
    root: Authority,
    devices: Authority,
    now: Timestamp,
    serial: &'static str,
    /// Certified keys, the oldest first.
    issued: Vec<(Vec<u8>, Certificate)>,
    revoked: Vec<SerialNumber>,
    up: bool,
    first: usize,
    /// What is done to a certificate before it is handed out.
    instead: Option<Certificate>,
    refuses_new: bool,
}

impl Server {
    fn new() -> Self {
        let random = &mut SystemEntropy;
        let years = Validity::days(start(), 9125);
        let root = Authority::root(corp(), new_key(), years, random).unwrap();
        let devices = root.subordinate(CaKind::DeviceIssuing, new_key(), years, random);
        Self {
            devices: devices.unwrap(),
            root,
            now: start(),
            serial: "SN-1",
            issued: Vec::new(),
            revoked: Vec::new(),
            up: true,
            first: 0,
            instead: None,
            refuses_new: false,
        }
    }

    fn certificate(&self, serial: &str, key: &[u8]) -> Certificate {
        let device = Leaf::Device(Device {
            serial: serial.to_owned(),
        });
        let key = SubjectKey::from_der("key", key).unwrap();
        let validity = Validity::days(self.now, 90);
        self.devices
            .issue(&device, &key, validity, &mut SystemEntropy)
            .unwrap()
    }

    fn refuses(&self, identity: &Identity) -> bool {
        let leaf = identity.certificate().unwrap();
        leaf.not_after() < self.now || self.revoked.contains(leaf.serial())
    }

    fn anchor(&self) -> TrustAnchor {
        TrustAnchor::new(self.root.certificate().clone()).unwrap()
    }
}

fn not_accepted() -> Error {
    let (url, alert) = (String::new(), String::new());
    TransportError::NotAccepted { url, alert }.into()
}

impl Ca for Server {
    async fn certify(
        &mut self,
        way: Way<'_>,
        key: &KeyPair,
    ) -> Result<(Certificate, Vec<Certificate>), Error> {
        if !self.up {
            return Err(Error::Enrolment(EnrolmentError::NoWay));
        }
        match way {
            Way::Renewal(identity) if self.refuses(identity) => return Err(not_accepted()),
            Way::Renewal(_) => {}
            Way::First => self.first += 1,
        }
        let key = key.public_key_der();
        let known = self.issued.iter().find(|(known, _)| *known == key);
        let leaf = match known {
            Some((_, leaf)) => leaf.clone(),
            None => {
                let leaf = self.certificate(self.serial, &key);
                self.issued.push((key, leaf.clone()));
                leaf
            }
        };
        let issuers = vec![
            self.root.certificate().clone(),
            self.devices.certificate().clone(),
        ];
        Ok((self.instead.clone().unwrap_or(leaf), issuers))
    }

    async fn works(&mut self, identity: &Identity) -> Result<(), Error> {
        if !self.up || self.refuses_new || self.refuses(identity) {
            return Err(not_accepted());
        }
        let leaf = identity.certificate().unwrap();
        let older = self.issued.iter().take_while(|(_, other)| other != leaf);
        let older: Vec<_> = older.map(|(_, other)| other.serial().clone()).collect();
        self.revoked.extend(older);
        Ok(())
    }
}

struct Device1 {
    folder: tempfile::TempDir,
    anchor: TrustAnchor,
    first: bool,
}

impl Device1 {
    /// A device that has enrolled on the first day.
    async fn enrolled(server: &mut Server) -> Self {
        let device = Self::blank(server);
        let kept = device.keep(server, u64::MAX, start()).await.unwrap();
        assert_eq!(kept, Kept::Renewed);
        device
    }

    fn blank(server: &Server) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            anchor: server.anchor(),
            first: true,
        }
    }

    fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (self.folder.path(), folder.path());
        if from.join("identity").exists() {
            std::fs::create_dir(to.join("identity")).unwrap();
            for entry in std::fs::read_dir(from.join("identity")).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), to.join("identity").join(entry.file_name())).unwrap();
            }
        }
        Self {
            folder,
            anchor: self.anchor.clone(),
            first: self.first,
        }
    }

    fn store(&self) -> IdentityStore {
        IdentityStore::at(self.folder.path(), &Storage::default())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn keep(&self, server: &mut Server, changes: u64, now: Timestamp) -> Result<Kept, Error> {
        let storage = Storage::that_fails_after(changes);
        let store = IdentityStore::at(self.path(), &storage);
        let urn: DeviceUrn = "urn:example:device:SN-1".parse().unwrap();
        let means = Means {
            anchor: &self.anchor,
            urn: Some(urn),
            serial: "SN-1".to_owned(),
            first: self.first,
            now: false,
        };
        server.now = server.now.max(now);
        keep(&store, server, &means, now).await
    }

    fn leaf(&self) -> Certificate {
        let current = self.store().current().unwrap().unwrap();
        current.certificate().unwrap().clone()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("identity")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn a_device_enrols_and_renews_with_a_new_key_at_its_time() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    let first = device.leaf();
    assert_eq!(device.files(), ["current.pem"]);
    let mode = std::fs::metadata(device.store().current_path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    for (on, kept) in [
        (59, Kept::Unchanged),
        (68, Kept::Renewed),
        (69, Kept::Unchanged),
    ] {
        let found = device.keep(&mut server, u64::MAX, day(on)).await.unwrap();
        assert_eq!(found, kept, "day {on}");
    }
    let second = device.leaf();
    assert_ne!(second.public_key_der(), first.public_key_der());
    assert_eq!(device.files(), ["current.pem"]);
    assert_eq!((server.first, server.revoked.len()), (1, 1));
}

#[tokio::test]
async fn a_power_cut_anywhere_in_a_renewal_is_mended_by_the_next_run() {
    let mut server = Server::new();
    let enrolled = Device1::enrolled(&mut server).await;
    let issued = server.issued.clone();
    let mut changes = 0;
    loop {
        let mut device = enrolled.copy();
        // Nothing but the certificate in use and what a run has left may bring it back.
        device.first = false;
        (server.issued, server.revoked) = (issued.clone(), Vec::new());
        let cut = device.keep(&mut server, changes, day(70)).await;
        let whole = matches!(cut, Ok(Kept::Renewed));
        device.keep(&mut server, u64::MAX, day(71)).await.unwrap();
        let current = device.store().current().unwrap().unwrap();
        assert!(!server.refuses(&current), "after {changes} changes");
        assert_eq!(
            server.issued.len(),
            2,
            "one new certificate, after {changes} changes"
        );
        assert_eq!(device.files(), ["current.pem"], "after {changes} changes");
        assert_eq!(device.leaf(), server.issued[1].1);
        if whole {
            break;
        }
        changes += 1;
    }
    assert!(changes >= 5, "{changes}");
}

#[tokio::test]
async fn a_power_cut_anywhere_in_a_first_enrolment_is_mended_by_the_next_run() {
    let mut server = Server::new();
    let mut changes = 0;
    loop {
        let device = Device1::blank(&server);
        server.issued.clear();
        let whole = device.keep(&mut server, changes, start()).await.is_ok();
        device.keep(&mut server, u64::MAX, day(1)).await.unwrap();
        assert_eq!(server.issued.len(), 1, "after {changes} changes");
        assert_eq!(device.leaf(), server.issued[0].1);
        assert_eq!(device.files(), ["current.pem"], "after {changes} changes");
        if whole {
            break;
        }
        changes += 1;
    }
    assert!(changes >= 5, "{changes}");
}

#[tokio::test]
async fn a_renewal_that_fails_stops_nothing_and_is_tried_again_later_and_later() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    let before = device.leaf();
    server.up = false;
    let mut attempts = Vec::new();
    for minute in 0..120 {
        let now = day(70).plus_seconds(minute * 60);
        let kept = device.keep(&mut server, u64::MAX, now).await.unwrap();
        assert_eq!(kept, Kept::Unchanged);
        if device.store().attempt().last == now {
            attempts.push(minute);
        }
    }
    assert_eq!(attempts, [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(device.leaf(), before);
    server.up = true;
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(71)).await.unwrap(),
        Kept::Renewed
    );
    assert_eq!(device.store().attempt().failures, 0);
}

#[tokio::test]
async fn an_expired_or_refused_certificate_goes_back_to_the_factory_identity() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    // Three years in the store.
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(1100)).await.unwrap(),
        Kept::Renewed
    );
    assert_eq!(server.first, 2);
    // Revoked: the device learns it from the server's refusal, whatever its own clock says.
    server.revoked.push(device.leaf().serial().clone());
    let unknown = device.keep(&mut server, u64::MAX, day(1101)).await.unwrap();
    assert_eq!(unknown, Kept::Unchanged);
    note_refused(&device.store()).unwrap();
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(1101)).await.unwrap(),
        Kept::Renewed
    );
    assert_eq!((server.first, device.store().attempt().refused), (3, false));
}

#[tokio::test]
async fn a_refusal_that_anybody_can_feign_does_not_take_a_certificate_out_of_use() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    let before = device.leaf();
    note_refused(&device.store()).unwrap();
    server.up = false;
    for minutes in 0..3 {
        let now = day(1).plus_seconds(20 * minutes);
        let kept = device.keep(&mut server, u64::MAX, now).await.unwrap();
        assert_eq!((kept, device.leaf()), (Kept::Unchanged, before.clone()));
    }
    // Asked once, and then not before its time.
    assert_eq!(device.store().attempt().failures, 1);
    server.up = true;
    let kept = device.keep(&mut server, u64::MAX, day(2)).await.unwrap();
    assert_eq!((kept, server.first), (Kept::Renewed, 2));
    assert!(!device.store().attempt().refused);
    // One that has expired is no help.
    note_refused(&device.store()).unwrap();
    server.up = false;
    device
        .keep(&mut server, u64::MAX, day(200))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn without_a_factory_identity_a_refused_certificate_is_all_there_is() {
    let mut server = Server::new();
    let mut device = Device1::enrolled(&mut server).await;
    device.first = false;
    note_refused(&device.store()).unwrap();
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(1)).await.unwrap(),
        Kept::Unchanged
    );
    let mut blank = Device1::blank(&server);
    blank.first = false;
    let error = blank
        .keep(&mut server, u64::MAX, start())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Enrolment(EnrolmentError::NoWay)),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_this_devices_is_not_taken() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    let before = device.leaf();
    let waiting = device.store().pending_key().unwrap();
    let stranger = Server::new();
    let key = waiting.public_key_der();
    server.now = day(70);
    for (what, leaf) in [
        (
            "another key",
            server.certificate("SN-1", &new_key().public_key_der()),
        ),
        ("another device", server.certificate("SN-2", &key)),
        ("another PKI", stranger.certificate("SN-1", &key)),
        ("a CA", server.devices.certificate().clone()),
    ] {
        server.instead = Some(leaf);
        device.store().set_attempt(Default::default()).unwrap();
        let kept = device.keep(&mut server, u64::MAX, day(70)).await.unwrap();
        assert_eq!(kept, Kept::Unchanged, "{what}");
        assert_eq!(device.store().attempt().failures, 1, "{what}");
        assert_eq!(device.leaf(), before, "{what}");
        assert!(device.store().pending().unwrap().is_none(), "{what}");
    }
    // The same on a blank device is an error that says why.
    let blank = Device1::blank(&server);
    let error = blank
        .keep(&mut server, u64::MAX, day(70))
        .await
        .unwrap_err();
    let Error::Enrolment(EnrolmentError::Certificate { source }) = error else {
        panic!("{error}");
    };
    assert!(matches!(source, PkiError::Path { .. }), "{source}");
}

#[tokio::test]
async fn a_new_certificate_that_does_not_work_does_not_replace_the_old_one() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    let before = device.leaf();
    server.refuses_new = true;
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(70)).await.unwrap(),
        Kept::Unchanged
    );
    assert_eq!(device.leaf(), before);
    server.refuses_new = false;
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(71)).await.unwrap(),
        Kept::Renewed
    );
}

#[tokio::test]
async fn damaged_files_are_replaced_by_a_new_enrolment() {
    let mut server = Server::new();
    let device = Device1::enrolled(&mut server).await;
    for name in ["current.pem", "pending.pem", "pending.key", "attempt.json"] {
        std::fs::write(device.path().join("identity").join(name), b"\0damage").unwrap();
    }
    assert_eq!(
        device.keep(&mut server, u64::MAX, day(1)).await.unwrap(),
        Kept::Renewed
    );
    assert!(!server.refuses(&device.store().current().unwrap().unwrap()));
}
