//! Where repository files come from.
//!
//! A transport answers one of three things: the file's bytes, piece by piece; *not there*; or an error. Only *not there* ends
//! the walk over root versions: any other failure must not look like "no newer root".

pub mod folder;
pub mod http;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::error::TransportError;

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
}

/// Fetches files.
pub trait Transport: Send {
    /// Begins to fetch; none if the file is not there.
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>>;
}

/// A file's bytes as they arrive.
pub trait Body: Send {
    /// The next piece; none at the end.
    fn piece(&mut self) -> Answer<'_, Option<Bytes>>;
}

/// Longest that a file which is fetched whole may take.
const WHOLE_FILE: Duration = Duration::from_secs(600);

/// Fetches a whole file of at most `limit` bytes; none if it is not there.
///
/// # Errors
/// If it is longer, does not arrive, or takes longer than ten minutes (slow retrieval).
pub async fn fetch(
    transport: &mut dyn Transport,
    part: Part,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, TransportError> {
    let slow = |_elapsed| TransportError::TooSlow {
        url: path.to_owned(),
    };
    let whole = fetch_whole(transport, part, path, limit);
    tokio::time::timeout(WHOLE_FILE, whole)
        .await
        .map_err(slow)?
}

async fn fetch_whole(
    transport: &mut dyn Transport,
    part: Part,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, TransportError> {
    let request = Request {
        part,
        path: path.to_owned(),
        offset: 0,
    };
    let Some(mut body) = transport.open(&request).await? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    while let Some(piece) = body.piece().await? {
        let length = u64::try_from(bytes.len().saturating_add(piece.len())).unwrap_or(u64::MAX);
        if length > limit {
            return Err(TransportError::TooLong {
                url: path.to_owned(),
                limit,
            });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}
