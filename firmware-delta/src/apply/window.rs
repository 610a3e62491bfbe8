//! Reads the old image for copies: long ones straight, short ones through a small window, since code moves in
//! many short pieces that lie next to each other and a read from storage costs the same for each.

use crate::error::PatchError;
use crate::limits::PIECE;
use crate::old::VerifiedOld;

/// Copies from this length on are read past the window.
const LONG: usize = 8 << 10;

/// A piece of the old image.
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
    /// Where long copies are read to, before they are added.
    scratch: Vec<u8>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            start: 0,
            bytes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Adds the bytes of the old image from `offset` on to `to`, each modulo 256. The caller has checked that
    /// they are inside of the image.
    pub(super) fn add_old(
        &mut self,
        old: &mut VerifiedOld<'_>,
        offset: u64,
        to: &mut [u8],
    ) -> Result<(), PatchError> {
        if to.len() < LONG {
            let from = self.view(old, offset, to.len())?;
            add(to, from);
            return Ok(());
        }
        let mut at = offset;
        for piece in to.chunks_mut(PIECE) {
            self.scratch.resize(PIECE.max(piece.len()), 0);
            let from = self.scratch.get_mut(..piece.len()).unwrap_or_default();
            old.read_at(at, from)?;
            add(piece, from);
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
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

fn add(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = to.wrapping_add(*from);
    }
}
