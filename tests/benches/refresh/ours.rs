//! The device's client.

use metadata_schema::limits::Limits;
use metadata_schema::name::TargetPath;
use updater::metadata_store::MetadataStore;
use updater::refresh::Client;
use updater::transport::http::{Http, Settings};
use updater::trust::Trust;

use crate::Job;

pub(crate) fn run(job: &Job) {
    let root = std::fs::read(&job.root).unwrap();
    let store = MetadataStore::open(&job.folder).unwrap();
    let metadata = format!("{}metadata/", job.url);
    let targets = format!("{}targets/", job.url);
    let mut http = Http::without_tls(&Settings::default(), &metadata, &targets).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut client = Client {
            transport: &mut http,
            store: &store,
            trust: &Trust::Plain,
            limits: Limits::default(),
        };
        let now = "2030-01-02T00:00:00Z".parse().unwrap();
        let mut set = client.refresh(&root, now).await.unwrap();
        let path = TargetPath::new(&job.path).unwrap();
        let found = client.find(&mut set, &path).await.unwrap();
        assert!(found.is_some(), "{path} is not there");
    });
}
