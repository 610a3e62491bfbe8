//! Decides what goes into which frame.
//!
//! Zeros and long unchanged pieces become segments of their own, which cost a few bytes and nothing to decode; a frame
//! of nothing else needs no streams. A frame ends where it would decode to more than the frame output, or where it
//! has done as much as one frame may.

use std::collections::BTreeSet;

use crate::diff::container::{NewPart, NewSpace, OldPart, OldSpace};
use crate::diff::runs::{common_prefix, leading_zeros};
use crate::format::recipe::Segment;
use crate::limits::{MAX_RUN_OUTPUT, MAX_SOURCES, max_recipe_bytes};

/// A piece of the new space: copy from the old one, then literal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PieceEntry {
    pub(super) copy: usize,
    pub(super) extra: usize,
    pub(super) old_offset: usize,
}

/// The same at its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) new_offset: usize,
    pub(super) entry: PieceEntry,
}

/// What one frame is made of.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Where its output begins in the new image.
    pub(super) image_offset: usize,
    pub(super) output: usize,
    /// Bytes that it decodes to.
    pub(super) decoded: usize,
    pub(super) entries: Vec<Placed>,
    pub(super) segments: Vec<Segment>,
    /// Parts of the old space that have to be unpacked for it.
    pub(super) sources: BTreeSet<usize>,
}

/// Shortest run of zeros or unchanged bytes that becomes a segment.
const RUN: usize = 8 << 10;

/// About what a segment or a source takes up in a recipe, at most.
const RECIPE_ENTRY: usize = 24;

/// Cuts `ops`, which yield all of the new space, into frames.
pub(super) fn plan(
    old: &OldSpace<'_>,
    new: &NewSpace<'_>,
    ops: &[PieceEntry],
    frame_output: u32,
) -> Vec<Piece> {
    let frame = usize::try_from(frame_output).unwrap_or(usize::MAX);
    let recipe = usize::try_from(max_recipe_bytes(frame_output)).unwrap_or(usize::MAX);
    let mut planner = Planner {
        old,
        new: &new.bytes,
        frame,
        most_entries: recipe.saturating_div(RECIPE_ENTRY),
        pieces: Vec::new(),
        open: Piece::default(),
        image_offset: 0,
    };
    let mut ops = Ops {
        ops,
        done: 0,
        at: 0,
    };
    for part in &new.parts {
        match *part {
            NewPart::Copy { length, old_offset } => planner.run(length, Some(old_offset)),
            NewPart::Plain { length } => {
                ops.each(length, |at, op| planner.plain(at, op));
            }
            NewPart::Pack {
                length,
                packed,
                packing,
            } => {
                planner.make_room(length);
                ops.each(length, |at, op| planner.entry(at, op));
                planner.segment(Segment::Pack {
                    length: wide(length),
                    packed: wide(packed),
                    packing,
                });
                planner.open.decoded = planner.open.decoded.saturating_add(length);
            }
        }
    }
    planner.close();
    planner.pieces
}

/// Ops that are taken off piece by piece.
struct Ops<'a> {
    ops: &'a [PieceEntry],
    /// Bytes of the first op that were taken.
    done: usize,
    /// Where in the new space.
    at: usize,
}

impl Ops<'_> {
    /// Takes the ops of the next `length` bytes, cut at the end.
    fn each(&mut self, mut length: usize, mut take: impl FnMut(usize, PieceEntry)) {
        while let (Some((op, rest)), true) = (self.ops.split_first(), length > 0) {
            let copy_done = self.done.min(op.copy);
            let extra_done = self.done.saturating_sub(op.copy);
            let copy = op.copy.saturating_sub(copy_done).min(length);
            let extra = op
                .extra
                .saturating_sub(extra_done)
                .min(length.saturating_sub(copy));
            take(
                self.at,
                PieceEntry {
                    copy,
                    extra,
                    old_offset: op.old_offset.saturating_add(copy_done),
                },
            );
            let taken = copy.saturating_add(extra);
            self.at = self.at.saturating_add(taken);
            self.done = self.done.saturating_add(taken);
            length = length.saturating_sub(taken);
            if self.done >= op.copy.saturating_add(op.extra) {
                self.ops = rest;
                self.done = 0;
            }
        }
    }
}

struct Planner<'a> {
    old: &'a OldSpace<'a>,
    new: &'a [u8],
    frame: usize,
    most_entries: usize,
    pieces: Vec<Piece>,
    open: Piece,
    /// How far the new image is made.
    image_offset: usize,
}

impl Planner<'_> {
    /// An op of bytes that stay as they are decoded: runs are taken out of it.
    fn plain(&mut self, new_offset: usize, op: PieceEntry) {
        let (mut at, mut from) = (new_offset, op.old_offset);
        let mut pending = 0_usize;
        let end = at.saturating_add(op.copy);
        while at < end {
            let rest = self.new.get(at..end).unwrap_or_default();
            let zeros = leading_zeros(rest);
            let same = common_prefix(rest, self.old.bytes.get(from..).unwrap_or_default());
            let image = self.in_image(from);
            let same = image.map_or(0, |(_, length)| same.min(length));
            let run = zeros.max(same);
            // Past the run and the byte that ends it.
            let mut step = run.saturating_add(1).min(rest.len());
            if run >= RUN {
                self.copied(at, from, pending);
                pending = 0;
                step = run;
                let old_offset = image.filter(|_| same == run).map(|(offset, _)| offset);
                self.run(run, old_offset);
            } else {
                pending = pending.saturating_add(step);
            }
            at = at.saturating_add(step);
            from = from.saturating_add(step);
        }
        self.copied(at, from, pending);
        self.extra(at, op.extra);
    }

    /// Where the byte `from` of the old space stands in the old image, and how many behind it stand there too;
    /// nothing if it is in a block.
    fn in_image(&self, from: usize) -> Option<(usize, usize)> {
        let part = self.old.parts.get(part_of(&self.old.parts, from))?;
        let inside = from.checked_sub(part.start)?;
        let left = part.length.checked_sub(inside)?;
        let offset = part.offset.saturating_add(inside);
        part.block.is_none().then_some((offset, left))
    }

    /// The copied bytes that end at `at` and `from`.
    fn copied(&mut self, at: usize, from: usize, length: usize) {
        let mut at = at.saturating_sub(length);
        let mut old_offset = from.saturating_sub(length);
        let mut left = length;
        while left > 0 {
            let copy = self.room().min(left);
            let op = PieceEntry {
                copy,
                extra: 0,
                old_offset,
            };
            self.entry(at, op);
            self.decoded(copy);
            at = at.saturating_add(copy);
            old_offset = old_offset.saturating_add(copy);
            left = left.saturating_sub(copy);
        }
    }

    /// Literal bytes, but for runs of zeros.
    fn extra(&mut self, mut at: usize, length: usize) {
        let end = at.saturating_add(length);
        let mut from = at;
        while at < end {
            let rest = self.new.get(at..end).unwrap_or_default();
            let zeros = leading_zeros(rest);
            if zeros >= RUN {
                self.literal(from, at);
                self.run(zeros, None);
                at = at.saturating_add(zeros);
                from = at;
            } else {
                at = at.saturating_add(zeros.saturating_add(1).min(rest.len()));
            }
        }
        self.literal(from, end);
    }

    fn literal(&mut self, mut at: usize, end: usize) {
        while at < end {
            let extra = self.room().min(end.saturating_sub(at));
            let op = PieceEntry {
                copy: 0,
                extra,
                old_offset: 0,
            };
            self.entry(at, op);
            self.decoded(extra);
            at = at.saturating_add(extra);
        }
    }

    /// Adds an entry to the open frame; goes on with the one before, if it continues that.
    fn entry(&mut self, new_offset: usize, entry: PieceEntry) {
        if entry.copy > 0 {
            let mut at = entry.old_offset;
            let end = at.saturating_add(entry.copy);
            let mut index = part_of(&self.old.parts, at);
            while let Some(part) = self.old.parts.get(index).filter(|_| at < end) {
                if part.block.is_some() {
                    self.open.sources.insert(index);
                }
                at = part.start.saturating_add(part.length);
                index = index.saturating_add(1);
            }
        }
        let last = self.open.entries.last_mut().filter(|last| {
            let behind = last.new_offset.saturating_add(last.entry.copy);
            entry.copy == 0 && behind.saturating_add(last.entry.extra) == new_offset
        });
        match last {
            Some(last) => last.entry.extra = last.entry.extra.saturating_add(entry.extra),
            None => self.open.entries.push(Placed { new_offset, entry }),
        }
    }

    /// `length` bytes more that stay as they are decoded.
    fn decoded(&mut self, length: usize) {
        self.open.decoded = self.open.decoded.saturating_add(length);
        let length = wide(length);
        self.segment(Segment::Plain { length });
    }

    /// A run of its own: unchanged from `old_offset` on, or zeros.
    fn run(&mut self, mut length: usize, mut old_offset: Option<usize>) {
        let most = usize::try_from(MAX_RUN_OUTPUT).unwrap_or(usize::MAX);
        while length > 0 {
            if self.open.output >= most {
                self.close();
            }
            let part = most.saturating_sub(self.open.output).min(length);
            self.segment(match old_offset {
                Some(from) => Segment::Copy {
                    length: wide(part),
                    old_offset: wide(from),
                },
                None => Segment::Zero { length: wide(part) },
            });
            old_offset = old_offset.map(|from| from.saturating_add(part));
            length = length.saturating_sub(part);
        }
    }

    fn segment(&mut self, segment: Segment) {
        let output = usize::try_from(segment.output()).unwrap_or(usize::MAX);
        self.open.output = self.open.output.saturating_add(output);
        self.image_offset = self.image_offset.saturating_add(output);
        match (self.open.segments.last_mut(), segment) {
            (Some(Segment::Plain { length }), Segment::Plain { length: more })
            | (Some(Segment::Zero { length }), Segment::Zero { length: more }) => {
                *length = length.saturating_add(more);
            }
            _ => self.open.segments.push(segment),
        }
    }

    /// Bytes that the open frame may still decode to, at least 1: a full one is closed.
    fn room(&mut self) -> usize {
        self.make_room(1);
        let most = usize::try_from(MAX_RUN_OUTPUT).unwrap_or(usize::MAX);
        let output = most.saturating_sub(self.open.output);
        self.frame.saturating_sub(self.open.decoded).min(output)
    }

    /// Closes the open frame if it cannot take `length` decoded bytes more.
    fn make_room(&mut self, length: usize) {
        let most = usize::try_from(MAX_RUN_OUTPUT).unwrap_or(usize::MAX);
        let sources = usize::try_from(MAX_SOURCES / 2).unwrap_or(usize::MAX);
        let listed = self
            .open
            .segments
            .len()
            .saturating_add(self.open.sources.len());
        if self.open.decoded.saturating_add(length) > self.frame
            || self.open.output.saturating_add(length) > most
            || listed.saturating_mul(2) > self.most_entries
            || self.open.sources.len() > sources
        {
            self.close();
        }
    }

    fn close(&mut self) {
        let next = Piece {
            image_offset: self.image_offset,
            ..Piece::default()
        };
        let piece = std::mem::replace(&mut self.open, next);
        if piece.output > 0 {
            self.pieces.push(piece);
        }
    }
}

/// Index of the part that byte `at` of the old space is in.
pub(super) fn part_of(parts: &[OldPart], at: usize) -> usize {
    parts
        .partition_point(|part| part.start <= at)
        .saturating_sub(1)
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
