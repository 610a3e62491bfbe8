//! What is lost at a crash.

use crate::disk::Fate;

/// By the bits of a number: the first thing by the lowest.
pub(crate) struct Subset {
    pub(crate) kept: u64,
    pub(crate) torn: Torn,
}

#[derive(Clone, Copy)]
pub(crate) enum Torn {
    Whole,
    Half,
}

impl Fate for Subset {
    fn keeps(&mut self) -> bool {
        let keeps = self.kept & 1 == 1;
        self.kept >>= 1;
        keeps
    }

    fn torn(&mut self, length: usize) -> usize {
        match self.torn {
            Torn::Whole => length,
            Torn::Half => length / 2,
        }
    }
}

/// All or nothing.
pub(crate) struct Every(pub(crate) bool);

impl Fate for Every {
    fn keeps(&mut self) -> bool {
        self.0
    }

    fn torn(&mut self, length: usize) -> usize {
        length
    }
}

/// By lot, the same for the same seed.
pub(crate) struct Lot(u64);

impl Lot {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from((z ^ (z >> 31)) % end).unwrap()
    }
}

impl Fate for Lot {
    fn keeps(&mut self) -> bool {
        self.below(2) == 1
    }

    fn torn(&mut self, length: usize) -> usize {
        match self.below(4) {
            0 => length,
            // At a sector's end.
            1 | 2 => self.below(length / 512 + 1) * 512,
            _ => self.below(length + 1),
        }
    }
}
