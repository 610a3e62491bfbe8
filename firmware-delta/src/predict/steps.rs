//! A shortcut into the pieces of a map.

use std::ops::Range;

use crate::predict::map::Piece;

/// Where to look for an address: the span of most of the starts, cut into equal steps, about as many as there are pieces. Searching
/// all pieces for each address took a fifth of the time of applying a kernel.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    /// How many pieces begin before the first step: a few that are far away would make steps too long.
    before: usize,
    base: u64,
    /// A step is two to the power of this.
    shift: u32,
    /// How many pieces begin at or before the first address of each step.
    begun: Vec<u32>,
    count: usize,
}

impl Steps {
    /// The steps of pieces that are in order.
    pub(super) fn of(pieces: &[Piece]) -> Self {
        let count = pieces.len();
        let before = count / 32;
        let most = pieces
            .get(before..count.saturating_sub(before))
            .unwrap_or_default();
        let base = most.first().map_or(0, |piece| piece.start);
        let last = most.last().map_or(base, |piece| piece.start);
        let steps = u64::try_from(count).unwrap_or(u64::MAX);
        let span = last.saturating_sub(base);
        let shift = (0..64).find(|shift| span >> shift <= steps).unwrap_or(63);
        let mask = 1_u64.wrapping_shl(shift).wrapping_sub(1);
        let mut begun = Vec::with_capacity(count.saturating_add(2));
        let mut rank = u32::try_from(before).unwrap_or(u32::MAX);
        for piece in most {
            let offset = piece.start.saturating_sub(base);
            let first = (offset >> shift).saturating_add(u64::from(offset & mask != 0));
            begun.resize(usize::try_from(first).unwrap_or(0), rank);
            rank = rank.saturating_add(1);
        }
        begun.push(rank);
        Self {
            before,
            base,
            shift,
            begun,
            count,
        }
    }

    /// All pieces before these begin at or before `old`, all behind them begin behind it.
    pub(super) fn near(&self, old: u64) -> Range<usize> {
        let Some(offset) = old.checked_sub(self.base) else {
            return 0..self.before;
        };
        let step = usize::try_from(offset >> self.shift).unwrap_or(usize::MAX);
        let rank = |step: usize| Some(usize::try_from(*self.begun.get(step)?).unwrap_or(0));
        let first = rank(step).or_else(|| rank(self.begun.len().saturating_sub(1)));
        let last = rank(step.saturating_add(1));
        first.unwrap_or(0)..last.unwrap_or(self.count)
    }
}
