//! Clients of others live through what the manual publishes, each state at its own time: sigstore-tuf, which remembers, and
//! tough, the library of tuftool, which goes by the clock of the machine and is therefore asked not to look at expiry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use repo_tool::Archive;
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{MemoryStore, Updater};
use tough::{
    ExpirationEnforcement, FilesystemTransport, IntoVec as _, RepositoryLoader, TargetName,
    Transport, TransportError, TransportStream,
};
use url::Url;

use crate::devices::State;

/// Each state is read by both, and the manifests that are offered in it are found.
pub(crate) fn follow(states: &[State]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (first, last) = (states.first().unwrap(), states.last().unwrap());
        let root = fs::read(first.published.join("metadata/1.root.json")).unwrap();
        let (awake, sleeper) = (MemoryStore::new(), MemoryStore::new());
        let (awake, sleeper) = (Arc::new(awake), Arc::new(sleeper));
        sigstore(first, &root, &sleeper).await;
        for state in states {
            sigstore(state, &root, &awake).await;
            tough(state, &root).await;
        }
        let (late, always) = (
            sigstore(last, &root, &sleeper).await,
            sigstore(last, &root, &awake).await,
        );
        assert_eq!(late, always);
    });
}

/// Paths of the manifests that are offered.
fn manifests(state: &State) -> Vec<String> {
    let archive = Archive::open(&state.published).unwrap();
    let offers = archive.offers(state.clock).unwrap().into_iter();
    offers
        .map(|offer| format!("{}/{}.release.json", offer.product, offer.channel))
        .collect()
}

/// Versions of root and targets that it trusts then.
async fn sigstore(state: &State, root: &[u8], store: &Arc<MemoryStore>) -> [u64; 2] {
    let now = jiff::Timestamp::from_second(state.clock.unix_seconds()).unwrap();
    let at = state.published.display();
    let mut client = Updater::new(Folder(state.published.clone()), root)
        .unwrap()
        .with_store(Arc::clone(store));
    let refreshed = client.refresh(now).await;
    refreshed.unwrap_or_else(|error| panic!("{at}: {error}"));
    for path in manifests(state) {
        let found = client.get_target_info(&path, now).await.unwrap();
        assert!(found.is_some(), "{at}: {path}");
    }
    let trusted = client.trusted();
    let targets = trusted.targets_role("targets").unwrap();
    [trusted.root().version, targets.version]
}

/// A published folder, as that client asks for it.
struct Folder(PathBuf);

impl Folder {
    fn fetch(&self, below: &str, name: &str) -> Result<Option<Vec<u8>>, sigstore_tuf::Error> {
        let path = self.0.join(below).join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = fs::read(path);
        bytes
            .map(Some)
            .map_err(|e| sigstore_tuf::Error::transport(e.to_string()))
    }
}

impl sigstore_tuf::Repository for Folder {
    fn fetch_metadata<'a>(&'a self, name: &'a str, _: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.fetch("metadata", name) })
    }

    fn fetch_target<'a>(&'a self, path: &'a str, _: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.fetch("targets", path) })
    }
}

/// Loads all roles, and reads every manifest and revocation list (what is new in a state is among them; payloads are not).
async fn tough(state: &State, root: &[u8]) {
    let at = state.published.display();
    let url = |name: &str| Url::from_directory_path(state.published.join(name)).unwrap();
    let repository = RepositoryLoader::new(&root, url("metadata"), url("targets"))
        .transport(BySpecification(FilesystemTransport))
        .expiration_enforcement(ExpirationEnforcement::Unsafe)
        .load()
        .await
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    let offered = manifests(state);
    let small = |name: &TargetName| {
        offered.iter().any(|path| path == name.raw()) || name.raw().starts_with("pki/")
    };
    let names: Vec<TargetName> = repository
        .all_targets()
        .map(|(name, _)| name.clone())
        .filter(small)
        .collect();
    assert!(names.len() >= offered.len(), "{at}: {offered:?}, {names:?}");
    for name in names {
        let stream = repository.read_target(&name).await.unwrap();
        let stream = stream.unwrap_or_else(|| panic!("{at}: {}", name.raw()));
        stream.into_vec().await.unwrap();
    }
}

/// Reads files, and asks for a target in a folder as the specification names it: tough puts the digest before the whole path
/// (`DIGEST.folder/file`), the specification before the file name.
#[derive(Clone, Debug)]
struct BySpecification(FilesystemTransport);

#[async_trait::async_trait]
impl Transport for BySpecification {
    async fn fetch(&self, mut url: Url) -> Result<TransportStream, TransportError> {
        url.set_path(&by_specification(Path::new(url.path())));
        self.0.fetch(url).await
    }
}

fn by_specification(path: &Path) -> String {
    let path = path.display().to_string().replace("%2F", "/");
    let renamed = path.split_once("/targets/").and_then(|(base, target)| {
        let (digest, name) = target.split_once('.')?;
        let (folder, file) = name.rsplit_once('/')?;
        Some(format!("{base}/targets/{folder}/{digest}.{file}"))
    });
    renamed.unwrap_or(path)
}
