//! How far a copy reaches beyond the bytes that are equal, and where one copy gives way to the next.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: lengths are those of slices, scores are bounded by them"
)]

/// How many bytes of `new` are worth copying from `old`, both read forwards: as far as equal bytes outweigh
/// unequal ones.
pub(super) fn forwards(old: &[u8], new: &[u8]) -> usize {
    best(old.iter().zip(new))
}

/// The same, both read backwards from their ends.
pub(super) fn backwards(old: &[u8], new: &[u8]) -> usize {
    best(old.iter().rev().zip(new.iter().rev()))
}

/// Where to change from `first` to `second`, two pieces of the old image that could both make `new`: how many
/// bytes to take from `first`.
pub(super) fn change_over(first: &[u8], second: &[u8], new: &[u8]) -> usize {
    let mut lead = 0_i64;
    let mut best = (0_i64, 0_usize);
    for at in 0..new.len() {
        lead += i64::from(first[at] == new[at]) - i64::from(second[at] == new[at]);
        if lead > best.0 {
            best = (lead, at + 1);
        }
    }
    best.1
}

/// How many bytes are equal.
pub(super) fn agreement(old: &[u8], new: &[u8]) -> usize {
    old.iter().zip(new).filter(|(old, new)| old == new).count()
}

fn best<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let mut score = 0_i64;
    let mut best = (0_i64, 0_usize);
    for (at, (old, new)) in pairs.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best.0 {
            best = (score, at + 1);
        }
    }
    best.1
}
