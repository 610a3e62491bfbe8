//! A PKI, a repository, a server and a device, in one folder.

use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    ApiServer, Device, FileKey, FirmwareSigner, KeyAlgorithm, KeyPair, Leaf, Organisation,
    Passphrase, Protection, ScryptCost, SubjectKey, SystemEntropy,
};
use metadata_schema::time::Timestamp;
use repo_tool::{
    ImageSource, InitPlan, Keyholder, ProductPlan, ReleaseRequest, Repository, Settings, Signers,
    silent,
};
use tempfile::TempDir;
use updater::boot::simulated::{Simulated, power_on};
use updater::config::Config;
use updater::error::Error;
use updater::install::PayloadKind;
use updater::progress::Silent;
use updater::slot::SlotName;
use updater::{Outcome, Updater};

pub(crate) const SERIAL: &str = "router-001";
const SLOT: u64 = 32 * 1024 * 1024;

/// A PKI, a repository with one product, a server, and a device, in a folder.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) now: Timestamp,
    pub(crate) people: Vec<FileKey>,
    port: u16,
    _server: tokio::task::JoinHandle<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::new_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn new_in(folder: TempDir) -> Self {
        let now = Timestamp::from_unix_seconds(seconds());
        let pass = Passphrase::new("test");
        let mut ceremony = Ceremony {
            now,
            protection: Protection::Passphrase(&pass, ScryptCost::FAST),
            entropy: &mut SystemEntropy,
        };
        let organisation = Organisation::new("Example", "example.com", "example").unwrap();
        let pki_path = folder.path().join("pki");
        let pki = PkiFolder::create(
            &pki_path,
            &organisation,
            Algorithms::STANDARD,
            &mut ceremony,
        )
        .unwrap();
        let joined = ["alice", "bob"].map(|name| join(&pki, name, &mut ceremony));
        let (people, holders): (Vec<FileKey>, Vec<Keyholder>) = joined.into_iter().unzip();
        let server = ApiServer {
            name: "api".to_owned(),
            dns_names: Vec::new(),
            addresses: vec!["127.0.0.1".parse().unwrap()],
        };
        pki.issue(
            &Leaf::ApiServer(server),
            KeySource::Generate,
            None,
            &mut ceremony,
        )
        .unwrap();
        let device = Device {
            serial: SERIAL.to_owned(),
        };
        pki.issue(
            &Leaf::Device(device),
            KeySource::Generate,
            None,
            &mut ceremony,
        )
        .unwrap();
        pki.write_crls(30, &mut ceremony).unwrap();

        let both = Signers {
            people: holders,
            threshold: NonZeroU32::new(2).unwrap(),
        };
        let plan = InitPlan {
            anchor: pki.anchor().unwrap(),
            root: both.clone(),
            targets: both.clone(),
            products: vec![ProductPlan {
                name: "router-x".parse().unwrap(),
                signers: both,
                bins: None,
            }],
            settings: Settings {
                compression_level: 3,
                ..Settings::default()
            },
        };
        let repository = Repository::init(
            &folder.path().join("repository"),
            &plan,
            now,
            &mut SystemEntropy,
        )
        .unwrap();
        sign_and_publish(&repository, &people, now);

        let config = api_server::Config::new(
            "127.0.0.1:0".parse().unwrap(),
            &pki_path,
            folder.path().join("repository/published"),
            folder.path().join("server"),
        );
        std::fs::create_dir_all(folder.path().join("server")).unwrap();
        let server = api_server::Server::bind(config).await.unwrap();
        let port = server.local_addr().port();
        let running =
            tokio::spawn(async move { server.run(std::future::pending()).await.unwrap() });
        let world = Self {
            folder,
            now,
            people,
            port,
            _server: running,
        };
        world.provision(port);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn provision(&self, port: u16) {
        self.provision_in("device", port);
    }

    /// A device as it leaves the factory, in a folder of its own.
    pub(crate) fn provision_in(&self, folder: &str, port: u16) {
        let device = self.path(folder);
        std::fs::create_dir_all(device.join("hooks/health.d/required")).unwrap();
        for slot in ["a.img", "b.img"] {
            std::fs::File::create(device.join(slot))
                .unwrap()
                .set_len(SLOT)
                .unwrap();
        }
        Simulated::install(&device.join("boot.json")).unwrap();
        let base = format!("https://127.0.0.1:{port}");
        let config = format!(
            r#"
            state = "state"
            hooks = "hooks"
            [device]
            product = "router-x"
            hardware = "rev-a"
            channel = "stable"
            [server]
            metadata = "{base}/repository/metadata"
            targets = "{base}/repository/targets"
            reports = "{base}/v1/reports"
            [trust]
            anchor = "../pki/trust-anchor.pem"
            root = "../repository/published/metadata/1.root.json"
            [identity]
            certificate = "../pki/devices/{SERIAL}/chain.pem"
            key = "../pki/devices/{SERIAL}/key.pem"
            [slots.rootfs]
            a = "a.img"
            b = "b.img"
            [boot]
            backend = "simulated"
            path = "boot.json"
            [factory]
            version = "0.9.0"
            build_time = "2020-01-01T00:00:00Z"
            "#
        );
        std::fs::write(device.join("updater.toml"), config).unwrap();
    }

    pub(crate) fn server_port(&self) -> u16 {
        self.port
    }

    /// Makes the device ask at another port.
    pub(crate) fn ask_at(&self, port: u16) {
        self.ask_in("device", port);
    }

    /// The same, of the device in that folder.
    pub(crate) fn ask_in(&self, device: &str, port: u16) {
        let base = format!("https://127.0.0.1:{port}");
        let text = format!(
            "[server]\nmetadata = '{base}/repository/metadata'\ntargets = '{base}/repository/targets'\n"
        );
        let folder = self.path(device).join("updater.d");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("port.toml"), text).unwrap();
    }

    pub(crate) fn release(&self, version: &str, image: &[u8]) {
        self.release_of(version, &[("rootfs", image)]);
    }

    /// A release of one image for each slot class.
    pub(crate) fn release_of(&self, version: &str, images: &[(&str, &[u8])]) {
        let repository = Repository::open(&self.path("repository")).unwrap();
        let mut request = ReleaseRequest::new(
            "router-x".parse().unwrap(),
            "stable".parse().unwrap(),
            version.parse().unwrap(),
        );
        request.hardware = vec!["rev-a".parse().unwrap()];
        let of = |(class, image): &(&str, &[u8])| {
            let image = ImageSource::Bytes(image.to_vec());
            (class.parse().unwrap(), image)
        };
        request.images = images.iter().map(of).collect();
        repository
            .stage_release(&request, self.now, &silent)
            .unwrap();
        sign_and_publish(&repository, &self.people, self.now);
    }

    pub(crate) fn updater(&self) -> Updater {
        Updater::open(Config::load(&self.path("device/updater.toml")).unwrap()).unwrap()
    }

    pub(crate) async fn once(&self) -> Result<Outcome, Error> {
        self.updater().once(self.now, &mut Silent).await
    }

    pub(crate) fn restart(&self) -> SlotName {
        power_on(&self.path("device/boot.json")).unwrap()
    }

    pub(crate) fn health_check(&self, script: &str) {
        let path = self.path("device/hooks/health.d/required/10-check");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn slot(&self, slot: SlotName) -> Vec<u8> {
        let name = if slot == SlotName::A {
            "device/a.img"
        } else {
            "device/b.img"
        };
        std::fs::read(self.path(name)).unwrap()
    }

    /// Installs what is offered, restarts into it, and keeps it.
    pub(crate) async fn update(&self) -> (String, PayloadKind, u64) {
        let armed = self.once().await.unwrap();
        let Outcome::Armed {
            version,
            kind,
            downloaded,
            signed_by,
            ..
        } = armed
        else {
            panic!("{armed:?}")
        };
        assert_eq!(
            signed_by,
            ["urn:example:person:alice", "urn:example:person:bob"]
        );
        let slot = self.restart();
        let kept = self.once().await.unwrap();
        assert_eq!(
            kept,
            Outcome::Committed {
                version: version.clone(),
                slot
            }
        );
        (version.to_string(), kind, downloaded)
    }
}

/// Somebody who may sign everything.
pub(crate) fn join(
    pki: &PkiFolder,
    name: &str,
    ceremony: &mut Ceremony<'_>,
) -> (FileKey, Keyholder) {
    let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
    let roles = ["root", "targets", "delegated:router-x"];
    let leaf = Leaf::FirmwareSigner(FirmwareSigner {
        name: name.to_owned(),
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
    });
    let source = KeySource::Given(SubjectKey::of(&key).unwrap());
    let issued = pki.issue(&leaf, source, None, ceremony).unwrap();
    let holder = Keyholder::from_pem(name, issued.chain_pem().concat().as_bytes()).unwrap();
    (key.into_tuf_signer().unwrap(), holder)
}

pub(crate) fn sign_and_publish(repository: &Repository, people: &[FileKey], now: Timestamp) {
    for person in people {
        repository.sign(person).unwrap();
    }
    repository.publish(now).unwrap();
}

/// Certificates start at the system's time, and the server judges them by it.
fn seconds() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Bytes that compress badly, the same for the same seed.
pub(crate) fn image(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next)
        .flatten()
        .take(length)
        .collect()
}

pub(crate) fn holds(slot: &[u8], image: &[u8]) -> bool {
    slot.starts_with(image)
}
