//! Finds pieces of the old image in the new one.
//!
//! The new image is cut into segments, which are scanned independently of each other. Within one, the scan follows the piece at
//! hand (the *current alignment*: a distance between new and old) for as long as bytes are equal. Where they
//! are not, it looks for the longest equal piece anywhere, and changes to it if that explains clearly more
//! bytes than going on would. Then the old piece is extended forwards and the new one backwards over bytes that are
//! mostly equal, which is what makes a delta of machine code small: addresses differ, instructions do not.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: positions are kept within their slices, which bound every length"
)]

use std::ops::Range;

use rayon::prelude::*;

use crate::diff::extend::{agreement, backwards, change_over, forwards};
use crate::diff::index::{Found, Index};
use crate::diff::options::Counter;
use crate::diff::plan::PieceEntry;
use crate::diff::runs::{common_prefix, leading_zeros};
use crate::diff::{DiffError, DiffProgress, DiffStage};

/// Bytes of new image that are scanned on their own. A fixed size, so that the result does not depend on threads.
const SEGMENT: usize = 4 << 20;

// LEAST, SLACK, FOLLOW and REACH were tried on pairs of kernel modules and of large programs,
// related closely and distantly; together they were worth 2 to 4 per cent over the first guess.

/// Shortest equal piece that is worth looking at.
const LEAST: usize = 12;

/// How many more bytes a piece has to explain than the current alignment does: about what changing costs.
const SLACK: usize = 4;

/// Equal bytes of the current alignment from which on nothing else is looked for.
const FOLLOW: usize = 8;

/// Longest piece that is looked for at once. What lies behind is followed; so a search has a bounded cost.
const LONGEST: usize = 16 << 10;

/// A run of zeros that is left to the plan and to compression.
const ZEROS: usize = 4 << 10;

/// A copy: `length` bytes from `old` in the old image to `new` in the new one.
#[derive(Debug, Clone, Copy)]
struct Copy {
    new: usize,
    old: usize,
    length: usize,
}

/// Copies and literals that make all of `new`, in order.
pub(super) fn matches(
    old: &[u8],
    new: &[u8],
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<Vec<PieceEntry>, DiffError> {
    let sorting = Counter::new(DiffStage::Index, old.len(), progress);
    let index = Index::new(old)?;
    sorting.add(old.len());
    let counter = Counter::new(DiffStage::Match, new.len(), progress);
    Ok(ops(&index, old, new, &|length| counter.add(length)))
}

/// The same by an index of `old` that is there; `done` is told how many bytes were looked at.
pub(super) fn ops(
    index: &Index<'_>,
    old: &[u8],
    new: &[u8],
    done: &(dyn Fn(usize) + Sync),
) -> Vec<PieceEntry> {
    let segments: Vec<_> = (0..new.len())
        .step_by(SEGMENT)
        .map(|from| from..(from + SEGMENT).min(new.len()))
        .collect();
    let copies: Vec<_> = segments
        .into_par_iter()
        .map(|range| {
            let length = range.len();
            let copies = Scan::new(index, old, new, range).run();
            done(length);
            copies
        })
        .collect();
    entries(copies.concat(), new.len())
}

/// Joins copies that go on where the one before ended, and makes what is between them literal.
fn entries(copies: Vec<Copy>, new_length: usize) -> Vec<PieceEntry> {
    let mut entries: Vec<PieceEntry> = Vec::with_capacity(copies.len() + 1);
    let mut at = 0;
    for copy in copies {
        let literal = copy.new - at;
        at = copy.new + copy.length;
        match entries.last_mut() {
            Some(last)
                if literal == 0 && last.extra == 0 && last.old_offset + last.copy == copy.old =>
            {
                last.copy += copy.length;
                continue;
            }
            Some(last) => last.extra = literal,
            None if literal > 0 => {
                entries.push(PieceEntry {
                    copy: 0,
                    extra: literal,
                    old_offset: 0,
                });
            }
            None => {}
        }
        entries.push(PieceEntry {
            copy: copy.length,
            extra: 0,
            old_offset: copy.old,
        });
    }
    match entries.last_mut() {
        Some(last) => last.extra += new_length - at,
        None if new_length > 0 => {
            entries.push(PieceEntry {
                copy: 0,
                extra: new_length,
                old_offset: 0,
            });
        }
        None => {}
    }
    entries
}

/// The scan of one segment.
struct Scan<'a> {
    index: &'a Index<'a>,
    old: &'a [u8],
    new: &'a [u8],
    range: Range<usize>,
    copies: Vec<Copy>,
    /// The copy at hand, as far as it is certain.
    current: Option<Copy>,
}

impl<'a> Scan<'a> {
    fn new(index: &'a Index<'a>, old: &'a [u8], new: &'a [u8], range: Range<usize>) -> Self {
        Self {
            index,
            old,
            new,
            range,
            copies: Vec::new(),
            current: None,
        }
    }

    fn run(mut self) -> Vec<Copy> {
        let mut at = self.range.start;
        while at < self.range.end {
            let rest = &self.new[at..self.range.end];
            let run = common_prefix(rest, self.aligned(at));
            if run >= FOLLOW {
                at += run;
                continue;
            }
            if rest[0] == 0 {
                let zeros = leading_zeros(rest);
                if zeros >= ZEROS {
                    at += zeros;
                    continue;
                }
            }
            let wanted = &rest[..rest.len().min(LONGEST)];
            let found = self.index.longest(wanted);
            let going_on = agreement(self.aligned(at), &wanted[..found.length]);
            if found.length < LEAST || found.length <= going_on + SLACK {
                at += 1;
                continue;
            }
            let found = self.choose(at, wanted, found);
            self.change_to(Copy {
                new: at,
                old: found.old,
                length: found.length,
            });
            at += found.length;
        }
        self.end_current(self.range.end);
        self.copies
    }

    /// What the current alignment has for the new image from `at` on.
    fn aligned(&self, at: usize) -> &'a [u8] {
        let current = self
            .current
            .and_then(|copy| self.old.get(copy.old + (at - copy.new)..));
        current.unwrap_or_default()
    }

    /// Of several places that begin alike, the one whose surroundings are most alike, and of those the nearest.
    fn choose(&self, at: usize, wanted: &[u8], found: Found) -> Found {
        const REACH: usize = 32;
        let expected = self.current.map_or(at, |copy| copy.old + (at - copy.new));
        let rate = |place: &Found| {
            (
                self.likeness(at, place),
                std::cmp::Reverse(place.old.abs_diff(expected)),
            )
        };
        let least = found.length.saturating_sub(2).max(LEAST);
        let others = self.index.neighbours(found, wanted, least, REACH);
        std::iter::once(found)
            .chain(others)
            .max_by_key(rate)
            .unwrap_or(found)
    }

    /// How many bytes are equal from a little before a place to a little behind it.
    fn likeness(&self, at: usize, place: &Found) -> usize {
        const BEFORE: usize = 32;
        const BEHIND: usize = 64;
        let before = BEFORE.min(at - self.range.start).min(place.old);
        let behind = at + place.length;
        let end = (behind + BEHIND).min(self.range.end);
        agreement(
            &self.old[place.old - before..place.old],
            &self.new[at - before..at],
        ) + place.length
            + agreement(
                &self.old[place.old + place.length..],
                &self.new[behind..end],
            )
    }

    /// Ends the current copy where `next`, extended backwards, takes over.
    fn change_to(&mut self, next: Copy) {
        let end = self.forward_end(next.new);
        // Not further back than the current copy is certain.
        let floor = self
            .current
            .map_or(self.range.start, |copy| copy.new + copy.length);
        let back = backwards(
            &self.old[..next.old],
            &self.new[floor.min(next.new)..next.new],
        );
        let mut start = next.new - back;
        if end > start {
            let overlap = end - start;
            let second = next.old - back;
            let first = self.aligned(start);
            start += change_over(
                &first[..overlap],
                &self.old[second..second + overlap],
                &self.new[start..end],
            );
        }
        self.end_current_at(end.min(start));
        let moved = next.new - start;
        self.current = Some(Copy {
            new: start,
            old: next.old - moved,
            length: next.length + moved,
        });
    }

    /// Ends the current copy at or before `limit`, wherever it stops being worth it.
    fn end_current(&mut self, limit: usize) {
        let end = self.forward_end(limit);
        self.end_current_at(end);
    }

    fn end_current_at(&mut self, end: usize) {
        if let Some(copy) = self.current.take()
            && end > copy.new
        {
            self.copies.push(Copy {
                length: end - copy.new,
                ..copy
            });
        }
    }

    /// How far, up to `limit`, the current copy is worth going on. Its start if there is none.
    fn forward_end(&self, limit: usize) -> usize {
        let Some(copy) = self.current else {
            return self.range.start;
        };
        let certain = copy.new + copy.length;
        let certain = certain.min(limit);
        certain + forwards(self.aligned(certain), &self.new[certain..limit])
    }
}
