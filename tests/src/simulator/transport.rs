//! The simulator as a transport, and a published folder.

use std::path::{Path, PathBuf};

use updater::error::TransportError;
use updater::transport::{Answer, Body, NetworkLimits, Part, Request, Transport};

use super::files::Fault;
use super::{Bytes, Simulator};

/// Bytes in a piece of an answer that nothing is wrong with.
const PIECE: usize = 16 * 1024;

impl Transport for Simulator {
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>> {
        let part = match request.part {
            Part::Metadata => "metadata",
            Part::Targets => "targets",
        };
        let name = format!("{part}/{}", request.path);
        let (bytes, fault) = self.answer(&name);
        let opened = open(&name, request.offset, bytes, fault);
        Box::pin(async move { opened })
    }

    fn limits(&self) -> &NetworkLimits {
        &self.network
    }
}

/// A published folder as a transport: what a faultless web server would answer.
#[derive(Clone, Debug)]
pub struct PublishedFolder {
    path: PathBuf,
    network: NetworkLimits,
}

impl PublishedFolder {
    /// Serves `path`, which has `metadata` and `targets`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            network: NetworkLimits::DEFAULT,
        }
    }
}

impl Transport for PublishedFolder {
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>> {
        let part = match request.part {
            Part::Metadata => "metadata",
            Part::Targets => "targets",
        };
        let path = self.path.join(part).join(&request.path);
        let bytes = std::fs::read(&path).ok().map(Bytes::from);
        let opened = open(&request.path, request.offset, bytes, None);
        Box::pin(async move { opened })
    }

    fn limits(&self) -> &NetworkLimits {
        &self.network
    }
}

/// An answer as its pieces come.
pub(super) fn open(
    name: &str,
    offset: u64,
    bytes: Option<Bytes>,
    fault: Option<Fault>,
) -> Result<Option<Box<dyn Body>>, TransportError> {
    if let Some(Fault::Status(status)) = fault {
        let url = name.to_owned();
        return Err(TransportError::Status {
            url,
            status,
            retry_after: None,
        });
    }
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let position = usize::try_from(offset).unwrap_or(usize::MAX);
    if position > bytes.len() {
        return Ok(None);
    }
    Ok(Some(Box::new(Pieces {
        name: name.to_owned(),
        bytes,
        position,
        fault,
    })))
}

struct Pieces {
    name: String,
    bytes: Bytes,
    position: usize,
    fault: Option<Fault>,
}

impl Pieces {
    fn next(&mut self, most: usize) -> Option<bytes::Bytes> {
        let end = self.position.saturating_add(most).min(self.bytes.len());
        let piece = &self.bytes[self.position..end];
        let piece = (!piece.is_empty()).then(|| bytes::Bytes::copy_from_slice(piece));
        self.position = end;
        piece
    }

    fn broke_off(&self) -> TransportError {
        TransportError::BrokeOff {
            url: self.name.clone(),
            received: u64::try_from(self.position).unwrap_or(u64::MAX),
            source: "the simulator cut the connection".into(),
        }
    }
}

impl Body for Pieces {
    fn piece(&mut self) -> Answer<'_, Option<bytes::Bytes>> {
        Box::pin(async move {
            match self.fault.clone() {
                Some(Fault::Slow { piece, pause }) => {
                    tokio::time::sleep(pause).await;
                    Ok(self.next(piece))
                }
                Some(Fault::Endless) => {
                    // What waits for other work gets a turn, too: an endless stream must not hold a whole runtime.
                    tokio::task::yield_now().await;
                    let zeros = || bytes::Bytes::from_static(&[0; PIECE]);
                    Ok(Some(self.next(PIECE).unwrap_or_else(zeros)))
                }
                Some(Fault::Cut(at)) => {
                    match self.next(PIECE.min(at.saturating_sub(self.position))) {
                        Some(piece) => Ok(Some(piece)),
                        None => Err(self.broke_off()),
                    }
                }
                _ => Ok(self.next(PIECE)),
            }
        })
    }
}
