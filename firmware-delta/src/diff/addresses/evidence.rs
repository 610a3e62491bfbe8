//! What pairs of instructions say about what moved where: one that was copied named an address, and the one in its place
//! names another.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: positions are kept within their slices"
)]

use crate::diff::addresses::Copy;
use crate::diff::addresses::layout::{Layout, Region};
use crate::diff::addresses::votes::Vote;
use crate::predict::tables::extended;
use crate::predict::{Mode, arm64, x86};

/// Both spaces, laid out.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) old: (&'a [u8], &'a Layout),
    pub(super) new: (&'a [u8], &'a Layout),
}

impl Evidence<'_> {
    /// The votes of a copy.
    pub(super) fn of(self, mut copy: Copy) -> Vec<Vote> {
        let mut votes = Vec::new();
        while copy.length > 0 {
            let (Some(old), Some(new)) = (self.old.1.region(copy.old), self.new.1.region(copy.new))
            else {
                break;
            };
            let length = copy
                .length
                .min(old.end - copy.old)
                .min(new.end - copy.new)
                .max(1);
            let here = Copy { length, ..copy };
            if let Some(mode) = new.machine.filter(|_| old.machine == new.machine) {
                self.region(here, (old, new), mode, &mut votes);
            }
            copy.old += length;
            copy.new += length;
            copy.length -= length;
        }
        votes
    }

    fn region(self, copy: Copy, regions: (Region, Region), mode: Mode, votes: &mut Vec<Vote>) {
        let (old_region, new_region) = regions;
        let old = &self.old.0[copy.old..copy.old + copy.length];
        let new = &self.new.0[copy.new..copy.new + copy.length];
        let at = (
            wide(copy.old).wrapping_add(old_region.bias),
            wide(copy.new).wrapping_add(new_region.bias),
        );
        if old_region.code && new_region.code {
            match mode {
                Mode::Arm64 => of_arm64(old, new, at, votes),
                _ => of_x86(old, new, at, votes),
            }
        }
        pointers(old, new, at.0, regions, votes);
    }
}

fn of_arm64(old: &[u8], new: &[u8], at: (u64, u64), votes: &mut Vec<Vote>) {
    let Some((start, old_at, new_at)) = arm64::aligned(old, at.0, at.1) else {
        return;
    };
    let (old, new) = (
        old[start..].as_chunks::<4>().0,
        new[start..].as_chunks::<4>().0,
    );
    for index in 0..old.len() {
        let words = [old[index], new[index]].map(u32::from_le_bytes);
        let from = [old_at, new_at].map(|at| at.wrapping_add(wide(index) * 4));
        let pages = (
            arm64::page(words[0], from[0]),
            arm64::page(words[1], from[1]),
        );
        if let (Some(old_page), Some(new_page)) = pages {
            if let Some((ahead, low)) = arm64::completion(words[0], &old[index + 1..])
                && let Some(new_low) = arm64::low(u32::from_le_bytes(new[index + 1 + ahead]))
            {
                votes.push(Vote::new(old_page + low.value, new_page + new_low.value));
            }
        } else if let (Some(old), Some(new)) =
            (arm64::distance(words[0]), arm64::distance(words[1]))
        {
            votes.push(Vote::new(
                from[0].wrapping_add(old),
                from[1].wrapping_add(new),
            ));
        }
    }
}

fn of_x86(old: &[u8], new: &[u8], at: (u64, u64), votes: &mut Vec<Vote>) {
    let mut from = 0;
    while let Some(field) = x86::next(old, from) {
        from = field.at + 1;
        let start = field.at.saturating_sub(2);
        if old[start..field.at] != new[start..field.at] {
            continue;
        }
        let end = wide(field.end);
        let target = |bytes: &[u8], at: u64| {
            let distance = bytes[field.at..].first_chunk::<4>().copied();
            at.wrapping_add(end)
                .wrapping_add(extended(distance.unwrap_or_default()))
        };
        votes.push(Vote::new(target(old, at.0), target(new, at.1)));
        from = field.at + 4;
    }
}

/// Aligned words that both point into their file, or image, and differ.
fn pointers(
    old: &[u8],
    new: &[u8],
    at: u64,
    (old_region, new_region): (Region, Region),
    votes: &mut Vec<Vote>,
) {
    let skip = usize::try_from(at.wrapping_neg() & 7).unwrap_or(0);
    let (Some(old), Some(new)) = (old.get(skip..), new.get(skip..)) else {
        return;
    };
    let pairs = old.as_chunks::<8>().0.iter().zip(new.as_chunks::<8>().0);
    for (old, new) in pairs.filter(|(old, new)| old != new) {
        let [old, new] = [old, new].map(|word| u64::from_le_bytes(*word));
        // What is nowhere near is no pointer.
        if old.abs_diff(new) < 1 << 24 && old > 0xfff && new > 0xfff {
            votes.push(Vote::new(
                old.wrapping_add(old_region.pointer),
                new.wrapping_add(new_region.pointer),
            ));
        }
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
