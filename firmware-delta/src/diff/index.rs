//! Where in the old image a piece of the new one stands: a suffix array, and a table of where in it the suffixes
//! with each first two or three bytes are.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: positions come from the array built here, and a slice bounds every length"
)]

use libsais::SuffixArrayConstruction;

use crate::diff::DiffError;
use crate::diff::runs::common_prefix;

/// From this length on, three bytes index the table: 128 MiB are little then, and save ten steps per search.
const LARGE: usize = 4 << 20;

/// The sorted suffixes of an old image.
pub(super) struct Index<'a> {
    old: &'a [u8],
    suffixes: Suffixes,
    /// Number of bytes that index the table.
    prefix: usize,
    /// Rank of the first suffix for each prefix, and one behind the last.
    table: Vec<usize>,
}

/// A place in the old image that begins like the bytes that were looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) old: usize,
    pub(super) length: usize,
    /// Place among the sorted suffixes: its neighbours begin alike.
    pub(super) rank: usize,
}

enum Suffixes {
    Narrow(Vec<i32>),
    Wide(Vec<i64>),
}

impl Suffixes {
    fn at(&self, rank: usize) -> usize {
        match self {
            Self::Narrow(sorted) => usize::try_from(sorted[rank]).unwrap_or(0),
            Self::Wide(sorted) => usize::try_from(sorted[rank]).unwrap_or(0),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Narrow(sorted) => sorted.len(),
            Self::Wide(sorted) => sorted.len(),
        }
    }
}

impl<'a> Index<'a> {
    /// Sorts the suffixes of `old`.
    pub(super) fn new(old: &'a [u8]) -> Result<Self, DiffError> {
        let suffixes = sort(old)?;
        let prefix = if old.len() < LARGE { 2 } else { 3 };
        let table = table(old, prefix);
        Ok(Self {
            old,
            suffixes,
            prefix,
            table,
        })
    }

    /// The longest beginning of `wanted` that stands anywhere in the old image; its length is 0 if not even
    /// the table's prefix does.
    pub(super) fn longest(&self, wanted: &[u8]) -> Found {
        let none = Found {
            old: 0,
            length: 0,
            rank: 0,
        };
        if wanted.len() < self.prefix {
            return none;
        }
        let key = key(wanted, self.prefix);
        let (first, end) = (self.table[key], self.table[key + 1]);
        let (mut low, mut high) = (first, end);
        // What the suffixes just below `low` and at `high` have in common with `wanted`: all between them
        // share at least the lesser of the two, so that much is never compared again.
        let (mut low_common, mut high_common) = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let known = low_common.min(high_common);
            let suffix = &self.old[self.suffixes.at(middle)..];
            let rest = suffix.get(known..).unwrap_or_default();
            let common = known + common_prefix(&wanted[known..], rest);
            if common == wanted.len() {
                return Found {
                    old: self.suffixes.at(middle),
                    length: common,
                    rank: middle,
                };
            }
            if suffix.get(common).is_none_or(|byte| *byte < wanted[common]) {
                low = middle + 1;
                low_common = common;
            } else {
                high = middle;
                high_common = common;
            }
        }
        let (rank, length) = match (low > first, high < end) {
            (true, true) if low_common > high_common => (low - 1, low_common),
            (true, false) => (low - 1, low_common),
            (_, true) => (high, high_common),
            (false, false) => return none,
        };
        Found {
            old: self.suffixes.at(rank),
            length,
            rank,
        }
    }

    /// Up to `reach` places on either side of `found` in sorted order, with how many bytes of `wanted` each has.
    pub(super) fn neighbours(
        &self,
        found: Found,
        wanted: &[u8],
        least: usize,
        reach: usize,
    ) -> impl Iterator<Item = Found> {
        let below = (found.rank.saturating_sub(reach)..found.rank).rev();
        let above = found.rank + 1..(found.rank + 1 + reach).min(self.suffixes.len());
        let place = move |rank| {
            let old = self.suffixes.at(rank);
            Found {
                old,
                length: common_prefix(wanted, &self.old[old..]),
                rank,
            }
        };
        let alike = move |place: &Found| place.length >= least;
        below
            .map(place)
            .take_while(alike)
            .chain(above.map(place).take_while(alike))
    }
}

fn sort(old: &[u8]) -> Result<Suffixes, DiffError> {
    let failed = |_| DiffError::Index {
        length: u64::try_from(old.len()).unwrap_or(u64::MAX),
        reason: "the suffix array could not be built",
    };
    let construction = SuffixArrayConstruction::for_text(old);
    if i32::try_from(old.len()).is_ok() {
        let sorted = construction
            .in_owned_buffer32()
            .single_threaded()
            .run()
            .map_err(failed)?;
        return Ok(Suffixes::Narrow(sorted.into_vec()));
    }
    let sorted = construction
        .in_owned_buffer64()
        .single_threaded()
        .run()
        .map_err(failed)?;
    Ok(Suffixes::Wide(sorted.into_vec()))
}

/// Counts how many suffixes begin with each prefix, and adds the counts up. A suffix shorter than the prefix
/// counts as if zeros followed, which is where it is sorted.
fn table(old: &[u8], prefix: usize) -> Vec<usize> {
    let mut table = vec![0_usize; (1 << (8 * prefix)) + 1];
    let mut padded = [0_u8; 6];
    let whole = old.len().saturating_sub(prefix - 1);
    old.windows(prefix)
        .for_each(|window| table[key(window, prefix) + 1] += 1);
    let tail = &old[whole.min(old.len())..];
    padded[..tail.len()].copy_from_slice(tail);
    (0..tail.len()).for_each(|at| table[key(&padded[at..], prefix) + 1] += 1);
    let mut sum = 0;
    for count in &mut table {
        sum += *count;
        *count = sum;
    }
    table
}

fn key(bytes: &[u8], prefix: usize) -> usize {
    bytes[..prefix]
        .iter()
        .fold(0, |key, byte| (key << 8) | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by looking everywhere.
    fn longest_by_force(old: &[u8], wanted: &[u8]) -> usize {
        (0..old.len())
            .map(|at| common_prefix(wanted, &old[at..]))
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn finds_the_longest() {
        let olds: [&[u8]; 6] = [
            b"",
            b"a",
            b"banana",
            b"\0\0\0\0\0",
            b"abcabcabdabcabcabe\0",
            b"ab\xff\xff\xffab\0",
        ];
        let news: [&[u8]; 6] = [
            b"",
            b"b",
            b"nan",
            b"\0\0\0\0\0\0\0\0",
            b"abcabcabeabd",
            b"\xff\xffab",
        ];
        for old in olds {
            let index = Index::new(old).unwrap();
            for new in news {
                for from in 0..new.len() {
                    let wanted = &new[from..];
                    let found = index.longest(wanted);
                    let expected = longest_by_force(old, wanted);
                    // Shorter ones than the table's prefix are not worth finding.
                    let expected = if expected < 2 { found.length } else { expected };
                    assert_eq!(found.length, expected, "{wanted:?} in {old:?}");
                    assert_eq!(&old[found.old..][..found.length], &wanted[..found.length]);
                }
            }
        }
    }
}
