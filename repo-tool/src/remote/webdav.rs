//! Writing to a WebDAV server (RFC 4918): files go from the disk to the server piece by piece, whatever their length.

use std::io;

use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Method, Response, StatusCode, Url};

use super::{Content, Terms};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A WebDAV server.
#[derive(Debug)]
pub(super) struct WebDav {
    client: Client,
    base: Url,
}

impl WebDav {
    pub(super) fn new(client: Client, base: Url) -> Self {
        Self { client, base }
    }

    /// Puts a file, and makes the folders above it where they are missing. It is sent under another name first and then takes
    /// its place: many servers leave half a file where a connection broke.
    pub(super) async fn put(
        &self,
        path: &str,
        content: Content<'_>,
        terms: &Terms,
    ) -> Result<(), Failure> {
        let temporary = format!("{path}.new");
        self.put_at(&temporary, content, terms).await?;
        // Section 9.9.
        let moved = self
            .client
            .request(Method::from_bytes(b"MOVE")?, self.url(&temporary)?)
            .header("Destination", self.url(path)?.as_str())
            .header("Overwrite", "T")
            .send()
            .await?;
        if !matches!(
            moved.status(),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        ) {
            return accepted(&moved);
        }
        // A server that takes files and moves none.
        self.put_at(path, content, terms).await?;
        accepted(&self.client.delete(self.url(&temporary)?).send().await?)
    }

    async fn put_at(&self, path: &str, content: Content<'_>, terms: &Terms) -> Result<(), Failure> {
        let answer = self.put_once(path, content, terms).await?;
        // Section 9.7.1: 409 if there is no folder for it; some servers say 404.
        if !matches!(
            answer.status(),
            StatusCode::CONFLICT | StatusCode::NOT_FOUND
        ) {
            return accepted(&answer);
        }
        let folders = path
            .match_indices('/')
            .filter_map(|(end, _)| path.get(..end));
        for folder in folders {
            let method = Method::from_bytes(b"MKCOL")?;
            let made = self
                .client
                .request(method, self.url(folder)?)
                .send()
                .await?;
            // Section 9.3.1: 405 if it is there already.
            if made.status() != StatusCode::METHOD_NOT_ALLOWED {
                accepted(&made)?;
            }
        }
        accepted(&self.put_once(path, content, terms).await?)
    }

    async fn put_once(
        &self,
        path: &str,
        content: Content<'_>,
        terms: &Terms,
    ) -> Result<Response, Failure> {
        let (body, length) = match content {
            Content::Bytes(bytes) => (
                Body::from(bytes.to_vec()),
                crate::assemble::length_of(bytes),
            ),
            Content::File(from, length) => {
                let file = tokio::fs::File::open(from).await?;
                (Body::from(file), length)
            }
        };
        let request = self
            .client
            .put(self.url(path)?)
            .header(CONTENT_TYPE, terms.content_type)
            .header(CACHE_CONTROL, &terms.cache_control)
            .header(CONTENT_LENGTH, length);
        Ok(request.body(body).send().await?)
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        let mut segments = url
            .path_segments_mut()
            .map_err(|()| io::Error::other("this URL has no path"))?;
        segments.pop_if_empty().extend(path.split('/'));
        drop(segments);
        Ok(url)
    }
}

fn accepted(answer: &Response) -> Result<(), Failure> {
    if answer.status().is_success() {
        return Ok(());
    }
    Err(io::Error::other(format!("the server answers {}", answer.status())).into())
}
