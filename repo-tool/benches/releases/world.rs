//! A PKI of two people, and a repository of one product with bins.

use std::fs;
use std::num::NonZeroU32;

use device_pki::{
    Authority, CaKind, FileKey, FirmwareSigner, KeyAlgorithm, KeyPair, Leaf, Organisation,
    SeededEntropy, SubjectKey, TrustAnchor, Validity,
};
use metadata_schema::bins::Bins;
use metadata_schema::json::Object;
use metadata_schema::release::Product;
use metadata_schema::time::Timestamp;
use repo_tool::{
    FileSource, InitPlan, Keyholder, ProductPlan, Repository, Settings, Signers, silent,
};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) folder: TempDir,
    pub(crate) repository: Repository,
    keys: Vec<FileKey>,
}

impl World {
    /// A published repository whose product has so many bins.
    pub(crate) fn new(bins: u32) -> Self {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let entropy = &mut SeededEntropy::new(b"releases");
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P384, entropy).unwrap();
        let root = Authority::root(corp, key, Validity::days(now, 9125), entropy).unwrap();
        let key = KeyPair::generate(KeyAlgorithm::P256, entropy).unwrap();
        let validity = Validity::days(now, 3650);
        let signing = root
            .subordinate(CaKind::FirmwareSigning, key, validity, entropy)
            .unwrap();
        let (mut keys, mut people) = (Vec::new(), Vec::new());
        for name in ["Alice", "Bob"] {
            let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy).unwrap();
            let roles = ["root", "targets", "delegated:router-x"];
            let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
            let leaf = Leaf::FirmwareSigner(FirmwareSigner {
                name: name.to_owned(),
                roles,
            });
            let subject = SubjectKey::of(&key).unwrap();
            let certificate = signing
                .issue(&leaf, &subject, Validity::days(now, 730), entropy)
                .unwrap();
            let chain = certificate.pem() + &signing.certificate().pem();
            people.push(Keyholder::from_pem(name, chain.as_bytes()).unwrap());
            keys.push(key.into_tuf_signer().unwrap());
        }
        let threshold = NonZeroU32::new(2).unwrap();
        let both = Signers { people, threshold };
        let plan = InitPlan {
            anchor: TrustAnchor::new(root.certificate().clone()).unwrap(),
            root: both.clone(),
            targets: both.clone(),
            products: vec![ProductPlan {
                name: "router-x".parse().unwrap(),
                signers: both,
                bins: Bins::new(bins),
            }],
            settings: Settings {
                compression_level: 3,
                ..Settings::default()
            },
        };
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("repo");
        let repository = Repository::init(&place, &plan, now, entropy).unwrap();
        let mut world = Self {
            now,
            folder,
            repository,
            keys,
        };
        world.sign();
        world.publish();
        world
    }

    pub(crate) fn product(&self) -> Product {
        "router-x".parse().unwrap()
    }

    pub(crate) fn add(&mut self, files: &[FileSource]) {
        let product = self.product();
        self.repository
            .add_files(&product, files, &Object::new(), self.now, &silent)
            .unwrap();
    }

    /// Both people sign.
    pub(crate) fn sign(&mut self) {
        for key in &self.keys {
            self.repository.sign(key).unwrap();
        }
    }

    pub(crate) fn publish(&mut self) {
        self.repository.publish(self.now).unwrap();
    }

    pub(crate) fn metadata_files(&self) -> usize {
        fs::read_dir(self.repository.layout().metadata())
            .unwrap()
            .count()
    }
}
