//! Writing to a WebDAV server (RFC 4918): files go from the disk to the server piece by piece, whatever their length.

use std::time::Duration;
use std::{fmt, io};

use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Method, Response, StatusCode, Url};

use super::{Content, Terms};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often a file is sent again after a failure that may pass.
const RETRIES: u32 = 5;
/// The wait before the first of them; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 200 });

/// A status other than of success.
#[derive(Debug)]
struct Refused(StatusCode);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answers {}", self.0)
    }
}

impl std::error::Error for Refused {}

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
    /// its place: many servers leave half a file where a connection broke. What may pass is tried again, from the first byte: an
    /// answer that was lost does not tell what was done, and sending a file twice does no harm.
    pub(super) async fn put(
        &self,
        path: &str,
        content: Content<'_>,
        terms: &Terms,
    ) -> Result<(), Failure> {
        let mut wait = FIRST_WAIT;
        for _ in 0..RETRIES {
            match self.replace(path, content, terms).await {
                Err(failure) if may_pass(&failure) => tokio::time::sleep(wait).await,
                other => return other,
            }
            wait = wait.saturating_mul(2);
        }
        self.replace(path, content, terms).await
    }

    async fn replace(
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
        let mut unmade = Ok(());
        for folder in folders {
            let method = Method::from_bytes(b"MKCOL")?;
            let made = self
                .client
                .request(method, self.url(folder)?)
                .send()
                .await?;
            // Section 9.3.1: 405 if it is there already. Where two make one folder in the same moment, servers have other answers
            // for the second (500): whether it is there shows when the file is put.
            if made.status() != StatusCode::METHOD_NOT_ALLOWED && unmade.is_ok() {
                unmade = accepted(&made);
            }
        }
        let answer = self.put_once(path, content, terms).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        unmade.and_then(|()| accepted(&answer))
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
    Err(Refused(answer.status()).into())
}

/// Whether the same request may succeed a moment later.
fn may_pass(failure: &Failure) -> bool {
    if let Some(Refused(status)) = failure.downcast_ref() {
        return status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS;
    }
    failure
        .downcast_ref::<reqwest::Error>()
        .is_some_and(|e| !e.is_builder() && !e.is_redirect())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::{JoinHandle, spawn};

    use super::*;

    /// A server that gives these answers, one after the other, and then says what it was asked. 0 breaks the connection.
    fn server(answers: &'static [u16]) -> (Url, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/prod", listener.local_addr().unwrap());
        let asked = move || {
            let one = |status: &u16| {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let mut lines = vec![String::new()];
                let mut length = 0;
                while stream.read_line(lines.last_mut().unwrap()).unwrap() > 2 {
                    let line = lines.last().unwrap().to_ascii_lowercase();
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    lines.push(String::new());
                }
                stream
                    .by_ref()
                    .take(length)
                    .read_to_end(&mut Vec::new())
                    .unwrap();
                if *status != 0 {
                    let answer = "Connection: close\r\nContent-Length: 0";
                    write!(stream.get_mut(), "HTTP/1.1 {status} X\r\n{answer}\r\n\r\n").unwrap();
                }
                let mut words = lines[0].split(' ');
                format!("{} {}", words.next().unwrap(), words.next().unwrap())
            };
            answers.iter().map(one).collect()
        };
        (url.parse().unwrap(), spawn(asked))
    }

    fn put(answers: &'static [u16]) -> (Result<(), Failure>, Vec<String>) {
        let (url, asked) = server(answers);
        let client = super::super::tls::client(&super::super::Place::Url(url.clone())).unwrap();
        let dav = WebDav::new(client, url);
        let terms = Terms {
            content_type: "application/json",
            cache_control: "no-cache".into(),
            instead_of: super::super::InsteadOf::Anything,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let put = runtime.block_on(dav.put("metadata/1.root.json", Content::Bytes(b"{}"), &terms));
        (put, asked.join().unwrap())
    }

    const SENT: &str = "PUT /prod/metadata/1.root.json.new";
    const MADE: &str = "MKCOL /prod/metadata";
    const MOVED: &str = "MOVE /prod/metadata/1.root.json.new";

    #[test]
    fn a_folder_that_another_made_in_the_same_moment() {
        for answer in [
            &[409, 500, 201, 204],
            &[404, 405, 201, 204],
            &[409, 201, 201, 204],
        ] {
            let (put, asked) = put(answer);
            put.unwrap();
            assert_eq!(asked, [SENT, MADE, SENT, MOVED]);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_by_its_own_answer() {
        let (put, asked) = put(&[409, 403, 409]);
        assert!(put.unwrap_err().to_string().contains("403"));
        assert_eq!(asked, [SENT, MADE, SENT]);
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let (done, asked) = put(&[503, 429, 0, 201, 0, 201, 201]);
        done.unwrap();
        assert_eq!(asked, [SENT, SENT, SENT, SENT, MOVED, SENT, MOVED]);
    }

    #[test]
    fn what_does_not_pass_is_said() {
        let (refused, asked) = put(&[507, 507, 507, 507, 507, 507]);
        assert!(refused.unwrap_err().to_string().contains("507"));
        assert_eq!(asked.len(), 6);
        let (refused, asked) = put(&[401]);
        assert!(refused.unwrap_err().to_string().contains("401"));
        assert_eq!(asked.len(), 1);
    }
}
