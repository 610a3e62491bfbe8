//! Another folder: a mounted disk, or what a web server of this machine serves.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use device_pki::durable;
use metadata_schema::time::Timestamp;

use super::{Content, Each, Found, InsteadOf, Remote, Streamed, Terms, failed};
use crate::error::{Error, Result};

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// A folder as a place to publish to.
#[derive(Debug)]
pub struct FolderRemote {
    folder: PathBuf,
    name: String,
}

impl FolderRemote {
    /// The folder, which need not exist yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            name: folder.display().to_string(),
        }
    }

    fn failed(&self, step: &'static str, path: &str, source: std::io::Error) -> Error {
        failed(&self.name, step, path, source)
    }

    fn list_below(&self, folder: &str, found: &mut BTreeMap<String, Found>) -> Result<()> {
        let listed = match fs::read_dir(self.folder.join(folder)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|e| self.failed("list", folder, e))?,
        };
        for entry in listed {
            let entry = entry.map_err(|e| self.failed("list", folder, e))?;
            let name = entry.file_name();
            // What is no text or hidden (a temporary file) was never published.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let path = format!("{folder}/{name}");
            let kind = entry
                .file_type()
                .map_err(|e| self.failed("look at", &path, e))?;
            if kind.is_dir() {
                self.list_below(&path, found)?;
            } else if kind.is_file()
                && let Some(file) = self.find(&path)?
            {
                found.insert(path, file);
            }
        }
        Ok(())
    }
}

impl Remote for FolderRemote {
    fn name(&self) -> &str {
        &self.name
    }

    fn list(&self) -> Result<Option<BTreeMap<String, Found>>> {
        let mut found = BTreeMap::new();
        for folder in ["metadata", "targets"] {
            self.list_below(folder, &mut found)?;
        }
        Ok(Some(found))
    }

    fn find(&self, path: &str) -> Result<Option<Found>> {
        match fs::metadata(self.folder.join(path)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("look at", path, e)),
            Ok(metadata) => Ok(metadata.is_file().then(|| Found {
                length: metadata.len(),
                modified: metadata.modified().ok().map(timestamp),
            })),
        }
    }

    fn stream(&self, path: &str, each: Each<'_>) -> Result<Option<Streamed>> {
        let mut file = match File::open(self.folder.join(path)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| self.failed("open", path, e))?,
        };
        let failed = |e| self.failed("read", path, e);
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece).map_err(failed)?;
            match piece.get(..count).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) if each(bytes)?.is_continue() => {}
                _ => return Ok(Some(Streamed::default())),
            }
        }
    }

    fn write(&self, path: &str, content: Content<'_>, terms: &Terms) -> Result<()> {
        let to = self.folder.join(path);
        if terms.instead_of == InsteadOf::Nothing && self.find(path)?.is_some() {
            return Err(Error::RemoteChanged {
                remote: self.name.clone(),
                path: path.to_owned(),
            });
        }
        if let Some(folder) = to.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        match content {
            Content::Bytes(bytes) => Ok(durable::write(&to, bytes, durable::PUBLIC)?),
            Content::File(from, _) => {
                let failed = |e| Error::io("read", from, e);
                let mut source = File::open(from).map_err(failed)?;
                let mut replacement = durable::Replacement::begin(&to, durable::PUBLIC)?;
                let mut piece = vec![0; PIECE];
                loop {
                    let count = source.read(&mut piece).map_err(failed)?;
                    let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
                        break;
                    };
                    replacement.push(bytes)?;
                }
                Ok(replacement.finish()?)
            }
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        Ok(durable::remove_durable(&self.folder.join(path))?)
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}
