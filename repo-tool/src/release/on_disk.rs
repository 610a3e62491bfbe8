//! Payloads that were made before: found by their names, and believed once their bytes were read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use metadata_schema::digest::{Hashes, Running, Sha256Digest};
use metadata_schema::name::TargetPath;
use metadata_schema::release::Payload;
use metadata_schema::roles::TargetFile;

use crate::repository::Repository;

/// What a payload makes, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Makes {
    /// Digest and length of the image.
    pub(crate) image: (Sha256Digest, u64),
    /// Digest of the image that a delta starts from.
    pub(crate) from: Option<Sha256Digest>,
}

/// The files of a product's folder, staged and published, by the last part of their target paths.
#[derive(Debug, Default)]
pub(crate) struct OnDisk {
    files: BTreeMap<String, Vec<PathBuf>>,
}

impl OnDisk {
    /// Lists the folder of the target path `folder` (with its `/` at the end). What cannot be listed is not there.
    pub(crate) fn list(repository: &Repository, folder: &str) -> Self {
        let layout = &repository.layout;
        let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for base in [layout.staged_targets(), layout.targets()] {
            for entry in fs::read_dir(base.join(folder))
                .into_iter()
                .flatten()
                .flatten()
            {
                let name = entry.file_name();
                let Some((digest, file)) = name.to_str().and_then(|name| name.split_once('.'))
                else {
                    continue;
                };
                if digest.len() == 64 {
                    files.entry(file.to_owned()).or_default().push(entry.path());
                }
            }
        }
        Self { files }
    }

    /// A payload at this path that makes what is wanted: what manifest and metadata say of it.
    pub(crate) fn find(&self, path: &TargetPath, makes: Makes) -> Option<(Payload, TargetFile)> {
        let (_, name) = path.split();
        let candidates = self.files.get(name)?;
        candidates.iter().find_map(|file| {
            let (head, file) = examine(file, makes)?;
            let payload = Payload {
                path: path.clone(),
                length: file.length,
                head,
            };
            Some((payload, file))
        })
    }
}

/// Reads a payload to its end: none if it makes something else, is damaged, or is not the file that its name says.
fn examine(path: &Path, makes: Makes) -> Option<(Sha256Digest, TargetFile)> {
    let mut reader = Digesting {
        file: BufReader::with_capacity(1 << 18, File::open(path).ok()?),
        running: Running::default(),
    };
    let summary = firmware_delta::inspect(&mut reader).ok()?;
    io::copy(&mut reader, &mut io::sink()).ok()?;
    let (sha256, length) = reader.running.finish();
    let header = &summary.header;
    let found = Makes {
        image: (
            Sha256Digest::from_bytes(header.new.sha256),
            header.new.length,
        ),
        from: header.old.map(|old| Sha256Digest::from_bytes(old.sha256)),
    };
    let named = path.file_name()?.to_str()?.starts_with(&sha256.to_string());
    let whole = header.payload_length == length;
    (named && whole && found == makes).then(|| {
        let head = Sha256Digest::from_bytes(summary.head);
        (head, TargetFile::new(length, Hashes::sha256(sha256)))
    })
}

struct Digesting {
    file: BufReader<File>,
    running: Running,
}

impl Read for Digesting {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(to)?;
        self.running.update(to.get(..count).unwrap_or_default());
        Ok(count)
    }
}
