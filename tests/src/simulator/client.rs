//! A device's client with a memory of its own, to set against repositories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_pki::Thresholds;
use metadata_schema::MetadataError;
use metadata_schema::limits::Limits;
use metadata_schema::name::TargetPath;
use metadata_schema::search::VerifiedTarget;
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;
use tempfile::TempDir;
use updater::Error;
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::transport::Transport;
use updater::trust::Trust;

use super::Simulator;

/// Longest target that [`TestClient::download`] takes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A device as far as metadata goes: root from the factory, store, trust, clock.
pub struct TestClient {
    folder: TempDir,
    /// What it believes besides TUF.
    pub trust: Trust,
    /// Its bounds.
    pub limits: Limits,
    /// Its clock.
    pub now: Timestamp,
    /// The root that the factory gave it.
    pub root: Vec<u8>,
}

impl TestClient {
    /// A new device with the repository's root 1, at the time that the repository began. It has the repository's trust anchor
    /// and asks for two signatures on root and targets, if there are certificates; else TUF is all that it goes by.
    pub fn new(repository: &mut Simulator) -> Self {
        let trust = match repository.pki() {
            None => Trust::Plain,
            Some(pki) => Trust::Pki {
                anchor: Box::new(pki.anchor()),
                thresholds: Thresholds::new(2, 2, 1),
            },
        };
        let root = repository.root().of_version(1).unwrap().to_vec();
        Self::of(root, trust, repository.plan().now)
    }

    /// A new device with this root and this trust, whose clock shows `now`.
    pub fn of(root: Vec<u8>, trust: Trust, now: Timestamp) -> Self {
        Self {
            folder: folder(),
            trust,
            limits: Limits::default(),
            now,
            root,
        }
    }

    /// Another device that is just like this one, and goes its own way from here.
    #[must_use]
    pub fn fork(&self) -> Self {
        let folder = folder();
        copy(self.folder(), folder.path()).unwrap();
        Self {
            folder,
            trust: self.trust.clone(),
            limits: self.limits.clone(),
            now: self.now,
            root: self.root.clone(),
        }
    }

    /// One refresh.
    ///
    /// # Errors
    /// As [`Client::refresh`].
    pub fn refresh(&self, transport: &mut dyn Transport) -> Result<AtTargets, Box<Error>> {
        wait(self.refreshed(transport))
    }

    /// A refresh, and the search for a target.
    ///
    /// # Errors
    /// As [`Client::refresh`] and [`Client::find`].
    pub fn find(
        &self,
        transport: &mut dyn Transport,
        path: &str,
    ) -> Result<Option<VerifiedTarget>, Box<Error>> {
        let path = target_path(path)?;
        let store = self.store()?;
        wait(async {
            let mut client = self.client(transport, &store);
            let mut set = client.refresh(&self.root, self.now).await?;
            Ok(client.find(&mut set, &path).await?)
        })
    }

    /// One refresh, and searches one after the other by what it has brought: the names of the roles that have the targets.
    ///
    /// # Errors
    /// As [`Client::refresh`] and [`Client::find`], of the first that fails.
    pub fn find_all(
        &self,
        transport: &mut dyn Transport,
        paths: &[&str],
    ) -> Result<Vec<Option<String>>, Box<Error>> {
        let store = self.store()?;
        wait(async {
            let mut client = self.client(transport, &store);
            let mut set = client.refresh(&self.root, self.now).await?;
            let mut found = Vec::new();
            for path in paths {
                let target = client.find(&mut set, &target_path(path)?).await?;
                found.push(target.map(|target| target.role().to_string()));
            }
            Ok(found)
        })
    }

    /// A refresh, the search for a target, and its bytes; none if there is no such target.
    ///
    /// # Errors
    /// As [`Client::refresh`], [`Client::find`] and [`Client::fetch_target`].
    pub fn download(
        &self,
        transport: &mut dyn Transport,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Box<Error>> {
        let path = target_path(path)?;
        let store = self.store()?;
        wait(async {
            let mut client = self.client(transport, &store);
            let mut set = client.refresh(&self.root, self.now).await?;
            let Some(target) = client.find(&mut set, &path).await? else {
                return Ok(None);
            };
            Ok(Some(client.fetch_target(&target, LONGEST).await?))
        })
    }

    /// [`TestClient::refresh`], for callers that have a runtime.
    ///
    /// # Errors
    /// As [`Client::refresh`].
    pub async fn refreshed(&self, transport: &mut dyn Transport) -> Result<AtTargets, Box<Error>> {
        let store = self.store()?;
        let mut client = self.client(transport, &store);
        Ok(client.refresh(&self.root, self.now).await?)
    }

    /// What it trusts: the version of each role's file, by the file's name without `.json`.
    pub fn trusted(&self) -> BTreeMap<String, u64> {
        let mut trusted = BTreeMap::new();
        for entry in std::fs::read_dir(self.folder()).into_iter().flatten() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.extension().is_some_and(|e| e == "json") {
                let json: serde_json::Value =
                    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let version = json["signed"]["version"].as_u64().unwrap_or(0);
                trusted.insert(stem, version);
            }
        }
        trusted
    }

    /// The stored file of a role.
    pub fn stored(&self, stem: &str) -> Option<Vec<u8>> {
        std::fs::read(self.stored_path(stem)).ok()
    }

    /// Where the file of a role is stored.
    pub fn stored_path(&self, stem: &str) -> PathBuf {
        self.folder().join(format!("{stem}.json"))
    }

    /// The folder of its metadata.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn store(&self) -> Result<MetadataStore, Box<Error>> {
        Ok(MetadataStore::open(self.folder()).map_err(Error::from)?)
    }

    fn client<'a>(
        &'a self,
        transport: &'a mut dyn Transport,
        store: &'a MetadataStore,
    ) -> Client<'a> {
        Client {
            transport,
            store,
            trust: &self.trust,
            limits: self.limits.clone(),
        }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let copied = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            std::fs::create_dir_all(&copied)?;
            copy(&path, &copied)?;
        } else {
            std::fs::copy(&path, &copied)?;
        }
    }
    Ok(())
}

fn target_path(path: &str) -> Result<TargetPath, Box<Error>> {
    Ok(TargetPath::new(path).map_err(|e| Error::from(MetadataError::from(e)))?)
}

/// In memory where the system has such a place: thousands of refreshes must not wait for a disk.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}
