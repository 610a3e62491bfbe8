//! A PKI, a repository and devices, in one folder; the steps of a plan run in a shell, with the programs.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    FileKey, FirmwareSigner, KeyAlgorithm, KeyPair, Leaf, Organisation, Passphrase, Protection,
    ScryptCost, SignerRole, SubjectKey, SystemEntropy, Thresholds, TrustAnchor,
};
use metadata_schema::limits::Limits;
use metadata_schema::name::TargetPath;
use metadata_schema::time::Timestamp;
use repo_tool::loss::{Loss, LossPlan};
use repo_tool::{
    ImageSource, InitPlan, Keyholder, ProductPlan, ReleaseRequest, Repository, Settings, Signers,
    silent,
};
use tempfile::TempDir;
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::transport::folder::Folder;
use updater::trust::Trust;

const PASSPHRASE: &str = "x";

pub(crate) struct World {
    folder: TempDir,
    pub(crate) now: Timestamp,
    pub(crate) repository: Repository,
}

impl World {
    /// A repository with a release, at threshold two for every role.
    pub(crate) fn new(root: &[&str], targets: &[&str], product: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let now = Timestamp::from_unix_seconds(since.try_into().unwrap());
        let passphrase = Passphrase::new(PASSPHRASE);
        let mut ceremony = Ceremony {
            now,
            protection: Protection::Passphrase(&passphrase, ScryptCost::FAST),
            entropy: &mut SystemEntropy,
        };
        let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
        let path = folder.path().join("pki");
        let pki = PkiFolder::create(&path, &corp, Algorithms::STANDARD, &mut ceremony).unwrap();
        pki.write_crls(30, &mut ceremony).unwrap();
        let mut names: Vec<&str> = [root, targets, product].concat();
        names.sort_unstable();
        names.dedup();
        let mut holders = Vec::new();
        for name in names {
            let mut roles: Vec<SignerRole> = Vec::new();
            for (role, people) in [
                ("root", root),
                ("targets", targets),
                ("delegated:router-x", product),
            ] {
                roles.extend(people.contains(&name).then(|| role.parse().unwrap()));
            }
            let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
            let file = folder.path().join(format!("{name}.key"));
            key.save(&file, ceremony.protection, &mut SystemEntropy)
                .unwrap();
            let leaf = Leaf::FirmwareSigner(FirmwareSigner {
                name: name.to_owned(),
                roles,
            });
            let given = KeySource::Given(SubjectKey::of(&key).unwrap());
            let issued = pki.issue(&leaf, given, None, &mut ceremony).unwrap();
            let chain = folder.path().join(format!("{name}.pem"));
            fs::copy(&issued.chain_path, &chain).unwrap();
            holders.push((name, Keyholder::read(&chain).unwrap()));
        }
        let signers = |people: &[&str]| Signers {
            people: holders
                .iter()
                .filter(|(name, _)| people.contains(name))
                .map(|(_, holder)| holder.clone())
                .collect(),
            threshold: NonZeroU32::new(2).unwrap(),
        };
        let plan = InitPlan {
            anchor: pki.anchor().unwrap(),
            root: signers(root),
            targets: signers(targets),
            products: vec![ProductPlan {
                name: "router-x".parse().unwrap(),
                signers: signers(product),
                bins: None,
            }],
            settings: Settings {
                compression_level: 1,
                ..Settings::default()
            },
        };
        let path = folder.path().join("repo");
        let repository = Repository::init(&path, &plan, now, &mut SystemEntropy).unwrap();
        let world = Self {
            folder,
            now,
            repository,
        };
        world.sign(
            &world.repository,
            &[&root[..2], &targets[..2], &product[..2]].concat(),
        );
        world.repository.publish(now).unwrap();
        world.release(&world.repository, "1.0.0", &product[..2]);
        world.repository.publish(now).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key(&self, name: &str) -> FileKey {
        let passphrase = Passphrase::new(PASSPHRASE);
        let path = self.path(&format!("{name}.key"));
        let key = KeyPair::load(&path, Some(&passphrase)).unwrap();
        key.into_tuf_signer().unwrap()
    }

    fn sign(&self, repository: &Repository, people: &[&str]) {
        for name in people {
            repository.sign(&self.key(name)).unwrap();
        }
    }

    /// Stages a release that these people sign.
    pub(crate) fn release(&self, repository: &Repository, version: &str, people: &[&str]) {
        let (product, channel) = ("router-x".parse().unwrap(), "stable".parse().unwrap());
        let mut request = ReleaseRequest::new(product, channel, version.parse().unwrap());
        request.hardware = vec!["rev-a".parse().unwrap()];
        let image = ImageSource::Bytes(format!("firmware {version}").into_bytes());
        request.images.insert("rootfs".parse().unwrap(), image);
        repository
            .stage_release(&request, self.now, &silent)
            .unwrap();
        self.sign(repository, people);
    }

    /// What a thief has: a copy of the whole folder, and these people's keys, with which he publishes a release.
    pub(crate) fn evil(&self, people: &[&str]) -> Repository {
        let copied = Command::new("cp")
            .args(["-r", "repo", "evil"])
            .current_dir(self.folder.path())
            .status();
        assert!(copied.unwrap().success());
        let evil = Repository::open(&self.path("evil")).unwrap();
        self.release(&evil, "6.6.6", people);
        evil.publish_unchecked(self.now).unwrap();
        evil
    }

    pub(crate) fn plan(&self, lost: &[&str], stolen: &[&str]) -> LossPlan {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let loss = Loss {
            lost: owned(lost),
            stolen: owned(stolen),
        };
        self.repository.plan_loss(&loss, self.now).unwrap()
    }

    /// Carries out every step that programs can do. Nobody is asked: the test reads nothing before it signs.
    pub(crate) fn carry_out(&self, plan: &LossPlan) {
        let commands = plan.steps.iter().flat_map(|step| &step.commands);
        for command in commands.filter(|command| !command.starts_with("updater ")) {
            if let Some(rest) = command.strip_prefix("repo-tool keygen ") {
                self.keygen(rest);
                continue;
            }
            let agreed = if command.starts_with("repo-tool sign ") {
                " --yes"
            } else {
                ""
            };
            let path = env::join_paths(
                std::iter::once(programs()).chain(env::split_paths(&env::var_os("PATH").unwrap())),
            );
            let output = Command::new("bash")
                .args(["-c", &format!("{command}{agreed}")])
                .current_dir(self.folder.path())
                .env("PATH", path.unwrap())
                .env("HOME", self.folder.path())
                .env("REPO_TOOL_PASSPHRASE", PASSPHRASE)
                .env("DEVICE_PKI_PASSPHRASE", PASSPHRASE)
                .output()
                .unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}\n{error}");
        }
    }

    /// What `keygen FILE --public FILE` does, without the half second of work that a passphrase should cost: the program's own is
    /// tested with it.
    fn keygen(&self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let [file, "--public", public] = words.as_slice() else {
            panic!("{words:?}");
        };
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SystemEntropy).unwrap();
        let passphrase = Passphrase::new(PASSPHRASE);
        let protection = Protection::Passphrase(&passphrase, ScryptCost::FAST);
        key.save(&self.path(file), protection, &mut SystemEntropy)
            .unwrap();
        fs::write(self.path(public), key.public_key_pem()).unwrap();
    }

    /// A device that has begun with the first root of a repository.
    pub(crate) fn device(&self, repository: &str) -> Device {
        let first = self.path(repository).join("published/metadata/1.root.json");
        let anchor = fs::read(self.path("repo/anchor.pem")).unwrap();
        Device {
            store: tempfile::tempdir().unwrap(),
            root: fs::read(first).unwrap(),
            trust: Trust::Pki {
                anchor: Box::new(TrustAnchor::from_pem(&anchor).unwrap()),
                thresholds: Thresholds::new(2, 2, 2),
            },
            now: self.now,
        }
    }
}

/// A device as far as metadata goes.
pub(crate) struct Device {
    store: TempDir,
    root: Vec<u8>,
    trust: Trust,
    now: Timestamp,
}

impl Device {
    /// Refreshes from a keepers' folder, and looks its release up: the version of root, and that of the release.
    pub(crate) fn follow(&self, keepers: &Path) -> Result<(u64, String), Box<updater::Error>> {
        let store = MetadataStore::open(self.store.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let mut transport = Folder::new(&keepers.join("published"));
        runtime.unwrap().block_on(async {
            let mut client = Client {
                transport: &mut transport,
                store: &store,
                trust: &self.trust,
                limits: Limits::default(),
            };
            let mut set = client.refresh(&self.root, self.now).await?;
            let path = TargetPath::new("router-x/stable.release.json").unwrap();
            let target = client.find(&mut set, &path).await?;
            let bytes = match target {
                Some(target) => client.fetch_target(&target, 64 * 1024).await?,
                None => Vec::new(),
            };
            let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let version = manifest["version"].as_str().unwrap_or("none").to_owned();
            Ok((set.root().common.version.number(), version))
        })
    }
}

/// The folder where cargo puts programs; those that are not there yet are built.
fn programs() -> PathBuf {
    let own = env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap().to_owned();
    for name in ["repo-tool", "device-pki"] {
        if !folder.join(name).is_file() {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let build = Command::new(cargo)
                .args(["build", "--quiet", "--package", name])
                .status();
            assert!(build.unwrap().success(), "cannot build {name}");
        }
    }
    folder
}
