//! Decides what goes into which frame.
//!
//! Zeros and unchanged pieces of at least a frame's output become frames of their own, which cost a few bytes
//! and nothing to decode. Everything between is cut into frames of at most that output.

use crate::diff::runs::{common_prefix, leading_zeros};
use crate::limits::MAX_RUN_OUTPUT;

/// A piece of the new image: copy from the old one, then literal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PieceEntry {
    pub(super) copy: usize,
    pub(super) extra: usize,
    pub(super) old_offset: usize,
}

/// What one frame is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Zero {
        output: usize,
    },
    Copy {
        output: usize,
        old_offset: usize,
    },
    Streams {
        new_offset: usize,
        output: usize,
        entries: Vec<PieceEntry>,
    },
}

impl Piece {
    pub(super) fn output(&self) -> usize {
        match self {
            Self::Zero { output } | Self::Copy { output, .. } | Self::Streams { output, .. } => {
                *output
            }
        }
    }
}

/// Cuts `ops`, which yield all of `new`, into frames.
pub(super) fn plan(old: &[u8], new: &[u8], ops: &[PieceEntry], frame_output: u32) -> Vec<Piece> {
    let frame = usize::try_from(frame_output).unwrap_or(usize::MAX);
    let mut planner = Planner {
        frame,
        pieces: Vec::new(),
        open: Open::default(),
    };
    let mut at = 0_usize;
    for op in ops {
        planner.copy(old, new, &mut at, op.old_offset, op.copy);
        planner.extra(new, &mut at, op.extra);
    }
    planner.close();
    planner.pieces
}

/// Entries of the frame that is being filled.
#[derive(Default)]
struct Open {
    new_offset: usize,
    output: usize,
    entries: Vec<PieceEntry>,
}

struct Planner {
    frame: usize,
    pieces: Vec<Piece>,
    open: Open,
}

impl Planner {
    /// Adds a copy, taking out runs that stay as they are.
    fn copy(&mut self, old: &[u8], new: &[u8], at: &mut usize, old_offset: usize, length: usize) {
        let end = at.saturating_add(length);
        let mut from = old_offset;
        let mut pending = 0_usize;
        while *at < end {
            let rest = new.get(*at..end).unwrap_or_default();
            let zeros = leading_zeros(rest);
            let same = common_prefix(rest, old.get(from..).unwrap_or_default());
            let run = zeros.max(same);
            if run >= self.frame {
                self.put_copy(
                    at.saturating_sub(pending),
                    from.saturating_sub(pending),
                    pending,
                );
                pending = 0;
                self.put_run(run, (same == run).then_some(from));
                *at = at.saturating_add(run);
                from = from.saturating_add(run);
            } else {
                // Past the run and the byte that ends it.
                let step = same.max(zeros).saturating_add(1).min(rest.len());
                pending = pending.saturating_add(step);
                *at = at.saturating_add(step);
                from = from.saturating_add(step);
            }
        }
        self.put_copy(
            at.saturating_sub(pending),
            from.saturating_sub(pending),
            pending,
        );
    }

    /// Adds literal bytes, taking out runs of zeros.
    fn extra(&mut self, new: &[u8], at: &mut usize, length: usize) {
        let end = at.saturating_add(length);
        let mut pending = 0_usize;
        while *at < end {
            let rest = new.get(*at..end).unwrap_or_default();
            let zeros = leading_zeros(rest);
            if zeros >= self.frame {
                self.put_extra(at.saturating_sub(pending), pending);
                pending = 0;
                self.put_run(zeros, None);
                *at = at.saturating_add(zeros);
            } else {
                let step = zeros.saturating_add(1).min(rest.len());
                pending = pending.saturating_add(step);
                *at = at.saturating_add(step);
            }
        }
        self.put_extra(at.saturating_sub(pending), pending);
    }

    /// A run of its own: unchanged from `old_offset` on, or zeros.
    fn put_run(&mut self, mut length: usize, old_offset: Option<usize>) {
        self.close();
        let most = usize::try_from(MAX_RUN_OUTPUT).unwrap_or(usize::MAX);
        let mut done = 0_usize;
        while length > 0 {
            let output = length.min(most);
            self.pieces.push(match old_offset {
                Some(from) => Piece::Copy {
                    output,
                    old_offset: from.saturating_add(done),
                },
                None => Piece::Zero { output },
            });
            length = length.saturating_sub(output);
            done = done.saturating_add(output);
        }
    }

    fn put_copy(&mut self, new_offset: usize, old_offset: usize, length: usize) {
        let mut done = 0_usize;
        while done < length {
            let copy = self
                .room(new_offset.saturating_add(done))
                .min(length.saturating_sub(done));
            let old_offset = old_offset.saturating_add(done);
            self.open.entries.push(PieceEntry {
                copy,
                extra: 0,
                old_offset,
            });
            self.open.output = self.open.output.saturating_add(copy);
            done = done.saturating_add(copy);
        }
    }

    fn put_extra(&mut self, new_offset: usize, length: usize) {
        let mut done = 0_usize;
        while done < length {
            let extra = self
                .room(new_offset.saturating_add(done))
                .min(length.saturating_sub(done));
            match self.open.entries.last_mut() {
                Some(entry) => entry.extra = entry.extra.saturating_add(extra),
                None => self.open.entries.push(PieceEntry {
                    copy: 0,
                    extra,
                    old_offset: 0,
                }),
            }
            self.open.output = self.open.output.saturating_add(extra);
            done = done.saturating_add(extra);
        }
    }

    /// Bytes that fit into the open frame, at least 1: a full one is closed, and an empty one begins at `new_offset`.
    fn room(&mut self, new_offset: usize) -> usize {
        if self.open.output >= self.frame {
            self.close();
        }
        if self.open.entries.is_empty() {
            self.open.new_offset = new_offset;
        }
        self.frame.saturating_sub(self.open.output)
    }

    fn close(&mut self) {
        let Open {
            new_offset,
            output,
            entries,
        } = std::mem::take(&mut self.open);
        if !entries.is_empty() {
            self.pieces.push(Piece::Streams {
                new_offset,
                output,
                entries,
            });
        }
    }
}
