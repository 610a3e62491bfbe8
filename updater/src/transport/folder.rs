//! A repository in a folder: `metadata/` and `targets/` below it, as they are published.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Answer, Body, Part, Request, Transport};
use crate::error::TransportError;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Fetches from a folder, and remembers what was asked for.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    asked: Vec<String>,
}

impl Folder {
    /// The repository whose `metadata` and `targets` stand in `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            asked: Vec::new(),
        }
    }

    /// What was asked for so far, in order.
    pub fn asked(&self) -> &[String] {
        &self.asked
    }
}

impl Transport for Folder {
    fn open<'a>(&'a mut self, request: &'a Request) -> Answer<'a, Option<Box<dyn Body>>> {
        Box::pin(async move {
            let part = match request.part {
                Part::Metadata => "metadata",
                Part::Targets => "targets",
            };
            self.asked.push(format!("{part}/{}", request.path));
            let path = self.root.join(part).join(&request.path);
            let url = path.display().to_string();
            let mut file = match File::open(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(|e| no_answer(&url, e))?,
            };
            file.seek(SeekFrom::Start(request.offset))
                .map_err(|e| no_answer(&url, e))?;
            let body: Box<dyn Body> = Box::new(FileBody { url, file });
            Ok(Some(body))
        })
    }
}

struct FileBody {
    url: String,
    file: File,
}

impl Body for FileBody {
    fn piece(&mut self) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            let mut piece = vec![0; PIECE];
            let read = self.file.read(&mut piece);
            let read = read.map_err(|e| no_answer(&self.url, e))?;
            piece.truncate(read);
            Ok((read > 0).then(|| Bytes::from(piece)))
        })
    }
}

fn no_answer(url: &str, error: std::io::Error) -> TransportError {
    TransportError::NoAnswer {
        url: url.to_owned(),
        source: error.into(),
    }
}
