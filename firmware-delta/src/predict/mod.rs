//! Addresses in machine code and tables, predicted: code that moved refers to other code that moved, and a map of what
//! moved where says by how much. What a prediction gets right costs nothing; the add stream mends the rest.
//!
//! Everything here works on bytes that were copied from the old image, wraps, and leaves alone what it cannot make sense of:
//! a wrong prediction is a longer payload, never an error.

pub(crate) mod arm64;
mod map;
mod runs;
mod steps;
pub(crate) mod tables;
pub(crate) mod x86;

#[cfg(feature = "diff")]
pub(crate) use map::Piece;
pub(crate) use map::{Map, most_pieces};
#[cfg(feature = "diff")]
pub(crate) use runs::emit;
pub(crate) use runs::{Run, Runs};

use crate::format::frame::Fault;

/// How the bytes of a run are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Instructions of 64-bit Arm.
    Arm64,
    /// Instructions of x86-64.
    X86,
    /// Signed 32-bit distances from where they stand.
    Relative32,
    /// 64-bit pointers.
    Absolute64,
    /// Signed 32-bit pointers.
    Absolute32,
}

impl Mode {
    /// All of them, in the order of their numbers, which begin at 1.
    pub(crate) const ALL: [Self; 5] = [
        Self::Arm64,
        Self::X86,
        Self::Relative32,
        Self::Absolute64,
        Self::Absolute32,
    ];

    pub(crate) fn has_pointers(self) -> bool {
        matches!(self, Self::Absolute64 | Self::Absolute32)
    }
}

/// What turns positions and pointers into addresses: numbers that are added, modulo 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bias {
    /// To a position in the space that is copied from.
    pub(crate) old: u64,
    /// To a position in the decoded bytes of the frame.
    pub(crate) new: u64,
    /// To a pointer in the old image.
    pub(crate) old_pointer: u64,
    /// To a pointer in the new image.
    pub(crate) new_pointer: u64,
}

/// Predicts what `piece`, a copy of old bytes, looks like at its place in the new image. `from` is its position in the space
/// that was copied from, `to` the one in the decoded bytes of the frame.
pub(crate) fn predict(piece: &mut [u8], from: u64, to: u64, run: &Run, map: &Map) {
    let old = from.wrapping_add(run.bias.old);
    let new = to.wrapping_add(run.bias.new);
    match run.mode {
        None => {}
        Some(Mode::Arm64) => arm64::predict(piece, old, new, map),
        Some(Mode::X86) => x86::predict(piece, old, new, map),
        Some(Mode::Relative32) => tables::relative32(piece, old, new, map),
        Some(Mode::Absolute64) => tables::absolute64(piece, old, &run.bias, map),
        Some(Mode::Absolute32) => tables::absolute32(piece, old, &run.bias, map),
    }
}

/// Where a frame's prediction stands: copies come in order, and so do runs.
pub(crate) struct Cursor<'a> {
    runs: Runs<'a>,
    /// The run at hand, and where in the decoded bytes it ends.
    run: Option<(Run, u64)>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(runs: Runs<'a>) -> Self {
        Self { runs, run: None }
    }

    /// Predicts the next copy: `piece`, copied from `from`, at `to` in the decoded bytes. Copies come in order.
    pub(crate) fn copy(
        &mut self,
        mut piece: &mut [u8],
        mut from: u64,
        mut to: u64,
        map: &Map,
    ) -> Fault<()> {
        while !piece.is_empty() {
            let (run, end) = match self.run {
                Some((run, end)) if end > to => (run, end),
                before => {
                    let start = before.map_or(0, |(_, end)| end);
                    let Some(run) = self.runs.next()? else {
                        return Ok(());
                    };
                    self.run = Some((run, start.saturating_add(run.length)));
                    continue;
                }
            };
            let here = usize::try_from(end.saturating_sub(to))
                .unwrap_or(usize::MAX)
                .min(piece.len());
            let (front, rest) = piece.split_at_mut_checked(here).unwrap_or_default();
            predict(front, from, to, &run, map);
            let here = u64::try_from(here).unwrap_or(u64::MAX);
            from = from.saturating_add(here);
            to = to.saturating_add(here);
            piece = rest;
        }
        Ok(())
    }

    /// Whether the runs, read to their end, were what they should be.
    pub(crate) fn end(mut self) -> Fault<()> {
        while self.runs.next()?.is_some() {}
        Ok(())
    }
}
