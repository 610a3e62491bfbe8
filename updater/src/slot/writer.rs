//! Writing one image into its place.
//!
//! Each block is read and compared first, and those that are equal already are not written: flash wears out by writing, and two
//! versions of an image have much in common. No more than [`FLUSH_EVERY`] bytes wait in memory to be written.

use std::fs::File;
use std::io::{self, Write};

use metadata_schema::release::SlotClass;

use super::Place;
use super::emmc::Unlocked;
use crate::error::SlotError;
use crate::lifecycle::ImageRef;
use crate::pulse;

/// Bytes after which what was written is flushed, so that dirty pages do not pile up on a small device.
const FLUSH_EVERY: u64 = 8 * 1024 * 1024;
/// Bytes that are read and compared at once.
const PIECE: usize = 64 * 1024;
/// The grain of comparison, in bytes: what file systems and flash translation layers write at least.
const BLOCK: u64 = 4096;

/// Writes an image in order.
pub struct ImageWriter {
    out: Out,
    class: SlotClass,
    length: u64,
    written: u64,
    unchanged: u64,
    unflushed: u64,
    /// What stands there, of a piece.
    old: Box<[u8]>,
    /// Goes last, when the file is closed.
    _unlocked: Option<Unlocked>,
}

/// An open place.
struct Out {
    place: Place,
    file: File,
}

impl Out {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let (disk, path) = (self.place.disk(), self.place.path());
        disk.read_at(&self.file, path, offset, bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (disk, path) = (self.place.disk(), self.place.path());
        disk.write_at(&self.file, path, offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        let (disk, path) = (self.place.disk(), self.place.path());
        disk.sync_data(&self.file, path)
    }
}

/// An image that was written, flushed, read back and compared.
#[derive(Debug)]
pub struct WrittenImage {
    class: SlotClass,
    image: ImageRef,
    unchanged: u64,
}

impl ImageWriter {
    pub(super) fn open(
        place: &Place,
        class: &SlotClass,
        length: u64,
        offset: u64,
    ) -> Result<Self, SlotError> {
        let capacity = place.capacity()?;
        if length > capacity {
            let (path, class) = (place.path().to_owned(), class.clone());
            return Err(SlotError::TooLarge {
                path,
                class,
                image: length,
                capacity,
            });
        }
        let unlocked = place.unlock()?;
        let file = place.open_for_writing()?;
        forget_cached(&file);
        Ok(Self {
            out: Out {
                place: place.clone(),
                file,
            },
            class: class.clone(),
            length,
            written: offset,
            unchanged: 0,
            unflushed: 0,
            old: vec![0; PIECE].into_boxed_slice(),
            _unlocked: unlocked,
        })
    }

    /// Makes what was written so far durable.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn sync(&mut self) -> Result<(), SlotError> {
        self.unflushed = 0;
        let flushed = self.out.flush();
        flushed.map_err(|source| self.out.place.failed("flush", source))
    }

    /// Ends writing: makes it durable, reads everything back and compares it with what metadata promised.
    ///
    /// # Errors
    /// If the storage fails, or holds anything else than `expected`.
    pub fn finish(mut self, expected: &ImageRef) -> Result<WrittenImage, SlotError> {
        self.sync()?;
        let image = WrittenImage::compared(&self.out.place, &self.class, expected)?;
        Ok(WrittenImage {
            unchanged: self.unchanged,
            ..image
        })
    }

    /// Writes those blocks of a piece that differ from what stands there.
    fn write_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let old = self.old.get_mut(..piece.len()).unwrap_or_default();
        // What cannot be read is written: that may mend it.
        if self.out.read_at(old, self.written).is_err() {
            self.out.write_at(piece, self.written)?;
            self.unflushed = self.unflushed.saturating_add(size(piece));
            return Ok(());
        }
        let (mut new, mut old, mut offset) = (piece, &*old, self.written);
        while !new.is_empty() {
            // A run of blocks that are all equal, or all different.
            let (length, equal) = run(new, old, offset);
            let (part, rest) = new.split_at(length);
            if equal {
                self.unchanged = self.unchanged.saturating_add(size(part));
            } else {
                self.out.write_at(part, offset)?;
                self.unflushed = self.unflushed.saturating_add(size(part));
            }
            offset = offset.saturating_add(size(part));
            (new, old) = (rest, old.get(length..).unwrap_or_default());
        }
        Ok(())
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The first blocks of `new`, which has its place at `offset`, that are all equal to those of `old`, or all different: their
/// length, and whether they are equal.
fn run(new: &[u8], old: &[u8], offset: u64) -> (usize, bool) {
    let mut length = 0;
    let mut equal = None;
    while length < new.len() {
        let at = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let to_boundary = BLOCK.saturating_sub(at % BLOCK);
        let block = usize::try_from(to_boundary).unwrap_or(usize::MAX);
        let end = length.saturating_add(block).min(new.len());
        let same = new.get(length..end) == old.get(length..end);
        if *equal.get_or_insert(same) != same {
            break;
        }
        length = end;
    }
    (length, equal.unwrap_or(true))
}

impl Write for ImageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.length.saturating_sub(self.written);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > room {
            return Err(io::Error::other(format!(
                "more than the {} bytes that the image has",
                self.length
            )));
        }
        for piece in bytes.chunks(PIECE) {
            self.write_piece(piece)?;
            pulse::beat();
            self.written = self.written.saturating_add(size(piece));
        }
        if self.unflushed >= FLUSH_EVERY {
            self.unflushed = 0;
            self.out.flush()?;
            forget_cached(&self.out.file);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WrittenImage {
    /// An image that stood there already, as reading it shows.
    pub(super) fn compared(
        place: &Place,
        class: &SlotClass,
        image: &ImageRef,
    ) -> Result<Self, SlotError> {
        place.holds(image)?;
        Ok(Self {
            class: class.clone(),
            image: *image,
            unchanged: image.length,
        })
    }

    /// Its class.
    pub fn class(&self) -> &SlotClass {
        &self.class
    }

    /// Bytes of it that stood in the slot already, and were not written again.
    pub fn unchanged(&self) -> u64 {
        self.unchanged
    }

    /// What it is.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }
}

/// Asks the kernel to drop the file's cached pages, so that reading back reads the storage and not the memory of what
/// was meant to be written. Advice only: a kernel that ignores it costs certainty, not correctness.
pub(super) fn forget_cached(file: &File) {
    let _advice = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use metadata_schema::digest::Sha256Digest;

    use super::*;

    fn image(bytes: &[u8]) -> ImageRef {
        ImageRef {
            length: size(bytes),
            sha256: Sha256Digest::of(bytes),
        }
    }

    fn writer(place: &Place, length: u64, offset: u64) -> Result<ImageWriter, SlotError> {
        ImageWriter::open(place, &"rootfs".parse().unwrap(), length, offset)
    }

    fn noise(length: usize) -> Vec<u8> {
        let byte = |i: usize| u8::try_from(i.wrapping_mul(i / 7 + 3) % 251).unwrap();
        (0..length).map(byte).collect()
    }

    /// A file of noise, with a place for it.
    fn place(length: usize) -> (tempfile::TempDir, Place, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("slot"), noise(length));
        std::fs::write(&path, &old).unwrap();
        (folder, Place::new(path), old)
    }

    #[test]
    fn equal_blocks_are_counted_and_not_written() {
        let (_folder, place, mut new) = place(1_000_000);
        // Differences at the end of one block, over a boundary of pieces, and in the last, incomplete block.
        for at in [4095, 65_535, 65_536, 500_000, 999_999] {
            new[at] ^= 1;
        }
        for step in [1, 4096, 5000, 70_000, 1_000_000] {
            std::fs::write(place.path(), noise(1_000_000)).unwrap();
            let mut writer = writer(&place, 1_000_000, 0).unwrap();
            for piece in new.chunks(step) {
                writer.write_all(piece).unwrap();
            }
            let written = writer.finish(&image(&new)).unwrap();
            let blocks = 5 * 4096 - (4096 - 1_000_000 % 4096);
            if step % 4096 == 0 || step == 1_000_000 {
                assert_eq!(written.unchanged(), 1_000_000 - blocks, "{step}");
            } else {
                // A block that comes in two parts is compared in two parts.
                assert!(written.unchanged() >= 1_000_000 - blocks, "{step}");
            }
            assert_eq!(std::fs::read(place.path()).unwrap(), new);
        }
    }

    #[test]
    fn an_image_that_stands_there_already_is_not_touched() {
        let (_folder, place, old) = place(300_000);
        let modified = || {
            let about = std::fs::metadata(place.path()).unwrap();
            (about.mtime(), about.mtime_nsec())
        };
        let before = modified();
        let mut writer = writer(&place, 300_000, 0).unwrap();
        writer.write_all(&old).unwrap();
        assert_eq!(writer.finish(&image(&old)).unwrap().unchanged(), 300_000);
        assert_eq!(modified(), before);
    }

    #[test]
    fn an_image_that_is_too_large_is_refused_before_anything_is_written() {
        let (_folder, place, old) = place(10_000);
        let error = writer(&place, 10_001, 0).map(drop).unwrap_err();
        assert!(matches!(
            error,
            SlotError::TooLarge {
                image: 10_001,
                capacity: 10_000,
                ..
            }
        ));
        let said = error.to_string();
        assert!(
            said.contains("10001 bytes") && said.contains("holds 10000"),
            "{said}"
        );
        let mut writer = writer(&place, 9_000, 8_999).unwrap();
        assert!(writer.write_all(b"xy").is_err());
        assert_eq!(std::fs::read(place.path()).unwrap(), old);
    }
}
