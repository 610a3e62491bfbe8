//! A small PKI and a repository in a temporary folder.

use std::num::NonZeroU32;

use device_pki::{
    Authority, CaKind, Certificate, Crl, CrlContent, FileKey, FirmwareSigner, KeyAlgorithm,
    KeyPair, Leaf, Organisation, SeededEntropy, SignerRole, SubjectKey, TrustAnchor, Validity,
};
use metadata_schema::release::{Channel, Product};
use metadata_schema::time::Timestamp;
use repo_tool::{
    ImageSource, InitPlan, Keyholder, ProductPlan, ReleaseRequest, Report, Repository, Settings,
    Signers, VerifyOptions, silent,
};
use tempfile::TempDir;

pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn later(days: i64) -> Timestamp {
    now().plus_seconds(days * DAY)
}

pub(crate) struct Person {
    pub(crate) key: FileKey,
    pub(crate) certificate: Certificate,
    pub(crate) holder: Keyholder,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) entropy: SeededEntropy,
    pub(crate) root: Authority,
    pub(crate) signing: Authority,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at(now())
    }

    /// A world whose repository begins at `now`.
    pub(crate) fn at(now: Timestamp) -> Self {
        let mut entropy = SeededEntropy::new(b"world");
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P256, &mut entropy).unwrap();
        let start = now.plus_seconds(-10 * DAY);
        let root = Authority::root(corp, key, Validity::days(start, 9125), &mut entropy).unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P256, &mut entropy).unwrap();
        let validity = Validity::days(start, 3650);
        let signing = root
            .subordinate(CaKind::FirmwareSigning, key, validity, &mut entropy)
            .unwrap();
        Self {
            now,
            entropy,
            root,
            signing,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn person(&mut self, name: &str) -> Person {
        self.person_for(
            name,
            &[
                "root",
                "targets",
                "delegated:router-x",
                "delegated:router-y",
            ],
        )
    }

    pub(crate) fn person_for(&mut self, name: &str, roles: &[&str]) -> Person {
        self.person_by(name, roles, KeyAlgorithm::Ed25519)
    }

    pub(crate) fn person_by(
        &mut self,
        name: &str,
        roles: &[&str],
        algorithm: KeyAlgorithm,
    ) -> Person {
        let key = KeyPair::generate(algorithm, &mut self.entropy).unwrap();
        let subject = SubjectKey::of(&key).unwrap();
        let (certificate, holder) = self.certify(name, roles, &subject);
        Person {
            key: key.into_tuf_signer().unwrap(),
            certificate,
            holder,
        }
    }

    pub(crate) fn certify(
        &mut self,
        name: &str,
        roles: &[&str],
        subject: &SubjectKey,
    ) -> (Certificate, Keyholder) {
        let roles = roles
            .iter()
            .map(|role| role.parse::<SignerRole>().unwrap())
            .collect();
        let leaf = Leaf::FirmwareSigner(FirmwareSigner {
            name: name.to_owned(),
            roles,
        });
        let validity = Validity::days(self.now.plus_seconds(-5 * DAY), 730);
        let certificate = self
            .signing
            .issue(&leaf, subject, validity, &mut self.entropy)
            .unwrap();
        let chain = certificate.pem() + &self.signing.certificate().pem();
        let holder = Keyholder::from_pem(name, chain.as_bytes()).unwrap();
        (certificate, holder)
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::new(self.root.certificate().clone()).unwrap()
    }

    pub(crate) fn crl(&self, number: u64, revoked: &[&Person]) -> Crl {
        let revoked = revoked
            .iter()
            .map(|p| (p.certificate.serial().clone(), self.now.plus_seconds(-DAY)))
            .collect();
        let (this_update, next_update) = (self.now, self.now.plus_seconds(30 * DAY));
        self.signing
            .crl(&CrlContent {
                number,
                this_update,
                next_update,
                revoked,
            })
            .unwrap()
    }

    /// The list of the anchor itself, with nothing on it.
    pub(crate) fn anchor_crl(&self, number: u64) -> Crl {
        let (this_update, next_update) = (self.now, self.now.plus_seconds(30 * DAY));
        let revoked = Vec::new();
        self.root
            .crl(&CrlContent {
                number,
                this_update,
                next_update,
                revoked,
            })
            .unwrap()
    }

    pub(crate) fn plan(&self, people: &[&Person], threshold: u32) -> InitPlan {
        InitPlan {
            anchor: self.anchor(),
            root: signers(people, threshold),
            targets: signers(people, threshold),
            products: vec![ProductPlan {
                name: "router-x".parse().unwrap(),
                signers: signers(people, threshold),
                bins: None,
            }],
            settings: Settings {
                compression_level: 3,
                ..Settings::default()
            },
        }
    }

    pub(crate) fn init(&mut self, people: &[&Person], threshold: u32) -> Repository {
        let plan = self.plan(people, threshold);
        Repository::init(self.folder.path(), &plan, self.now, &mut self.entropy).unwrap()
    }

    pub(crate) fn verify(&self, now: Timestamp) -> repo_tool::Result<Report> {
        let options = VerifyOptions::new(self.anchor());
        repo_tool::verify(self.folder.path(), &options, now, &silent)
    }

    /// A published repository of Alice, Bob and Carol at threshold two.
    pub(crate) fn published() -> (Self, Repository, [Person; 3]) {
        Self::published_at(now())
    }

    pub(crate) fn published_at(now: Timestamp) -> (Self, Repository, [Person; 3]) {
        let mut world = Self::at(now);
        let people = ["Alice", "Bob", "Carol"].map(|name| world.person(name));
        let [alice, bob, carol] = &people;
        let repository = world.init(&[alice, bob, carol], 2);
        sign_and_publish(&repository, &[alice, bob], now);
        (world, repository, people)
    }
}

pub(crate) fn signers(people: &[&Person], threshold: u32) -> Signers {
    Signers {
        people: people.iter().map(|person| person.holder.clone()).collect(),
        threshold: NonZeroU32::new(threshold).unwrap(),
    }
}

pub(crate) fn sign_and_publish(repository: &Repository, people: &[&Person], now: Timestamp) {
    for person in people {
        repository.sign(&person.key).unwrap();
    }
    repository.publish(now).unwrap();
}

pub(crate) fn product(name: &str) -> Product {
    name.parse().unwrap()
}

pub(crate) fn stable() -> Channel {
    "stable".parse().unwrap()
}

/// A release of router-x in the channel `stable` with one image.
pub(crate) fn release(version: &str, image: &[u8]) -> ReleaseRequest {
    let mut request = ReleaseRequest::new(product("router-x"), stable(), version.parse().unwrap());
    request.hardware = vec!["rev-a".parse().unwrap()];
    request.images.insert(
        "rootfs".parse().unwrap(),
        ImageSource::Bytes(image.to_vec()),
    );
    request
}

/// An image that shares most of its bytes with those of other numbers, and does not compress to nothing.
pub(crate) fn image(number: u32) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes: Vec<u8> = (0..200_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    bytes.splice(50_000..50_000, format!("release {number}").into_bytes());
    bytes
}

/// A copy of a repository's folder, as a colleague has it: without online keys and images.
pub(crate) fn copy_of(repository: &Repository) -> (TempDir, Repository) {
    fn copy(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.ends_with("online") || from.ends_with("images") {
                continue;
            }
            if from.is_dir() {
                copy(&from, &to);
            } else {
                std::fs::copy(&from, &to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(repository.layout().folder(), folder.path());
    let copy = Repository::open(folder.path()).unwrap();
    (folder, copy)
}

/// Signs as a person does at a terminal: shown, agreed, written down.
pub(crate) fn sign(repository: &Repository, person: &Person, now: Timestamp) {
    repository
        .sign_shown(&person.key, now, &mut |_| Ok(()))
        .unwrap();
}
