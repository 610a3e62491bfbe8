//! Encoded frames that wait outside of memory until the last of them is known.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::diff::DiffError;
use crate::diff::seal::{Bodies, Unlinked};
use crate::format::Codecs;

/// Where frames wait: a file that nobody else uses, or a [`std::io::Cursor`] where memory does not matter. What stands in it
/// from its present position on is overwritten.
pub trait Spool: Read + Write + Seek {}

impl<T: Read + Write + Seek> Spool for T {}

/// Frames in a spool: 16 bytes of memory for each.
pub(super) struct Spooled<'a> {
    spool: &'a mut dyn Spool,
    /// Where each begins and how long it is.
    places: Vec<(u64, u32)>,
    end: u64,
    codecs: Codecs,
}

impl<'a> Spooled<'a> {
    pub(super) fn new(spool: &'a mut dyn Spool) -> Result<Self, DiffError> {
        let end = spool.stream_position().map_err(failed)?;
        Ok(Self {
            spool,
            places: Vec::new(),
            end,
            codecs: Codecs::STORED,
        })
    }

    pub(super) fn push(&mut self, frame: &Unlinked) -> Result<(), DiffError> {
        let length = u32::try_from(frame.body.len()).map_err(|_| DiffError::TooLong)?;
        self.spool.write_all(&frame.body).map_err(failed)?;
        self.places.push((self.end, length));
        self.end = self.end.saturating_add(length.into());
        self.codecs = self.codecs.with(frame.codecs);
        Ok(())
    }
}

impl Bodies for Spooled<'_> {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn codecs(&self) -> Codecs {
        self.codecs
    }

    /// A full payload copies nothing.
    fn predicts(&self) -> bool {
        false
    }

    fn body(&mut self, index: usize) -> Result<Cow<'_, [u8]>, DiffError> {
        let (begin, length) = self.places.get(index).copied().ok_or(DiffError::TooLong)?;
        let length = usize::try_from(length).map_err(|_| DiffError::TooLong)?;
        let mut body = vec![0; length];
        self.spool.seek(SeekFrom::Start(begin)).map_err(failed)?;
        self.spool.read_exact(&mut body).map_err(failed)?;
        Ok(Cow::Owned(body))
    }
}

fn failed(source: io::Error) -> DiffError {
    DiffError::Spool { source }
}
