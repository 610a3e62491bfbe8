//! Where metadata and targets come from: a folder, a folder with what is about to be written over it, or a place by its URL.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::digest::{Hashes, Length};
use metadata_schema::name::RoleName;

use crate::digests;
use crate::error::{Error, Result};
use crate::remote::Remote;

/// Where files come from.
pub(crate) trait Source {
    /// A metadata file of at most `limit` bytes; none if there is none.
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>>;
    /// The file of a target, by its path below the base of the targets; none if there is none. Of one that is longer than `most`
    /// bytes, at least one byte more than that is there.
    fn open(&self, file_path: &str, most: u64) -> Result<Option<Opened>>;
    /// The bundle's own statement, if these are the files of a bundle.
    fn statement(&self) -> Option<&[u8]> {
        None
    }
}

/// A target's file, to be read from its beginning.
pub(crate) struct Opened {
    /// What to call it.
    pub(crate) path: PathBuf,
    file: File,
}

impl Opened {
    fn at(path: PathBuf) -> Result<Option<Self>> {
        match File::open(&path) {
            Ok(file) => Ok(Some(Self { path, file })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("open", &path, e)),
        }
    }

    /// Compares length and digests, a piece at a time.
    pub(crate) fn check(&mut self, role: &RoleName, length: Length, hashes: &Hashes) -> Result<()> {
        self.rewind()?;
        digests::check(&mut self.file, &self.path, role, length, hashes)
    }

    /// The bytes of a small file: at most `limit`, and one more of a longer file, which no signed length allows.
    pub(crate) fn small(&mut self, limit: u64) -> Result<Vec<u8>> {
        self.rewind()?;
        let mut bytes = Vec::new();
        let most = limit.saturating_add(1);
        let read = (&mut self.file).take(most).read_to_end(&mut bytes);
        read.map_err(|e| Error::io("read", &self.path, e))?;
        if crate::assemble::length_of(&bytes) > limit {
            let why = format!("it is longer than {limit} bytes");
            return Err(Error::io("read", &self.path, std::io::Error::other(why)));
        }
        Ok(bytes)
    }

    /// The file, from its beginning.
    pub(crate) fn into_file(mut self) -> Result<File> {
        self.rewind()?;
        Ok(self.file)
    }

    fn rewind(&mut self) -> Result<()> {
        let rewound = self.file.rewind();
        rewound.map_err(|e| Error::io("read", &self.path, e))
    }
}

/// A published folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    metadata: PathBuf,
    targets: PathBuf,
}

impl Folder {
    pub(crate) fn new(published: &Path) -> Self {
        Self {
            metadata: published.join("metadata"),
            targets: published.join("targets"),
        }
    }
}

impl Source for Folder {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.metadata.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(durable::read_bounded(&path, limit)?))
    }

    fn open(&self, file_path: &str, _most: u64) -> Result<Option<Opened>> {
        Opened::at(self.targets.join(file_path))
    }
}

/// A published folder, as it will be when these files are written over it.
pub(crate) struct Overlay<'a> {
    pub(crate) files: &'a BTreeMap<String, Vec<u8>>,
    pub(crate) staged_targets: PathBuf,
    pub(crate) below: Folder,
}

impl Source for Overlay<'_> {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        match self.files.get(name) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => self.below.metadata(name, limit),
        }
    }

    fn open(&self, file_path: &str, most: u64) -> Result<Option<Opened>> {
        match Opened::at(self.staged_targets.join(file_path))? {
            Some(opened) => Ok(Some(opened)),
            None => self.below.open(file_path, most),
        }
    }
}

/// What a place serves, by its URL. A target is fetched into a file without a name, which is gone once it was read.
pub(crate) struct Served<'a>(pub(crate) &'a dyn Remote);

impl Source for Served<'_> {
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let fetched = self.0.read(&format!("metadata/{name}"), limit)?;
        Ok(fetched.map(|fetched| fetched.bytes))
    }

    fn open(&self, file_path: &str, most: u64) -> Result<Option<Opened>> {
        let path = format!("targets/{file_path}");
        let named = PathBuf::from(format!("{}/{path}", self.0.name()));
        let unwritable = |e| Error::io("keep a copy of", &named, e);
        let mut file = tempfile::tempfile().map_err(unwritable)?;
        let mut length = 0_u64;
        let streamed = self.0.stream(&path, &mut |piece| {
            file.write_all(piece).map_err(unwritable)?;
            length = length.saturating_add(crate::assemble::length_of(piece));
            Ok(if length > most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(streamed.map(|_| Opened { path: named, file }))
    }
}
