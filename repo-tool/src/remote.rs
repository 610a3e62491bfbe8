//! Places that devices are served from, beside the local folder: another folder, an object store, a WebDAV server.

mod folder;
mod object;
mod tls;
mod url;
mod webdav;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::Path;

use metadata_schema::digest::{ContentError, Hashes, Length};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};

pub use folder::FolderRemote;
pub use url::Place;

/// A file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its length in bytes.
    pub length: u64,
    /// When it was written, if the place says so.
    pub modified: Option<Timestamp>,
}

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// The file here, which is so long; read piece by piece.
    File(&'a Path, u64),
}

/// How a file is to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Cache-Control`.
    pub cache_control: String,
    /// What the file has to be until now, where the place can ask that in the same step.
    pub instead_of: InsteadOf,
}

/// What a file may take the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsteadOf {
    /// Whatever is there.
    Anything,
    /// Nothing: there must be no such file.
    Nothing,
    /// The file that was read with this mark.
    Marked(String),
}

/// A small file, and what the place calls this state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its mark (an entity tag), if the place gives one.
    pub mark: Option<String>,
}

/// What takes the pieces of a file.
pub type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<ControlFlow<()>>;

/// A file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streamed {
    /// What the place calls this state of it (an entity tag), if it gives it a name.
    pub mark: Option<String>,
}

/// A place that devices are served from. Paths are those below a published folder, such as `metadata/timestamp.json`.
pub trait Remote: Debug + Sync {
    /// What people call it; without secrets.
    fn name(&self) -> &str;

    /// Every file in `metadata/` and `targets/`, by path; none if the place cannot list.
    ///
    /// # Errors
    /// If the place cannot be reached, or refuses.
    fn list(&self) -> Result<Option<BTreeMap<String, Found>>>;

    /// One file; none if there is none.
    ///
    /// # Errors
    /// As [`Remote::list`].
    fn find(&self, path: &str) -> Result<Option<Found>>;

    /// Hands a file's bytes to `each`, piece by piece, until that says that it has enough; none if there is no such file.
    ///
    /// # Errors
    /// As [`Remote::list`], and what `each` answers.
    fn stream(&self, path: &str, each: Each<'_>) -> Result<Option<Streamed>>;

    /// The bytes of a small file; none if there is none.
    ///
    /// # Errors
    /// As [`Remote::list`], and if it is longer than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Option<Fetched>> {
        let mut bytes = Vec::new();
        let streamed = self.stream(path, &mut |piece| {
            bytes.extend_from_slice(piece);
            if crate::assemble::length_of(&bytes) > limit {
                let why = format!("it is longer than {limit} bytes");
                return Err(failed(self.name(), "read", path, why));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(streamed.map(|streamed| Fetched {
            bytes,
            mark: streamed.mark,
        }))
    }

    /// Reads a file back: whether it has this length and these digests.
    ///
    /// # Errors
    /// As [`Remote::list`].
    fn check(&self, path: &str, length: Length, hashes: &Hashes) -> Result<Checked> {
        let mut checker = hashes.checker(length);
        let mut differs = None;
        let streamed = self.stream(path, &mut |piece| {
            differs = checker.update(piece).err();
            Ok(match differs {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        })?;
        Ok(match (streamed, differs) {
            (None, _) => Checked::Missing,
            (Some(_), Some(differs)) => Checked::Differs(differs),
            (Some(_), None) => checker
                .finish()
                .map_or_else(Checked::Differs, |()| Checked::Same),
        })
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// As [`Remote::list`]; [`Error::RemoteChanged`] if something else is there than may be.
    fn write(&self, path: &str, content: Content<'_>, terms: &Terms) -> Result<()>;

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// As [`Remote::list`].
    fn remove(&self, path: &str) -> Result<()>;
}

/// What a file is, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The one that was expected.
    Same,
    /// Another one.
    Differs(ContentError),
    /// None at all.
    Missing,
}

/// Opens the place.
///
/// # Errors
/// If its address or its credentials cannot be used.
pub fn open(place: &Place) -> Result<Box<dyn Remote>> {
    match place {
        Place::Folder(path) => Ok(Box::new(FolderRemote::new(path))),
        Place::Url(_) => object::open(place),
    }
}

pub(crate) fn failed(
    remote: &str,
    step: &'static str,
    path: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::Remote {
        remote: remote.to_owned(),
        step,
        path: path.to_owned(),
        source: source.into(),
    }
}
