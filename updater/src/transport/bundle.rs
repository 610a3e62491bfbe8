//! A repository in one file that somebody carries to the device: a tar file with the same paths below `metadata/` and `targets/`
//! as a server has, made by `repo-tool bundle`.
//!
//! Nothing in it is believed for being there: it takes the place of a server, and every check is the same.

pub mod tar;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;

use super::{Answer, Body, Part, Request, Transport, too_long};
use crate::error::TransportError;
use tar::{Index, Place, TarError};

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Fetches from a file.
#[derive(Debug)]
pub struct Bundle {
    name: String,
    file: File,
    index: Index,
}

impl Bundle {
    /// Opens a bundle, and reads what is in it.
    ///
    /// # Errors
    /// If it cannot be read, or is no bundle.
    pub fn open(path: &Path) -> Result<Self, TransportError> {
        let name = path.display().to_string();
        let no_bundle = |source| TransportError::NoBundle {
            path: name.clone(),
            source,
        };
        let mut file = File::open(path).map_err(|e| no_bundle(TarError::Io(e)))?;
        let index = Index::read(&mut file).map_err(no_bundle)?;
        Ok(Self { name, file, index })
    }

    fn place(&self, request: &Request) -> Option<Place> {
        self.index.place(&inside(request))
    }
}

/// The path of a file within the bundle.
fn inside(request: &Request) -> String {
    let part = match request.part {
        Part::Metadata => "metadata",
        Part::Targets => "targets",
    };
    format!("{part}/{}", request.path)
}

impl Transport for Bundle {
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>> {
        Box::pin(async move {
            let Some(Place { offset, length }) = self.place(request) else {
                return Ok(None);
            };
            let name = self.describe(request);
            if length > request.most {
                return Err(too_long(name, request.most, Some(length)));
            }
            let gone = |source| gone(&name, 0, source);
            let file = self.file.try_clone().map_err(gone)?;
            let begin = request.offset.min(length);
            let body: Box<dyn Body> = Box::new(Content {
                name,
                file,
                next: offset.saturating_add(begin),
                left: length.saturating_sub(begin),
                read: 0,
            });
            Ok(Some(body))
        })
    }

    fn describe(&self, request: &Request) -> String {
        format!("{} in {}", inside(request), self.name)
    }

    fn offline(&self) -> bool {
        true
    }

    fn lacks(&self, request: &Request) -> bool {
        self.place(request).is_none()
    }
}

/// The rest of a file in a bundle.
struct Content {
    name: String,
    file: File,
    next: u64,
    left: u64,
    read: u64,
}

impl Body for Content {
    fn piece(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            if length == 0 {
                return Ok(None);
            }
            let mut piece = vec![0; length];
            let read = self.file.read_exact_at(&mut piece, self.next);
            read.map_err(|source| gone(&self.name, self.read, source))?;
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            self.next = self.next.saturating_add(length);
            self.left = self.left.saturating_sub(length);
            self.read = self.read.saturating_add(length);
            Ok(Some(Bytes::from(piece)))
        })
    }
}

/// The medium was pulled, or is broken.
fn gone(name: &str, received: u64, source: std::io::Error) -> TransportError {
    TransportError::BundleGone {
        what: name.to_owned(),
        received,
        source,
    }
}

#[cfg(test)]
mod tests;
