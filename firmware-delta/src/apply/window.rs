//! Reads the old image for copies: long ones straight, short ones through a small window, since code moves in
//! many short pieces that lie next to each other and a read from storage costs the same for each.

use crate::error::PatchError;
use crate::old::VerifiedOld;

/// Copies from this length on are read past the window.
const LONG: usize = 8 << 10;

/// A piece of the old image.
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Fills `to` from `offset` on of the old image. The caller has checked that this is inside of the image.
    pub(super) fn read_old(
        &mut self,
        old: &mut VerifiedOld<'_>,
        offset: u64,
        to: &mut [u8],
    ) -> Result<(), PatchError> {
        if to.len() >= LONG {
            return old.read_at(offset, to);
        }
        let from = self.view(old, offset, to.len())?;
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(())
    }

    /// `length` bytes, at most `LONG`, from `offset` on.
    fn view(
        &mut self,
        old: &mut VerifiedOld<'_>,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], PatchError> {
        if self.held(offset, length).is_none() {
            // Half a window before: copies go back about as often as forth, and never past the end.
            let room = old
                .length()
                .saturating_sub(offset.saturating_sub(WINDOW_BACK));
            let start = offset.saturating_sub(WINDOW_BACK);
            let size = usize::try_from(room).unwrap_or(WINDOW).min(WINDOW);
            self.bytes.resize(size, 0);
            self.start = start;
            if let Err(error) = old.read_at(start, &mut self.bytes) {
                self.bytes.clear();
                return Err(error);
            }
        }
        Ok(self.held(offset, length).unwrap_or_default())
    }

    fn held(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }
}

/// Size of the window in bytes.
const WINDOW: usize = 32 << 10;

/// How much of it lies before the copy that it is read for.
const WINDOW_BACK: u64 = 8 << 10;
