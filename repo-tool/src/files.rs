//! Plain files of a product, one or ten thousand at once: whatever its devices look up by name besides firmware.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;

use device_pki::durable;
use metadata_schema::digest::{Hashes, Running};
use metadata_schema::json::{Json, Object};
use metadata_schema::name::TargetPath;
use metadata_schema::release::Product;
use metadata_schema::roles::TargetFile;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::assemble::target_file_path;
use crate::error::{Error, Result};
use crate::parallel;
use crate::progress::{OnProgress, Progress};
use crate::release::is_manifest;
use crate::repository::Repository;
use crate::shelf::Shelf;

/// A file to add.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Its target path, within the product's folder.
    pub path: TargetPath,
    /// Where its bytes are.
    pub from: PathBuf,
}

/// What was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AddedFiles {
    /// Files that are new or other than before.
    pub changed: u64,
    /// Files that were there already, the same.
    pub unchanged: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Repository {
    /// Stages files of a product: they are digested on all cores, copied, and named by the product's role or its bins, with
    /// `custom` for all of them.
    ///
    /// # Errors
    /// If the product may not speak about a path, a path is that of a manifest, or a file cannot be read.
    pub fn add_files(
        &self,
        product: &Product,
        files: &[FileSource],
        custom: &Object,
        now: Timestamp,
        progress: OnProgress<'_>,
    ) -> Result<AddedFiles> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let role = crate::products::role_of(product)?;
        let mut shelf = Shelf::open(&state, &role)?;
        let manifest = files.iter().find(|file| is_manifest(file.path.as_str()));
        if let Some(manifest) = manifest {
            let expected = "any name but that of a manifest: `repo-tool add-release` makes those";
            return Err(Error::argument("file", manifest.path.as_str(), expected));
        }
        for file in files {
            if let Some(folder) = self
                .layout
                .staged_targets()
                .join(file.path.as_str())
                .parent()
                && !folder.is_dir()
            {
                durable::create_dir_durable(folder, 0o755)?;
            }
        }
        let described = parallel::map(files, |file| self.take_file(file, custom, progress))?;
        let mut added = AddedFiles {
            changed: 0,
            unchanged: 0,
            bytes: 0,
        };
        for (source, file) in files.iter().zip(described) {
            added.bytes = added.bytes.saturating_add(file.length);
            let count = match shelf.file(&source.path)? {
                Some(before) if *before == file => &mut added.unchanged,
                _ => &mut added.changed,
            };
            *count = count.saturating_add(1);
            shelf.insert(&source.path, file)?;
        }
        shelf.stage(self, now)?;
        Ok(added)
    }

    /// Digests one file and copies it to where `publish` takes it from.
    fn take_file(
        &self,
        source: &FileSource,
        custom: &Object,
        progress: OnProgress<'_>,
    ) -> Result<TargetFile> {
        let from = &source.from;
        let (sha256, length) = digest(from, self.settings.max_image_bytes)?;
        let hashes = Hashes::sha256(sha256);
        let staged = self.layout.staged_targets();
        let place = staged.join(target_file_path(&source.path, &hashes));
        if self.target(&source.path, &hashes).is_none() {
            // Not synced: `publish` reads it again, compares it, and then makes it last.
            let unfinished = staged.join(format!("{}.new", source.path));
            fs::copy(from, &unfinished).map_err(|e| Error::io("copy", from, e))?;
            fs::rename(&unfinished, &place).map_err(|e| Error::io("move into place", &place, e))?;
        }
        progress(Progress {
            file: source.path.as_str(),
            stage: "digesting",
            done: length,
            total: length,
        });
        let custom = (!custom.is_empty()).then(|| Json::Object(custom.clone()));
        Ok(TargetFile {
            custom,
            ..TargetFile::new(length, hashes)
        })
    }
}

/// Digest and length of a file, read a piece at a time.
fn digest(path: &PathBuf, limit: u64) -> Result<(metadata_schema::digest::Sha256Digest, u64)> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let length = file.metadata().map_or(0, |file| file.len());
    let size = usize::try_from(length.clamp(1 << 10, 1 << 18)).unwrap_or(1 << 18);
    let mut file = file.take(limit.saturating_add(1));
    let mut running = Running::default();
    let mut piece = vec![0; size];
    loop {
        let count = file
            .read(&mut piece)
            .map_err(|e| Error::io("read", path, e))?;
        match piece.get(..count) {
            Some(bytes) if !bytes.is_empty() => running.update(bytes),
            _ => break,
        }
    }
    let (sha256, length) = running.finish();
    if length > limit {
        let why = format!("{} has more than {limit} bytes", path.display());
        return Err(Error::release(why));
    }
    Ok((sha256, length))
}
