//! Writing one image into its place.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use metadata_schema::release::SlotClass;

use super::Place;
use crate::error::SlotError;
use crate::lifecycle::ImageRef;

/// Bytes after which what was written is flushed, so that dirty pages do not pile up on a small device.
const FLUSH_EVERY: u64 = 8 * 1024 * 1024;

/// Writes an image in order.
pub struct ImageWriter {
    place: Place,
    class: SlotClass,
    file: File,
    length: u64,
    written: u64,
    unflushed: u64,
}

/// An image that was written, flushed, read back and compared.
#[derive(Debug)]
pub struct WrittenImage {
    class: SlotClass,
    image: ImageRef,
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
        let mut file = place.open_for_writing()?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|source| place.failed("seek", source))?;
        Ok(Self {
            place: place.clone(),
            class: class.clone(),
            file,
            length,
            written: offset,
            unflushed: 0,
        })
    }

    /// Makes what was written so far durable.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn sync(&mut self) -> Result<(), SlotError> {
        self.unflushed = 0;
        self.file
            .sync_data()
            .map_err(|source| self.place.failed("flush", source))
    }

    /// Ends writing: makes it durable, reads everything back and compares it with what metadata promised.
    ///
    /// # Errors
    /// If the storage fails, or holds anything else than `expected`.
    pub fn finish(mut self, expected: &ImageRef) -> Result<WrittenImage, SlotError> {
        self.sync()?;
        forget_cached(&self.file);
        WrittenImage::compared(&self.place, &self.class, expected)
    }
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
        let written = self.file.write(bytes)?;
        let count = u64::try_from(written).unwrap_or(u64::MAX);
        self.written = self.written.saturating_add(count);
        self.unflushed = self.unflushed.saturating_add(count);
        if self.unflushed >= FLUSH_EVERY {
            self.unflushed = 0;
            self.file.sync_data()?;
            forget_cached(&self.file);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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
        })
    }

    /// Its class.
    pub fn class(&self) -> &SlotClass {
        &self.class
    }

    /// What it is.
    pub fn image(&self) -> &ImageRef {
        &self.image
    }
}

/// Asks the kernel to drop the file's cached pages, so that reading back reads the storage and not the memory of what
/// was meant to be written. Advice only: a kernel that ignores it costs certainty, not correctness.
fn forget_cached(file: &File) {
    let _advice = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}
