//! The old image: read at random, and proven to be the right one before anything is written.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::digest::Running;
use crate::error::PatchError;
use crate::expectation::ImageId;
use crate::limits::PIECE;

/// Random read access to the image that a delta starts from.
pub trait OldImage {
    /// Length of the image in bytes, which may be less than that of the partition that holds it.
    fn length(&self) -> u64;

    /// Fills `to` from `offset` on. Callers stay inside of [`Self::length`].
    ///
    /// # Errors
    /// Whatever the storage says; also if there are fewer bytes than asked for.
    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> io::Result<()>;
}

/// An image in memory.
impl OldImage for &[u8] {
    fn length(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..)?.get(..to.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        to.copy_from_slice(from);
        Ok(())
    }
}

impl<T: OldImage + ?Sized> OldImage for &mut T {
    fn length(&self) -> u64 {
        (**self).length()
    }

    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, to)
    }
}

impl<T: OldImage + ?Sized> OldImage for Box<T> {
    fn length(&self) -> u64 {
        (**self).length()
    }

    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, to)
    }
}

/// The first `length` bytes of anything that reads and seeks: a file, a partition.
#[derive(Debug)]
pub struct SeekImage<R> {
    inner: R,
    length: u64,
    /// Where `inner` stands, to save a seek where copies follow each other; `None` after an error.
    position: Option<u64>,
}

impl<R: Read + Seek> SeekImage<R> {
    /// The first `length` bytes of `inner`: the length that the manifest names, since a partition is longer.
    pub fn new(inner: R, length: u64) -> Self {
        Self {
            inner,
            length,
            position: None,
        }
    }

    /// All of `inner`.
    ///
    /// # Errors
    /// Whatever seeking to the end says.
    pub fn whole(mut inner: R) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        Ok(Self::new(inner, length))
    }
}

impl<R: Read + Seek> OldImage for SeekImage<R> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let wanted = u64::try_from(to.len()).unwrap_or(u64::MAX);
        let end = offset.checked_add(wanted).filter(|end| *end <= self.length);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        if self.position.take() != Some(offset) {
            self.inner.seek(SeekFrom::Start(offset))?;
        }
        self.inner.read_exact(to)?;
        self.position = Some(end);
        Ok(())
    }
}

/// An old image whose length and digest were compared with what a delta starts from. Only [`verify_old`]
/// makes one, and [`crate::Applier`] takes nothing else.
pub struct VerifiedOld<'a> {
    image: Option<Box<dyn OldImage + Send + 'a>>,
    id: Option<ImageId>,
}

/// Reads `image` once from front to back, 64 KiB at a time, and compares length and digest with `expected`.
///
/// # Errors
/// [`PatchError::OldMismatch`] if it is another image (without reading it if the length already tells),
/// [`PatchError::ReadOld`] if it cannot be read.
pub fn verify_old<'a>(
    mut image: impl OldImage + Send + 'a,
    expected: &ImageId,
) -> Result<VerifiedOld<'a>, PatchError> {
    if image.length() != expected.length {
        let found = ImageId {
            length: image.length(),
            sha256: [0; 32],
        };
        return Err(PatchError::OldMismatch {
            expected: *expected,
            found,
        });
    }
    let found = hash_image(&mut image)?;
    if found != *expected {
        return Err(PatchError::OldMismatch {
            expected: *expected,
            found,
        });
    }
    Ok(VerifiedOld {
        image: Some(Box::new(image)),
        id: Some(found),
    })
}

/// The identity of `image`, read once from front to back, 64 KiB at a time: to look up which delta fits it.
///
/// # Errors
/// [`PatchError::ReadOld`] if it cannot be read.
pub fn hash_image(image: &mut dyn OldImage) -> Result<ImageId, PatchError> {
    let mut running = Running::new();
    let mut piece = vec![0; PIECE];
    loop {
        let offset = running.length();
        let left = image.length().saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let Some(to) = piece.get_mut(..length).filter(|to| !to.is_empty()) else {
            return Ok(ImageId::from_running(&running));
        };
        image.read_at(offset, to).map_err(|source| {
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            PatchError::ReadOld {
                offset,
                length,
                source,
            }
        })?;
        running.update(to);
    }
}

impl VerifiedOld<'_> {
    /// What a full payload starts from: nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            image: None,
            id: None,
        }
    }

    /// The identity that was proven; `None` for [`Self::none`].
    #[must_use]
    pub fn id(&self) -> Option<ImageId> {
        self.id
    }

    /// Length of the old image in bytes, 0 if there is none.
    pub(crate) fn length(&self) -> u64 {
        self.id.map_or(0, |id| id.length)
    }

    pub(crate) fn read_at(&mut self, offset: u64, to: &mut [u8]) -> Result<(), PatchError> {
        let read = match &mut self.image {
            Some(image) => image.read_at(offset, to),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|source| {
            let length = u64::try_from(to.len()).unwrap_or(u64::MAX);
            PatchError::ReadOld {
                offset,
                length,
                source,
            }
        })
    }
}

impl fmt::Debug for VerifiedOld<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedOld")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
