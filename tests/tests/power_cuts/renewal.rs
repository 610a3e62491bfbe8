//! A device gets its first certificate, and the next one: the power is cut at every step, and the server keeps what it had done by then.

use std::path::Path;
use std::sync::Arc;

use device_pki::{
    Authority, CaKind, Certificate, Device, Identity, KeyAlgorithm, KeyPair, Leaf, Organisation,
    SerialNumber, SubjectKey, SystemEntropy, TrustAnchor, Validity,
};
use metadata_schema::time::Timestamp;
use updater::error::{EnrolmentError, Error, TransportError};
use updater::identity::keep::{Ca, Kept, Means, Way, keep};
use updater::identity::store::IdentityStore;
use updater::storage::Storage;

use crate::disk::{CrashingDisk, lay_out, outline};
use crate::fate::{Every, Lot, Subset, Torn};
use crate::journal::Journal;

/// What the server remembers.
#[derive(Clone, Default)]
struct Books {
    /// Keys and their certificates, the oldest first.
    issued: Vec<(Vec<u8>, Certificate)>,
    revoked: Vec<SerialNumber>,
}

/// A CA that behaves as the API server does: one certificate for a key, and the former one revoked once the newer one has been used.
struct Server {
    root: Arc<Authority>,
    devices: Arc<Authority>,
    now: Timestamp,
    books: Books,
    journal: Arc<Journal>,
    /// What was in the books when the device had made so many steps.
    then: Vec<(usize, Books)>,
}

impl Server {
    fn new(now: Timestamp) -> Self {
        let random = &mut SystemEntropy;
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let years = Validity::days(now, 9125);
        let key = || KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy).unwrap();
        let root = Authority::root(corp, key(), years, random).unwrap();
        let devices = root.subordinate(CaKind::DeviceIssuing, key(), years, random);
        Self {
            devices: Arc::new(devices.unwrap()),
            root: Arc::new(root),
            now,
            books: Books::default(),
            journal: Arc::default(),
            then: Vec::new(),
        }
    }

    /// The same server after a cut: it remembers what it had done.
    fn after(&self, steps: usize, before: &Books) -> Self {
        let known = self.then.iter().take_while(|(made, _)| *made <= steps);
        Self {
            root: Arc::clone(&self.root),
            devices: Arc::clone(&self.devices),
            now: self.now,
            books: known.last().map_or(before, |(_, books)| books).clone(),
            journal: Arc::default(),
            then: Vec::new(),
        }
    }

    fn takes(&self, identity: &Identity) -> bool {
        let leaf = identity.certificate().unwrap();
        self.now <= leaf.not_after() && !self.books.revoked.contains(leaf.serial())
    }

    fn note(&mut self) {
        self.then.push((self.journal.made(), self.books.clone()));
    }

    fn refusal() -> Error {
        let (url, alert) = (String::new(), String::new());
        TransportError::NotAccepted { url, alert }.into()
    }
}

impl Ca for Server {
    async fn certify(
        &mut self,
        way: Way<'_>,
        key: &KeyPair,
    ) -> Result<(Certificate, Vec<Certificate>), Error> {
        match way {
            Way::Renewal(identity) if !self.takes(identity) => return Err(Self::refusal()),
            // The identity from the factory is for the first one only here: a renewal has to manage without.
            Way::First if !self.books.revoked.is_empty() => {
                return Err(Error::Enrolment(EnrolmentError::NoWay));
            }
            _ => {}
        }
        let key = key.public_key_der();
        let known = self.books.issued.iter().find(|(known, _)| *known == key);
        let leaf = if let Some((_, leaf)) = known {
            leaf.clone()
        } else {
            let device = Leaf::Device(Device {
                serial: "SN-1".to_owned(),
            });
            let subject = SubjectKey::from_der("key", &key).unwrap();
            let validity = Validity::days(self.now, 90);
            let random = &mut SystemEntropy;
            let leaf = self.devices.issue(&device, &subject, validity, random);
            let leaf = leaf.unwrap();
            self.books.issued.push((key, leaf.clone()));
            leaf
        };
        self.note();
        let issuers = [&self.root, &self.devices].map(|ca| ca.certificate().clone());
        Ok((leaf, issuers.to_vec()))
    }

    async fn works(&mut self, identity: &Identity) -> Result<(), Error> {
        if !self.takes(identity) {
            return Err(Self::refusal());
        }
        let leaf = identity.certificate().unwrap();
        let older = self.books.issued.iter().map(|(_, other)| other);
        let older = older.take_while(|other| *other != leaf);
        let older: Vec<_> = older.map(|other| other.serial().clone()).collect();
        self.books.revoked.extend(older);
        self.note();
        Ok(())
    }
}

fn ours(name: &str) -> bool {
    name == "identity"
}

async fn run(state: &Path, storage: &Storage, server: &mut Server) -> Result<Kept, Error> {
    let anchor = TrustAnchor::new(server.root.certificate().clone()).unwrap();
    let means = Means {
        anchor: &anchor,
        urn: Some("urn:example:device:SN-1".parse().unwrap()),
        serial: "SN-1".to_owned(),
        first: true,
        now: false,
    };
    let now = server.now;
    keep(&IdentityStore::at(state, storage), server, &means, now).await
}

/// Does it once, then cuts the power at every step: how many disks were looked at.
async fn cut_everywhere(state: &Path, server: &mut Server, enrolled: bool) -> usize {
    let books = server.books.clone();
    let start = CrashingDisk::of(state, ours);
    let (storage, journal) = Journal::storage();
    server.journal = Arc::clone(&journal);
    server.then.clear();
    assert_eq!(run(state, &storage, server).await.unwrap(), Kept::Renewed);
    let end = CrashingDisk::of(state, ours).crash(&mut Every(true));
    let steps = journal.steps();

    let mut disk = start;
    let (mut looked, mut lot) = (0, Lot::new(3));
    for made in 0..=steps.len() {
        if let Some(step) = made.checked_sub(1).map(|last| &steps[last]) {
            disk.step(step);
        }
        let unsynced = disk.unsynced();
        let fates: Vec<u64> = if unsynced <= 6 {
            (0..1 << unsynced).collect()
        } else {
            (0..32).map(|_| lot.below(usize::MAX) as u64).collect()
        };
        let mut known = std::collections::BTreeSet::new();
        for (kept, torn) in fates
            .into_iter()
            .flat_map(|kept| [(kept, Torn::Whole), (kept, Torn::Half)])
        {
            let found = disk.crash(&mut Subset { kept, torn });
            if !known.insert(outline(&found)) {
                continue;
            }
            looked += 1;
            lay_out(&found, state, ours);
            println!(
                "cut after {made} of {} steps, {:?}",
                steps.len(),
                disk.unsynced()
            );
            let mut server = server.after(made, &books);
            let store = IdentityStore::at(state, &Storage::default());
            let current = store.current().expect("what is in use is whole");
            assert!(!enrolled || current.is_some(), "there is always one");
            // A start later at most, there is a certificate that the server takes, and it is a new one.
            let mut last = None;
            for _ in 0..2 {
                last = Some(run(state, &Storage::default(), &mut server).await);
            }
            assert_eq!(last.unwrap().unwrap(), Kept::Unchanged);
            let current = store.current().unwrap().unwrap();
            assert!(server.takes(&current), "the server refuses what is in use");
            let issued = server.books.issued.len();
            assert_eq!(
                issued,
                books.issued.len() + 1,
                "one certificate is asked for"
            );
            let newest = server.books.issued.last().map(|(_, leaf)| leaf);
            assert_eq!(current.certificate(), newest);
            for left in ["pending.key", "pending.pem"] {
                // Of a key that is left over, the server would give its old certificate back.
                assert!(
                    !state.join("identity").join(left).exists(),
                    "{left} is left over"
                );
            }
        }
    }
    lay_out(&end, state, ours);
    looked
}

#[tokio::test]
async fn the_power_may_be_cut_at_any_step_of_an_enrolment_and_a_renewal() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut server = Server::new(start);
    let first = cut_everywhere(folder.path(), &mut server, false).await;
    server.now = start.plus_seconds(75 * 86_400);
    let second = cut_everywhere(folder.path(), &mut server, true).await;
    assert!(first > 20 && second > 20, "{first} and {second} disks");
}
