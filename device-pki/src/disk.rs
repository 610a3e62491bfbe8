//! The disk, step by step: what every lasting change is made of, and the one place where tests can see, stop or spoil it.
//!
//! [`crate::durable`] puts the steps together into changes that are whole and last. A [`Watch`] is told each step before it is made, and
//! may make it fail; it sees what was read, and may make it another. From the steps, and from what makes them last (syncing a file or
//! a folder), a test can work out every disk that a power cut may leave.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is about to happen to a disk.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A new, empty file. The name lasts once its folder is synced.
    Create(&'a Path),
    /// Bytes of a file, from an offset on. They last once the file is synced.
    Write(&'a Path, u64, &'a [u8]),
    /// All bytes of a file are to last.
    Sync(&'a Path),
    /// A file or folder gets another name, in the place of the file that has it. It lasts once the folder is synced.
    Rename(&'a Path, &'a Path),
    /// A file goes. It lasts once its folder is synced.
    Remove(&'a Path),
    /// A new folder. It lasts once the folder above is synced.
    MakeFolder(&'a Path),
    /// An empty folder goes. It lasts once the folder above is synced.
    RemoveFolder(&'a Path),
    /// All names in a folder are to last.
    SyncFolder(&'a Path),
}

/// Somebody who looks on.
pub trait Watch: fmt::Debug + Send + Sync {
    /// A step is about to be made.
    ///
    /// # Errors
    /// With one, the step is not made, and this is what has gone wrong with it.
    fn before(&self, step: Step<'_>) -> io::Result<()>;

    /// These bytes of a file were read; they are handed on as they are left here.
    ///
    /// # Errors
    /// With one, this is what has gone wrong with reading.
    fn read(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let _as_it_is = (path, offset, bytes);
        Ok(())
    }
}

/// A disk. The default one is the machine's, with nobody looking on.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    watch: Option<Arc<dyn Watch>>,
}

impl Disk {
    /// The machine's, with somebody looking on.
    pub fn watched(watch: Arc<dyn Watch>) -> Self {
        Self { watch: Some(watch) }
    }

    /// Makes a new file, to be written.
    ///
    /// # Errors
    /// If there is one, or the disk fails.
    pub(crate) fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.before(Step::Create(path))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode).open(path)
    }

    /// Writes bytes of a file from `offset` on.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn write_at(&self, file: &File, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.before(Step::Write(path, offset, bytes))?;
        file.write_all_at(bytes, offset)
    }

    /// Reads bytes of a file from `offset` on: as many as there is room for.
    ///
    /// # Errors
    /// If there are less, or the disk fails.
    pub fn read_at(
        &self,
        file: &File,
        path: &Path,
        offset: u64,
        bytes: &mut [u8],
    ) -> io::Result<()> {
        file.read_exact_at(bytes, offset)?;
        self.after_reading(path, offset, bytes)
    }

    /// Makes a file last: what was written to it, and what is said of it.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.before(Step::Sync(path))?;
        file.sync_all()
    }

    /// Makes what was written to a file last.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync_data(&self, file: &File, path: &Path) -> io::Result<()> {
        self.before(Step::Sync(path))?;
        file.sync_data()
    }

    /// Adds to the end of a file, or makes it, and has the bytes last.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn append(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).mode(mode);
        let mut file = match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.before(Step::Create(path))?;
                options.create(true).open(path)?
            }
            opened => opened?,
        };
        self.before(Step::Write(path, file.metadata()?.len(), bytes))?;
        file.write_all(bytes)?;
        self.sync_data(&file, path)
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self, path: &Path) -> io::Result<Reader> {
        Ok(Reader {
            file: File::open(path)?,
            path: path.to_owned(),
            at: 0,
            disk: self.clone(),
        })
    }

    /// Gives a file or folder another name.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(Step::Rename(from, to))?;
        fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.before(Step::Remove(path))?;
        fs::remove_file(path)
    }

    pub(crate) fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.before(Step::MakeFolder(path))?;
        fs::DirBuilder::new().mode(mode).create(path)
    }

    /// Removes a folder and all that is in it; links are not followed.
    pub(crate) fn remove_all(&self, folder: &Path) -> io::Result<()> {
        if self.watch.is_none() {
            return fs::remove_dir_all(folder);
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.remove_all(&entry.path())?;
            } else {
                self.remove(&entry.path())?;
            }
        }
        self.before(Step::RemoveFolder(folder))?;
        fs::remove_dir(folder)
    }

    pub(crate) fn sync_names(&self, folder: &Path) -> io::Result<()> {
        self.before(Step::SyncFolder(folder))?;
        File::open(folder).and_then(|handle| handle.sync_all())
    }

    fn before(&self, step: Step<'_>) -> io::Result<()> {
        self.watch
            .as_ref()
            .map_or(Ok(()), |watch| watch.before(step))
    }

    fn after_reading(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let watch = self.watch.as_ref();
        watch.map_or(Ok(()), |watch| watch.read(path, offset, bytes))
    }
}

/// A file that is read.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    at: u64,
    disk: Disk,
}

impl Reader {
    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Read for Reader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        let found = bytes.get_mut(..read).unwrap_or_default();
        self.disk.after_reading(&self.path, self.at, found)?;
        self.at = self
            .at
            .saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}
