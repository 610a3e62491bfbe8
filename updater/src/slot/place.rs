//! A block device or file that holds an image.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use device_pki::disk::{Disk, Reader};
use metadata_schema::digest::{Hashes, Length};

use super::emmc::Unlocked;
use super::writer::forget_cached;
use crate::error::SlotError;
use crate::lifecycle::ImageRef;
use crate::pulse;

/// Bytes that are read at once when an image is compared.
const PIECE: usize = 256 * 1024;

/// A place for one image.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
    /// The kernel's lock of an eMMC's boot partition.
    force_ro: Option<PathBuf>,
    disk: Disk,
}

impl Place {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            force_ro: None,
            disk: Disk::default(),
        }
    }

    /// The same on this disk.
    pub(super) fn on(self, disk: &Disk) -> Self {
        let disk = disk.clone();
        Self { disk, ..self }
    }

    /// The disk that it is on.
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The same, with a file of the kernel's that must hold 0 while it is written.
    pub(super) fn locked_by(self, force_ro: PathBuf) -> Self {
        Self {
            force_ro: Some(force_ro),
            ..self
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it from every other place, whatever its name.
    pub(super) fn identity(&self) -> Result<String, SlotError> {
        let about =
            std::fs::metadata(&self.path).map_err(|source| self.failed("look at", source))?;
        Ok(if about.file_type().is_block_device() {
            format!("device {}", about.rdev())
        } else {
            format!("file {} {}", about.dev(), about.ino())
        })
    }

    /// Bytes that it can hold: the size of the device, or the length of the file, which never grows.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn capacity(&self) -> Result<u64, SlotError> {
        // A block device has no length in its metadata; its end can be found by seeking.
        self.open()?
            .seek(SeekFrom::End(0))
            .map_err(|source| self.failed("measure", source))
    }

    /// Opens it for reading, at its beginning.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self) -> Result<Reader, SlotError> {
        let opened = self.disk.open(&self.path);
        opened.map_err(|source| self.failed("open", source))
    }

    /// Lifts the kernel's lock, if there is one.
    pub(super) fn unlock(&self) -> Result<Option<Unlocked>, SlotError> {
        let unlocked = self.force_ro.as_deref().map(Unlocked::new).transpose();
        unlocked.map_err(|source| self.failed("unlock", source))
    }

    pub(super) fn open_for_writing(&self) -> Result<File, SlotError> {
        let opened = OpenOptions::new().read(true).write(true).open(&self.path);
        opened.map_err(|source| self.failed("open for writing", source))
    }

    /// Reads the image back and compares it.
    ///
    /// # Errors
    /// If it cannot be read, or is another image.
    pub fn holds(&self, image: &ImageRef) -> Result<(), SlotError> {
        let hashes = Hashes::sha256(image.sha256);
        let mut check = hashes.checker(Length::Exactly(image.length));
        let file = self.open()?;
        // What the storage holds is compared, and not what memory still has of writing it.
        forget_cached(file.file());
        let mut bytes = file.take(image.length);
        let mut piece = vec![0; PIECE];
        loop {
            pulse::beat();
            let read = bytes
                .read(&mut piece)
                .map_err(|source| self.failed("read back", source))?;
            let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else {
                break;
            };
            check.update(part).map_err(|source| self.differs(source))?;
        }
        // An image of any size leaves no more in memory than there was.
        forget_cached(bytes.get_ref().file());
        check.finish().map_err(|source| self.differs(source))
    }

    pub(crate) fn failed(&self, step: &'static str, source: std::io::Error) -> SlotError {
        SlotError::Io {
            path: self.path.clone(),
            step,
            source,
        }
    }

    fn differs(&self, source: metadata_schema::digest::ContentError) -> SlotError {
        SlotError::Differs {
            path: self.path.clone(),
            source,
        }
    }
}
