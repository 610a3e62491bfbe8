//! sigstore-tuf, behind the same HTTP client as ours.

use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, FileStore, Repository, Updater};
use tokio::sync::Mutex;
use updater::transport::http::{Http, Settings};
use updater::transport::{Part, fetch};

use crate::Job;

pub(crate) fn run(job: &Job) {
    let root = std::fs::read(&job.root).unwrap();
    let metadata = format!("{}metadata/", job.url);
    let targets = format!("{}targets/", job.url);
    let http = Http::without_tls(&Settings::default(), &metadata, &targets).unwrap();
    let now: jiff::Timestamp = "2030-01-02T00:00:00Z".parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut updater = Updater::new(Fetched(Mutex::new(http)), &root)
            .unwrap()
            .with_store(FileStore::new(&job.folder));
        updater.refresh(now).await.unwrap();
        let found = updater.get_target_info(&job.path, now).await.unwrap();
        assert!(found.is_some(), "{} is not there", job.path);
    });
}

struct Fetched(Mutex<Http>);

impl Fetched {
    async fn fetch(&self, part: Part, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let mut http = self.0.lock().await;
        let fetched = fetch(&mut *http, part, path, limit).await;
        fetched.map_err(|e| Error::transport(e.to_string()))
    }
}

impl Repository for Fetched {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.fetch(Part::Metadata, name, max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.fetch(Part::Targets, path, max_length))
    }
}
