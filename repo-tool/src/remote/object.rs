//! Object stores (S3, Google Cloud Storage, Azure) and WebDAV servers.
//!
//! Credentials come from the environment, by the names that the stores' own tools use (`AWS_ACCESS_KEY_ID`,
//! `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_KEY`, ...); so does `AWS_ENDPOINT` for a store that speaks S3.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use metadata_schema::time::Timestamp;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig, UpdateVersion, WriteMultipart,
};
use reqwest::Url;
use tokio::runtime::Runtime;

use super::tls::{self, Connector};
use super::webdav::WebDav;
use super::{Content, Each, Found, InsteadOf, Place, Remote, Streamed, Terms, failed};
use crate::error::{Error, Result};

/// Files up to this length are sent in one request, and longer ones in parts of it: what is in memory at once is this times
/// [`PARTS_AT_ONCE`].
const PART: usize = 8 * 1024 * 1024;
/// Parts of one file that are under way at once.
const PARTS_AT_ONCE: usize = 2;
/// How often a request is repeated, and for how long, before a push gives up (and can be run again).
const RETRIES: usize = 6;
const RETRY_FOR: Duration = Duration::from_secs(90);

/// An object store, or a WebDAV server.
#[derive(Debug)]
pub(super) struct ObjectRemote {
    name: String,
    store: Arc<dyn ObjectStore>,
    /// What stands before every path, with its `/` at the end; or nothing.
    prefix: String,
    /// What stands before every path in listings: those of WebDAV servers name files from the server's root on.
    listed: String,
    /// How a WebDAV server is written to: the store's own way wants whole files in memory.
    dav: Option<WebDav>,
    runtime: Runtime,
}

/// Opens what a URL names.
pub(super) fn open(place: &Place) -> Result<Box<dyn Remote>> {
    let Place::Url(url) = place else {
        return Err(Error::argument("place to publish to", "", "a URL"));
    };
    let name = place.to_string();
    let client = tls::client(place)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| failed(&name, "prepare the connection to", "", e))?;
    let connector = Connector(client.clone());
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    let unusable = |e| failed(&name, "open", "", e);
    let bucket = url.host_str().unwrap_or_default();
    let mut prefix = segments(url);
    let listed = prefix.clone();
    let mut dav = None;
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "s3" => {
            let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
            let builder = builder.with_http_connector(connector).with_retry(retry);
            Arc::new(builder.build().map_err(unusable)?)
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            let builder = builder.with_http_connector(connector).with_retry(retry);
            Arc::new(builder.build().map_err(unusable)?)
        }
        "az" => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            let builder = builder.with_http_connector(connector).with_retry(retry);
            Arc::new(builder.build().map_err(unusable)?)
        }
        _ => {
            prefix.clear();
            dav = Some(WebDav::new(client, url.clone()));
            let builder = HttpBuilder::new().with_url(name.clone());
            let builder = builder.with_http_connector(connector).with_retry(retry);
            Arc::new(builder.build().map_err(unusable)?)
        }
    };
    Ok(Box::new(ObjectRemote {
        name: name.clone(),
        store,
        prefix,
        listed,
        dav,
        runtime,
    }))
}

/// The path of a URL as it stands before file names.
fn segments(url: &Url) -> String {
    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    }
}

impl ObjectRemote {
    fn at(&self, path: &str) -> Result<Path> {
        Path::parse(format!("{}{path}", self.prefix)).map_err(|e| self.failed("name", path, e))
    }

    fn failed(
        &self,
        step: &'static str,
        path: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        failed(&self.name, step, path, source)
    }

    /// The path below the published folder, if it is one.
    fn path_of(&self, location: &Path) -> Option<String> {
        let path = location.as_ref().strip_prefix(&self.listed)?;
        Some(path.to_owned())
    }

    async fn list_below(&self, folder: &str, found: &mut BTreeMap<String, Found>) -> Result<()> {
        let failed = |e| self.failed("list", folder, e);
        let at = self.at(folder)?;
        if self.dav.is_none() {
            let mut listed = self.store.list(Some(&at));
            while let Some(meta) = listed.next().await {
                self.note(&meta.map_err(failed)?, found);
            }
            return Ok(());
        }
        // Many servers refuse to list a tree at once. Each names the folder itself among what is in it.
        let mut folders = vec![folder.to_owned()];
        let mut seen = BTreeSet::from([folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            let at = self.at(&folder)?;
            let listed = self
                .store
                .list_with_delimiter(Some(&at))
                .await
                .map_err(failed)?;
            for meta in &listed.objects {
                self.note(meta, found);
            }
            let below = listed.common_prefixes.iter();
            for path in below.filter_map(|below| self.path_of(below)) {
                if seen.insert(path.clone()) {
                    folders.push(path);
                }
            }
        }
        Ok(())
    }

    fn note(&self, meta: &ObjectMeta, found: &mut BTreeMap<String, Found>) {
        if let Some(path) = self.path_of(&meta.location) {
            found.insert(path, seen(meta));
        }
    }

    async fn put(&self, path: &str, bytes: Bytes, terms: &Terms) -> Result<()> {
        let mode = match &terms.instead_of {
            InsteadOf::Anything => PutMode::Overwrite,
            InsteadOf::Nothing => PutMode::Create,
            InsteadOf::Marked(mark) => PutMode::Update(UpdateVersion {
                e_tag: Some(mark.clone()),
                version: None,
            }),
        };
        let options = PutOptions {
            mode,
            attributes: attributes(terms),
            ..PutOptions::default()
        };
        let payload = PutPayload::from_bytes(bytes);
        match self.store.put_opts(&self.at(path)?, payload, options).await {
            Ok(_) => Ok(()),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Err(Error::RemoteChanged {
                remote: self.name.clone(),
                path: path.to_owned(),
            }),
            Err(e) => Err(self.failed("write", path, e)),
        }
    }

    async fn put_parts(&self, path: &str, from: &FilePath, terms: &Terms) -> Result<()> {
        let failed = |e: object_store::Error| self.failed("write", path, e);
        let unreadable = |e| Error::io("read", from, e);
        let mut file = File::open(from).map_err(unreadable)?;
        let options = PutMultipartOptions {
            attributes: attributes(terms),
            ..PutMultipartOptions::default()
        };
        let at = self.at(path)?;
        let upload = self.store.put_multipart_opts(&at, options).await;
        let mut upload = WriteMultipart::new_with_chunk_size(upload.map_err(failed)?, PART);
        loop {
            let mut part = Vec::with_capacity(PART);
            let limit = u64::try_from(PART).unwrap_or(u64::MAX);
            let read = (&mut file).take(limit).read_to_end(&mut part);
            let sent = match read.map_err(unreadable) {
                Ok(0) => break,
                Ok(_) => upload
                    .wait_for_capacity(PARTS_AT_ONCE)
                    .await
                    .map_err(failed),
                Err(e) => Err(e),
            };
            if let Err(e) = sent {
                // What is half there costs money; the error that counts is the one that led here.
                upload.abort().await.ok();
                return Err(e);
            }
            upload.put(part.into());
        }
        upload.finish().await.map(|_| ()).map_err(failed)
    }
}

impl Remote for ObjectRemote {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self) -> Result<Option<BTreeMap<String, Found>>> {
        let mut found = BTreeMap::new();
        for folder in ["metadata", "targets"] {
            match self.runtime.block_on(self.list_below(folder, &mut found)) {
                Ok(()) => {}
                // A server that writes but does not list (405, 501) is asked for each file.
                Err(_) if self.dav.is_some() => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(Some(found))
    }

    fn find(&self, path: &str) -> Result<Option<Found>> {
        let at = self.at(path)?;
        match self.runtime.block_on(self.store.head(&at)) {
            Ok(meta) => Ok(Some(seen(&meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("look at", path, e)),
        }
    }

    fn stream(&self, path: &str, each: Each<'_>) -> Result<Option<Streamed>> {
        let at = self.at(path)?;
        self.runtime.block_on(async {
            let failed = |e| self.failed("read", path, e);
            let result = match self.store.get_opts(&at, GetOptions::default()).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                other => other.map_err(failed)?,
            };
            let mark = result.meta.e_tag.clone();
            let mut pieces = result.into_stream();
            while let Some(piece) = pieces.try_next().await.map_err(failed)? {
                if each(&piece)?.is_break() {
                    break;
                }
            }
            Ok(Some(Streamed { mark }))
        })
    }

    fn write(&self, path: &str, content: Content<'_>, terms: &Terms) -> Result<()> {
        if let Some(dav) = &self.dav {
            let written = self.runtime.block_on(dav.put(path, content, terms));
            return written.map_err(|e| self.failed("write", path, e));
        }
        let part = u64::try_from(PART).unwrap_or(u64::MAX);
        match content {
            Content::File(from, length) if length > part => {
                self.runtime.block_on(self.put_parts(path, from, terms))
            }
            Content::File(from, length) => {
                let bytes = device_pki::durable::read_bounded(from, length)?;
                self.runtime.block_on(self.put(path, bytes.into(), terms))
            }
            Content::Bytes(bytes) => {
                let bytes = Bytes::copy_from_slice(bytes);
                self.runtime.block_on(self.put(path, bytes, terms))
            }
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        let at = self.at(path)?;
        match self.runtime.block_on(self.store.delete(&at)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("remove", path, e)),
        }
    }
}

fn seen(meta: &ObjectMeta) -> Found {
    Found {
        length: meta.size,
        modified: Some(Timestamp::from_unix_seconds(meta.last_modified.timestamp())),
    }
}

fn attributes(terms: &Terms) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, terms.content_type.into());
    attributes.insert(Attribute::CacheControl, terms.cache_control.clone().into());
    attributes
}
