//! HTTP over mutual TLS: HTTP/2 where the server speaks it, so that all requests of a run share one connection.

mod base;
mod body;
mod exchange;
mod failure;
mod proxy;
mod redirect;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE,
};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::{Answer, Body, NetworkLimits, Part, Request, Transport};
use crate::error::TransportError;
use crate::pulse;
use base::Base;
use body::{HttpBody, Share};
pub(crate) use exchange::{Exchange, exchange};
pub use proxy::Proxy;

/// Most header fields of an answer.
const MAX_HEADERS: usize = 64;
/// Most of an answer without a file that is read, so that the connection can be used again.
const MAX_REMAINDER: usize = 16 * 1024;

/// How files are fetched.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What a server may ask of the device's patience.
    pub limits: NetworkLimits,
    /// The way to the server.
    pub proxy: Proxy,
}

/// Fetches over HTTP.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    metadata: Base,
    targets: Base,
    limits: NetworkLimits,
}

impl Http {
    /// Fetches below these base URLs with these TLS settings, and refuses to speak without TLS.
    ///
    /// # Errors
    /// If a URL or the proxy cannot be used.
    pub fn new(
        tls: rustls::ClientConfig,
        settings: &Settings,
        metadata: &str,
        targets: &str,
    ) -> Result<Self, TransportError> {
        let builder = builder(tls, settings)?.https_only(true);
        Self::with(builder, settings, [metadata, targets], false)
    }

    /// The same without TLS, and trusting no server in particular: for repositories that are on no device's way, such as those
    /// of a conformance test. What it fetches is verified like everything else.
    ///
    /// # Errors
    /// If a URL or the proxy cannot be used.
    pub fn without_tls(
        settings: &Settings,
        metadata: &str,
        targets: &str,
    ) -> Result<Self, TransportError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(e.into()))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let builder = builder(tls, settings)?;
        Self::with(builder, settings, [metadata, targets], true)
    }

    fn with(
        builder: ClientBuilder,
        settings: &Settings,
        [metadata, targets]: [&str; 2],
        clear: bool,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            client: builder.build().map_err(|e| unusable(e.into()))?,
            metadata: Base::new(Part::Metadata, metadata, clear)?,
            targets: Base::new(Part::Targets, targets, clear)?,
            limits: settings.limits.clone(),
        })
    }

    /// What it asks with: for other requests to the same server. It follows no redirects.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks until there is an answer that says something about the file, following redirects.
    async fn ask(&self, request: &Request) -> Result<Response, TransportError> {
        let begin = self.describe(request);
        let parse = |text: &str| {
            Url::parse(text).map_err(|e| TransportError::Url {
                what: "URL of a file",
                url: text.to_owned(),
                why: e.to_string(),
            })
        };
        let mut url = parse(&begin)?;
        for _ in 0..=self.limits.redirects {
            let answer = self.ask_at(&url, request.offset).await?;
            match redirect::next(request.part, &url, &answer)? {
                None => return Ok(answer),
                Some(next) => url = next,
            }
        }
        Err(TransportError::Redirect {
            url: begin,
            to: url.to_string(),
            why: format!("more than {} redirects in a row", self.limits.redirects),
        })
    }

    /// Asks at one URL, again if what went wrong may pass.
    async fn ask_at(&self, url: &Url, offset: u64) -> Result<Response, TransportError> {
        let mut attempt = 1;
        loop {
            let (failed, asked_for) = match self.ask_once(url, offset).await {
                Ok(answer) if retry::may_pass(answer.status()) => {
                    let asked_for = retry::asked_for(answer.headers());
                    (bad_status(url, &answer, asked_for), asked_for)
                }
                Ok(answer) => return Ok(answer),
                Err(e @ TransportError::NoAnswer { .. }) => (e, None),
                Err(e) => return Err(e),
            };
            let asked_for = asked_for.unwrap_or_default();
            if attempt >= self.limits.attempts || asked_for > self.limits.retry_after {
                return Err(failed);
            }
            tracing::debug!(%url, attempt, error = %failed, "asking again");
            let pause = super::with_jitter(self.limits.pause_after(attempt));
            pulse::sleep(asked_for.saturating_add(pause)).await;
            attempt = attempt.saturating_add(1);
        }
    }

    async fn ask_once(&self, url: &Url, offset: u64) -> Result<Response, TransportError> {
        pulse::beat();
        let mut request = self.client.get(url.clone());
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        // A connection first, if there is none, and then the head of the answer.
        let patience = self.limits.connect.saturating_add(self.limits.silence);
        match pulse::within(patience, request.send()).await {
            Ok(sent) => sent.map_err(|e| failure::no_answer(url.as_str(), &e)),
            Err(_) => Err(TransportError::NoAnswer {
                url: url.to_string(),
                source: format!("nothing came for {} s", patience.as_secs_f32()).into(),
            }),
        }
    }

    /// Reads what an answer without a file says, so that the connection can be used again. It may say little, and soon.
    async fn pass_over(&self, mut answer: Response) {
        let mut length = 0_usize;
        let read = async {
            while let Ok(Some(piece)) = answer.chunk().await {
                length = length.saturating_add(piece.len());
                if length > MAX_REMAINDER {
                    break;
                }
            }
        };
        let _read_or_not = pulse::within(self.limits.silence, read).await;
        let_go().await;
    }

    async fn found(
        &self,
        request: &Request,
        answer: Response,
    ) -> Result<Option<Box<dyn Body>>, TransportError> {
        let url = answer.url().to_string();
        let share = match answer.status() {
            // A server that ignores ranges sends everything: what is not wanted is passed over.
            StatusCode::OK => Share {
                skip: request.offset,
                most: request.most,
            },
            StatusCode::PARTIAL_CONTENT if request.offset > 0 => {
                begins_at(&url, &answer, request.offset)?;
                Share {
                    skip: 0,
                    most: request.most.saturating_sub(request.offset),
                }
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => {
                self.pass_over(answer).await;
                return Ok(None);
            }
            // The file is shorter than it should be: what is missing is not there.
            StatusCode::RANGE_NOT_SATISFIABLE if request.offset > 0 => {
                self.pass_over(answer).await;
                return Ok(None);
            }
            _ => return Err(bad_status(answer.url(), &answer, None)),
        };
        as_it_is(&url, &answer)?;
        let body = HttpBody::new(url, answer, share, &self.limits)?;
        Ok(Some(Box::new(body)))
    }
}

impl Transport for Http {
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>> {
        Box::pin(async move {
            let answer = self.ask(request).await?;
            self.found(request, answer).await
        })
    }

    fn describe(&self, request: &Request) -> String {
        match request.part {
            Part::Metadata => self.metadata.metadata(&request.path),
            Part::Targets => self.targets.target(&request.path),
        }
    }

    fn limits(&self) -> &NetworkLimits {
        &self.limits
    }
}

fn builder(
    mut tls: rustls::ClientConfig,
    settings: &Settings,
) -> Result<ClientBuilder, TransportError> {
    let limits = &settings.limits;
    // The library leaves this to whoever makes the TLS settings (RFC 7301).
    tls.alpn_protocols = if cfg!(feature = "http2") {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    // Files are hashed as they are sent, so they are to be sent as they are.
    let identity = HeaderValue::from_static("identity");
    let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, identity)]);
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(limits.connect)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("updater/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .http1_max_headers(MAX_HEADERS);
    settings.proxy.apply(over_http2(builder, limits))
}

#[cfg(feature = "http2")]
fn over_http2(builder: ClientBuilder, limits: &NetworkLimits) -> ClientBuilder {
    /// Longest header list of an answer, in bytes. (Over HTTP/1.1 the library reads at most 400 KiB.)
    const MAX_HEAD: u32 = 16 * 1024;
    /// Bytes that a server may send ahead: what of a payload may stand in memory before it is taken.
    const WINDOW: u32 = 512 * 1024;
    // A dead connection would otherwise be asked again and again.
    let probe = (limits.silence / 2).max(Duration::from_millis(1));
    builder
        .http2_max_header_list_size(MAX_HEAD)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW)
        .http2_keep_alive_interval(probe)
        .http2_keep_alive_timeout(probe)
}

#[cfg(not(feature = "http2"))]
fn over_http2(builder: ClientBuilder, _limits: &NetworkLimits) -> ClientBuilder {
    builder
}

fn unusable(source: Box<dyn std::error::Error + Send + Sync>) -> TransportError {
    TransportError::Unusable { source }
}

fn bad_status(url: &Url, answer: &Response, retry_after: Option<Duration>) -> TransportError {
    TransportError::Status {
        url: url.to_string(),
        status: answer.status().as_u16(),
        retry_after,
    }
}

/// Lets the connection of an answer that was read to its end go back among those that can be used. The next request would
/// otherwise come before it is there, and open another one beside it. (The library does this in tasks of its own, which run
/// when this one yields: the last byte, the end of the body, the connection's readiness.)
async fn let_go() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Whether a partial answer begins where it should (RFC 9110, section 14.4).
fn begins_at(url: &str, answer: &Response, offset: u64) -> Result<(), TransportError> {
    let range = answer.headers().get(CONTENT_RANGE);
    let range = range
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let first = range
        .strip_prefix("bytes ")
        .and_then(|range| range.split('-').next())
        .and_then(|first| first.parse().ok());
    if first == Some(offset) {
        return Ok(());
    }
    Err(TransportError::WrongRange {
        url: url.to_owned(),
        offset,
        found: range.chars().take(100).collect(),
    })
}

/// Whether the file is sent as it is: a compressed one is another one, and nothing here would unpack it.
fn as_it_is(url: &str, answer: &Response) -> Result<(), TransportError> {
    let encoding = answer.headers().get(CONTENT_ENCODING);
    match encoding.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            Err(TransportError::Encoded {
                url: url.to_owned(),
                encoding: encoding.chars().take(100).collect(),
            })
        }
        _ => Ok(()),
    }
}
