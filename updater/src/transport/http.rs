//! HTTP over mutual TLS.

use std::time::{Duration, Instant};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::RANGE;
use reqwest::{Client, ClientBuilder, Response, StatusCode};

use super::{Answer, Body, Part, Request, Transport};
use crate::error::TransportError;

/// Everything but the unreserved characters of RFC 3986, section 2.3, is percent-encoded in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Longest silence before a connection is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Least that must arrive within each [`WINDOW`], in bytes: 512 per second.
const LEAST: u64 = 512 * 60;
const WINDOW: Duration = Duration::from_secs(60);
/// Attempts at a request, and the pause before the second one; each pause is twice the one before.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// Most redirects that are followed.
const REDIRECTS: usize = 3;

/// Fetches over HTTP.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    metadata: String,
    targets: String,
}

/// An HTTP client with these TLS settings, that refuses to speak without TLS.
///
/// # Errors
/// If it cannot be built.
pub fn client(tls: rustls::ClientConfig) -> Result<Client, TransportError> {
    built(builder(tls).https_only(true))
}

/// An HTTP client that speaks without TLS, too, and trusts no server in particular: for repositories that are on no device's
/// way, such as those of a conformance test. What it fetches is verified like everything else.
///
/// # Errors
/// If it cannot be built.
pub fn client_without_tls() -> Result<Client, TransportError> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unusable = |e: rustls::Error| TransportError::NoAnswer {
        url: "TLS settings".to_owned(),
        source: e.into(),
    };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    built(builder(tls))
}

fn built(builder: ClientBuilder) -> Result<Client, TransportError> {
    let unusable = |e: reqwest::Error| TransportError::NoAnswer {
        url: "TLS settings".to_owned(),
        source: e.into(),
    };
    builder.build().map_err(unusable)
}

fn builder(tls: rustls::ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(SILENCE)
        .read_timeout(SILENCE)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
        .user_agent(concat!("updater/", env!("CARGO_PKG_VERSION")))
}

impl Http {
    /// Fetches below these base URLs.
    pub fn new(client: Client, metadata: &str, targets: &str) -> Self {
        let base = |url: &str| format!("{}/", url.trim_end_matches('/'));
        Self {
            client,
            metadata: base(metadata),
            targets: base(targets),
        }
    }

    fn url(&self, request: &Request) -> String {
        match request.part {
            // A metadata file stands directly under its base, whatever the name of its role.
            Part::Metadata => format!(
                "{}{}",
                self.metadata,
                utf8_percent_encode(&request.path, SEGMENT)
            ),
            Part::Targets => format!("{}{}", self.targets, encode_path(&request.path)),
        }
    }

    async fn ask(&self, url: &str, offset: u64) -> Result<Response, TransportError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let mut request = self.client.get(url);
            if offset > 0 {
                request = request.header(RANGE, format!("bytes={offset}-"));
            }
            let failed = match request.send().await {
                Ok(answer) if answer.status().is_server_error() => TransportError::Status {
                    url: url.to_owned(),
                    status: answer.status().as_u16(),
                },
                Ok(answer) => return Ok(answer),
                Err(e) => failed_to_answer(url, e),
            };
            if matches!(
                failed,
                TransportError::NotAccepted { .. } | TransportError::ServerRefused { .. }
            ) {
                return Err(failed);
            }
            if attempt >= ATTEMPTS {
                return Err(failed);
            }
            tracing::debug!(url, attempt, error = %failed, "asking again");
            tokio::time::sleep(with_jitter(pause)).await;
            attempt = attempt.saturating_add(1);
            pause = pause.saturating_mul(2);
        }
    }
}

/// Why there is no answer: by the server's word about our certificate, or for any other reason.
fn failed_to_answer(url: &str, error: reqwest::Error) -> TransportError {
    use rustls::AlertDescription as A;
    let url = url.to_owned();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(e) = cause {
        // An I/O error carries the TLS error inside, not as its source.
        let inner = e
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|e| e.downcast_ref::<rustls::Error>());
        let tls = tls.or_else(|| e.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            let why = in_words(why);
            return TransportError::ServerRefused { url, why };
        }
        if let Some(rustls::Error::AlertReceived(
            alert @ (A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::CertificateRequired
            | A::UnknownCA
            | A::AccessDenied),
        )) = tls
        {
            let alert = format!("{alert:?}");
            return TransportError::NotAccepted { url, alert };
        }
        cause = e.source();
    }
    TransportError::NoAnswer {
        url,
        source: error.without_url().into(),
    }
}

/// What is wrong with the server's certificate.
fn in_words(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match why {
        E::Expired | E::ExpiredContext { .. } => "it has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it is not for the name in the URL".to_owned()
        }
        E::Revoked => "it was revoked".to_owned(),
        E::UnknownIssuer => "it does not lead to the trust anchor".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "it is not an API server's".to_owned()
        }
        E::Other(other) => other.0.to_string(),
        other => other.to_string(),
    }
}

/// Percent-encodes each segment of a path, and nothing between them.
pub fn encode_path(path: &str) -> String {
    let segments: Vec<String> = path
        .split('/')
        .map(|s| utf8_percent_encode(s, SEGMENT).to_string())
        .collect();
    segments.join("/")
}

/// Between half of `pause` and all of it, so that many devices do not come back at once.
fn with_jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    let _no_randomness_no_jitter = getrandom::fill(&mut byte);
    let share = u32::from(byte[0]);
    pause / 2 + (pause / 512).saturating_mul(share)
}

impl Transport for Http {
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>> {
        Box::pin(async move {
            let url = self.url(request);
            let answer = self.ask(&url, request.offset).await?;
            match answer.status() {
                StatusCode::OK => {
                    // A server that ignores ranges sends everything: what is not wanted is passed over.
                    let skip = request.offset;
                    Ok(body(HttpBody {
                        url,
                        answer,
                        received: 0,
                        skip,
                        window: Window::new(),
                    }))
                }
                StatusCode::PARTIAL_CONTENT if request.offset > 0 => {
                    starts_at(&answer, request.offset).ok_or(TransportError::Status {
                        url: url.clone(),
                        status: 206,
                    })?;
                    Ok(body(HttpBody {
                        url,
                        answer,
                        received: 0,
                        skip: 0,
                        window: Window::new(),
                    }))
                }
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => Ok(None),
                // The file is shorter than it should be: what is missing is not there.
                StatusCode::RANGE_NOT_SATISFIABLE if request.offset > 0 => Ok(None),
                status => Err(TransportError::Status {
                    url,
                    status: status.as_u16(),
                }),
            }
        })
    }
}

/// Whether a partial answer begins where it should (RFC 9110, section 14.4).
fn starts_at(answer: &Response, offset: u64) -> Option<()> {
    let range = answer
        .headers()
        .get(reqwest::header::CONTENT_RANGE)?
        .to_str()
        .ok()?;
    let first = range.strip_prefix("bytes ")?.split('-').next()?;
    (first.parse() == Ok(offset)).then_some(())
}

fn body(body: HttpBody) -> Option<Box<dyn Body>> {
    Some(Box::new(body))
}

struct HttpBody {
    url: String,
    answer: Response,
    received: u64,
    skip: u64,
    window: Window,
}

/// How much has come lately: a server that sends a byte now and then must not hold a device for years.
struct Window {
    begin: Instant,
    received: u64,
}

impl Window {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            received: 0,
        }
    }

    /// Whether enough comes.
    fn takes(&mut self, length: u64) -> bool {
        self.received = self.received.saturating_add(length);
        if self.begin.elapsed() < WINDOW {
            return true;
        }
        let enough = self.received >= LEAST;
        *self = Self::new();
        enough
    }
}

impl Body for HttpBody {
    fn piece(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            loop {
                let piece = self
                    .answer
                    .chunk()
                    .await
                    .map_err(|e| TransportError::BrokeOff {
                        url: self.url.clone(),
                        received: self.received,
                        source: e.without_url().into(),
                    })?;
                let Some(mut piece) = piece else {
                    return Ok(None);
                };
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                self.received = self.received.saturating_add(length);
                if !self.window.takes(length) {
                    let url = self.url.clone();
                    return Err(TransportError::TooSlow { url });
                }
                let skipped = self.skip.min(length);
                self.skip = self.skip.saturating_sub(skipped);
                let _passed_over = piece.split_to(usize::try_from(skipped).unwrap_or(0));
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_encoded_exactly() {
        for (path, encoded) in [
            (
                "router-x/stable.release.json",
                "router-x/stable.release.json",
            ),
            ("a b/c#d?e%f", "a%20b/c%23d%3Fe%25f"),
            ("é/+", "%C3%A9/%2B"),
        ] {
            assert_eq!(super::encode_path(path), encoded);
        }
    }
}
