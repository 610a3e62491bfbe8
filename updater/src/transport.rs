//! Where repository files come from.
//!
//! A transport answers one of three things: the file's bytes, piece by piece; *not there*; or an error. Only *not there* ends
//! the walk over root versions: any other failure must not look like "no newer root".
//!
//! [`fetch`] brings whole files: it asks again when an answer breaks off, and bounds length and time. A payload is streamed: its
//! body is bounded as well, and whoever takes it goes on from the byte where it broke off.

pub mod bundle;
pub mod folder;
pub mod http;
mod limits;
mod pace;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::error::TransportError;
use crate::pulse;
pub use limits::NetworkLimits;

/// A future that a transport returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TransportError>> + Send + 'a>>;

/// The two parts of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Metadata files.
    Metadata,
    /// Target files.
    Targets,
}

/// A file to fetch.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which part of the repository it is in.
    pub part: Part,
    /// Its path there, not percent-encoded: of a target, segments joined by `/`; of metadata, one file name.
    pub path: String,
    /// The first byte that is wanted.
    pub offset: u64,
    /// Length that the whole file has at most, in bytes.
    pub most: u64,
}

/// Fetches files.
pub trait Transport: Send {
    /// Begins to fetch; none if the file is not there.
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>>;

    /// What a file is called in messages: its URL, if it has one.
    fn describe(&self, request: &Request) -> String {
        request.path.clone()
    }

    /// Whether files come out of a bundle, and not from a server: then the bundle's own statement takes the place of the expiry
    /// of timestamp and snapshot.
    fn offline(&self) -> bool {
        false
    }

    /// Whether it is known without asking that the file is not there.
    fn lacks(&self, _request: &Request) -> bool {
        false
    }

    /// What fetching a file may take.
    fn limits(&self) -> &NetworkLimits {
        &NetworkLimits::DEFAULT
    }
}

/// A file's bytes as they arrive.
pub trait Body: Send {
    /// The next piece; none at the end.
    fn piece(&mut self) -> Answer<'_, Option<Bytes>>;
}

/// Fetches a whole file of at most `limit` bytes; none if it is not there.
///
/// # Errors
/// If it is longer, does not arrive, or takes longer than [`NetworkLimits::total_for`] allows; or if it should be metadata and
/// does not look like it.
pub async fn fetch(
    transport: &mut dyn Transport,
    part: Part,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, TransportError> {
    let request = Request {
        part,
        path: path.to_owned(),
        offset: 0,
        most: limit,
    };
    let total = transport.limits().total_for(limit);
    let Ok(fetched) = tokio::time::timeout(total, fetch_again(transport, &request)).await else {
        return Err(TransportError::TooLate {
            url: transport.describe(&request),
            seconds: total.as_secs(),
        });
    };
    let bytes = fetched?;
    if let (Part::Metadata, Some(bytes)) = (part, &bytes) {
        looks_like_metadata(bytes).map_err(|begins| TransportError::Otherwise {
            url: transport.describe(&request),
            expected: "metadata, a JSON object",
            begins,
        })?;
    }
    Ok(bytes)
}

/// Fetches a whole file, again if it is cut off.
async fn fetch_again(
    transport: &mut dyn Transport,
    request: &Request,
) -> Result<Option<Vec<u8>>, TransportError> {
    let limits = transport.limits().clone();
    let mut attempt = 1;
    loop {
        match fetch_once(transport, request).await {
            Err(e @ TransportError::BrokeOff { .. }) if attempt < limits.attempts => {
                tracing::debug!(path = request.path, attempt, error = %e, "fetching again");
                pulse::sleep(with_jitter(limits.pause_after(attempt))).await;
                attempt = attempt.saturating_add(1);
            }
            fetched => return fetched,
        }
    }
}

async fn fetch_once(
    transport: &mut dyn Transport,
    request: &Request,
) -> Result<Option<Vec<u8>>, TransportError> {
    let Some(mut body) = transport.open(request).await? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    while let Some(piece) = body.piece().await? {
        pulse::beat();
        let length = u64::try_from(bytes.len().saturating_add(piece.len())).unwrap_or(u64::MAX);
        if length > request.most {
            return Err(too_long(transport.describe(request), request.most, None));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

fn too_long(url: String, limit: u64, announced: Option<u64>) -> TransportError {
    TransportError::TooLong {
        url,
        limit,
        announced,
    }
}

/// Whether a file could be metadata at all: a captive portal's or a gateway's page of its own is told from a refused file.
///
/// # Errors
/// How it begins, if not as a JSON object.
fn looks_like_metadata(bytes: &[u8]) -> Result<(), String> {
    if first_visible(bytes) == Some(&b'{') {
        return Ok(());
    }
    Err(beginning(bytes))
}

/// Whether bytes that are not what was signed are such a page.
pub(crate) fn looks_like_a_page(bytes: &[u8]) -> bool {
    first_visible(bytes) == Some(&b'<')
}

fn first_visible(bytes: &[u8]) -> Option<&u8> {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace())
}

/// How a file begins, for people.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).into_owned()
}

/// Between half of `pause` and all of it, so that many devices do not come back at once.
pub(crate) fn with_jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    let _no_randomness_no_jitter = getrandom::fill(&mut byte);
    let share = u32::from(byte[0]);
    pause / 2 + (pause / 512).saturating_mul(share)
}
