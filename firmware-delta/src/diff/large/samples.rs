//! What stands where in an image that memory does not hold: hashes of a few places, picked by what stands there, so that the same bytes
//! are found again wherever they moved.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: the table has an entry for every byte, and numbers of blocks are bounded by lengths"
)]

use std::collections::{BTreeMap, BTreeSet};

/// Bytes of old image that are taken in or left out as one.
pub(super) const BLOCK: usize = 64 << 10;

/// One place in this many is picked, unless memory is for fewer: two to the power of it.
const EVERY: u32 = 10;

/// A hash that stands in more blocks says nothing about where to look.
const COMMON: usize = 32;

/// The samples of an old image.
pub(super) struct Samples {
    /// Hashes and the blocks that they stand in, in order.
    entries: Vec<(u32, u32)>,
    every: u32,
    roller: Roller,
    at: usize,
}

impl Samples {
    /// Samples of an image of `length` bytes in at most about `memory` bytes.
    pub(super) fn new(length: u64, memory: u64) -> Self {
        let most = (memory / 16).max(1);
        let every = (EVERY..48)
            .find(|every| length >> every <= most)
            .unwrap_or(48);
        Self {
            entries: Vec::new(),
            every,
            roller: Roller::new(every),
            at: 0,
        }
    }

    /// Takes the next bytes of the image.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let (entries, start) = (&mut self.entries, self.at);
        self.roller.roll(bytes, |hash, at| {
            let block = u32::try_from((start + at) / BLOCK).unwrap_or(u32::MAX);
            entries.push((hash, block));
        });
        self.at += bytes.len();
    }

    /// Has to be called behind the last byte.
    pub(super) fn sort(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup();
    }

    /// Counts for each block how many places of `bytes` it seems to have.
    pub(super) fn vote(&self, bytes: &[u8], votes: &mut BTreeMap<u32, usize>) {
        Roller::new(self.every).roll(bytes, |hash, _| {
            let from = self.entries.partition_point(|entry| entry.0 < hash);
            let same = self.entries[from..].iter();
            let same = same.take_while(|entry| entry.0 == hash);
            if same.clone().nth(COMMON).is_none() {
                same.for_each(|(_, block)| *votes.entry(*block).or_default() += 1);
            }
        });
    }
}

/// The blocks to look into, at most `most`: those with the most votes, what stands beside them, and then `others`. In order.
pub(super) fn elect(
    votes: &BTreeMap<u32, usize>,
    others: impl Iterator<Item = u32>,
    most: usize,
) -> BTreeSet<u32> {
    let mut ranked: Vec<_> = votes
        .iter()
        .map(|(block, count)| (*count, *block))
        .collect();
    ranked.sort_unstable_by_key(|(count, block)| (std::cmp::Reverse(*count), *block));
    let blocks = ranked.iter().map(|(_, block)| *block);
    let beside = blocks
        .clone()
        .flat_map(|block| [block.saturating_add(1), block.saturating_sub(1)]);
    let mut elected = BTreeSet::new();
    for block in blocks.chain(beside).chain(others) {
        if elected.len() >= most {
            break;
        }
        elected.insert(block);
    }
    elected
}

/// A hash of the last 64 bytes, which picks the places where its highest bits are zero.
struct Roller {
    hash: u64,
    every: u32,
    last: u32,
}

impl Roller {
    fn new(every: u32) -> Self {
        Self {
            hash: 0,
            every,
            last: 0,
        }
    }

    fn roll(&mut self, bytes: &[u8], mut picked: impl FnMut(u32, usize)) {
        for (at, byte) in bytes.iter().enumerate() {
            self.hash = (self.hash << 1).wrapping_add(TABLE[usize::from(*byte)]);
            if self.hash >> (64 - self.every) != 0 {
                continue;
            }
            let hash = mixed(self.hash) >> 32;
            let hash = u32::try_from(hash).unwrap_or(0);
            // A run of one byte has one hash.
            if hash != self.last {
                picked(hash, at);
            }
            self.last = hash;
        }
    }
}

/// A number for every byte.
static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut number = 0_u64;
    let mut index = 0;
    while index < table.len() {
        number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        table[index] = mixed(number);
        index += 1;
    }
    table
};

const fn mixed(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_found() {
        let mut number = 1;
        let mut image = vec![0; 40 * BLOCK];
        for byte in &mut image[20 * BLOCK..] {
            number = mixed(number);
            *byte = number.to_le_bytes()[0];
        }
        let length = u64::try_from(image.len()).unwrap();
        let mut samples = Samples::new(length, 1 << 20);
        image.chunks(1000).for_each(|chunk| samples.add(chunk));
        samples.sort();
        let mut votes = BTreeMap::new();
        samples.vote(&image[30 * BLOCK + 777..32 * BLOCK], &mut votes);
        let elected = elect(&votes, std::iter::empty(), 2);
        assert_eq!(elected.into_iter().collect::<Vec<_>>(), [30, 31]);
        let elected = elect(&votes, [0, 1, 2].into_iter(), 6);
        assert_eq!(
            elected.into_iter().collect::<Vec<_>>(),
            [0, 1, 29, 30, 31, 32]
        );
        // Zeros are one place.
        votes.clear();
        samples.vote(&image[..20 * BLOCK], &mut votes);
        assert!(votes.values().sum::<usize>() <= 1, "{votes:?}");
    }

    #[test]
    fn memory_is_bounded() {
        let mut samples = Samples::new(1 << 40, 1 << 20);
        assert!(samples.every >= 24, "{}", samples.every);
        samples.add(&[7; 100_000]);
        assert!(samples.entries.len() <= 1);
    }
}
