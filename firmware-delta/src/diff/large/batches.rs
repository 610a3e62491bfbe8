//! The new image in batches of changed stretches, each compared with the blocks that it may come from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use rayon::prelude::*;

use super::samples::{BLOCK, Samples, elect};
use super::{CHUNK, read_old};
use crate::diff::container::{NewPart, NewSpace, OldPart, OldSpace};
use crate::diff::encode::{self, Encoder};
use crate::diff::index::Index;
use crate::diff::matcher;
use crate::diff::options::Counter;
use crate::diff::plan::{Piece, plan};
use crate::diff::seal::Unlinked;
use crate::diff::spool::Spooled;
use crate::diff::{DiffError, DiffOptions};
use crate::digest::Running;
use crate::expectation::ImageId;
use crate::format::recipe::Segment;
use crate::limits::MAX_RUN_OUTPUT;
use crate::old::OldImage;

/// A piece of the new image.
enum Stretch {
    /// What stands at the same offset of the old image.
    Same { offset: u64, length: u64 },
    /// Other bytes, and their offset.
    Changed { offset: u64, bytes: Vec<u8> },
}

pub(super) struct Batches<'a, 's> {
    old: &'a mut dyn OldImage,
    samples: Samples,
    unit: usize,
    options: &'a DiffOptions,
    counter: Counter<'a>,
    frames: Spooled<'s>,
    batch: Vec<Stretch>,
    /// Bytes of changed stretches in it.
    held: usize,
}

impl<'a, 's> Batches<'a, 's> {
    /// `unit` is how many changed bytes are compared at once, and with how many of the old image.
    pub(super) fn new(
        old: &'a mut dyn OldImage,
        samples: Samples,
        unit: usize,
        options: &'a DiffOptions,
        counter: Counter<'a>,
        frames: Spooled<'s>,
    ) -> Self {
        Self {
            old,
            samples,
            unit,
            options,
            counter,
            frames,
            batch: Vec::new(),
            held: 0,
        }
    }

    /// The frames that were made.
    pub(super) fn end(self) -> Spooled<'s> {
        self.frames
    }

    /// Makes frames of all that `new` reads.
    pub(super) fn read(&mut self, new: &mut dyn Read) -> Result<ImageId, DiffError> {
        let mut digest = Running::new();
        loop {
            let offset = digest.length();
            let mut chunk = Vec::with_capacity(CHUNK);
            let most = u64::try_from(CHUNK).unwrap_or(u64::MAX);
            let read = new.take(most).read_to_end(&mut chunk);
            read.map_err(|source| DiffError::Read { offset, source })?;
            if chunk.is_empty() {
                break;
            }
            digest.update(&chunk);
            let there = read_old(self.old, offset, chunk.len())?;
            if there == chunk {
                self.same(offset, chunk.len());
            } else {
                self.changed(offset, chunk)?;
            }
        }
        self.flush()?;
        Ok(ImageId::from_running(&digest))
    }

    fn same(&mut self, at: u64, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        match self.batch.last_mut() {
            Some(Stretch::Same { length, .. }) if *length < MAX_RUN_OUTPUT => {
                *length = length.saturating_add(more);
            }
            _ => self.batch.push(Stretch::Same {
                offset: at,
                length: more,
            }),
        }
    }

    fn changed(&mut self, at: u64, mut more: Vec<u8>) -> Result<(), DiffError> {
        self.held = self.held.saturating_add(more.len());
        match self.batch.last_mut() {
            Some(Stretch::Changed { bytes, .. }) => bytes.append(&mut more),
            _ => self.batch.push(Stretch::Changed {
                offset: at,
                bytes: more,
            }),
        }
        if self.held.saturating_add(CHUNK) > self.unit {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes frames of the batch.
    fn flush(&mut self) -> Result<(), DiffError> {
        let batch = std::mem::take(&mut self.batch);
        self.held = 0;
        let space = self.space(&batch)?;
        let index = Index::new(&space.bytes)?;
        let old_length = usize::try_from(self.old.length()).unwrap_or(usize::MAX);
        let (options, counter) = (self.options, &self.counter);
        let frames = batch
            .par_iter()
            .map(|stretch| {
                let frames = frames(stretch, &space, &index, old_length, options)?;
                counter.add(stretch.length());
                Ok(frames)
            })
            .collect::<Result<Vec<_>, DiffError>>()?;
        frames
            .iter()
            .flatten()
            .try_for_each(|frame| self.frames.push(frame))
    }

    /// What of the old image the changed stretches may come from.
    fn space(&mut self, batch: &[Stretch]) -> Result<OldSpace<'static>, DiffError> {
        let mut votes = BTreeMap::new();
        let mut beside = Vec::new();
        for stretch in batch {
            if let Stretch::Changed { offset, bytes } = stretch {
                self.samples.vote(bytes, &mut votes);
                let block = |at: u64| {
                    let size = u64::try_from(BLOCK).unwrap_or(1);
                    u32::try_from(at.checked_div(size).unwrap_or(0)).unwrap_or(u32::MAX)
                };
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                beside.extend(block(*offset)..block(offset.saturating_add(length)));
            }
        }
        let most = self.unit.checked_div(BLOCK).unwrap_or(1);
        let mut space = Vec::new();
        let mut parts: Vec<OldPart> = Vec::new();
        for block in elect(&votes, beside.into_iter(), most) {
            let size = u64::try_from(BLOCK).unwrap_or(1);
            let offset = u64::from(block).saturating_mul(size);
            let bytes = read_old(self.old, offset, BLOCK)?;
            if bytes.is_empty() {
                continue;
            }
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            match parts.last_mut() {
                Some(last) if last.offset.saturating_add(last.length) == offset => {
                    last.length = last.length.saturating_add(bytes.len());
                }
                _ => parts.push(OldPart {
                    start: space.len(),
                    length: bytes.len(),
                    offset,
                    block: None,
                }),
            }
            space.extend_from_slice(&bytes);
        }
        Ok(OldSpace {
            bytes: Cow::Owned(space),
            parts,
        })
    }
}

impl Stretch {
    fn length(&self) -> usize {
        match self {
            Self::Same { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
            Self::Changed { bytes, .. } => bytes.len(),
        }
    }
}

fn frames(
    stretch: &Stretch,
    old: &OldSpace<'_>,
    index: &Index<'_>,
    old_length: usize,
    options: &DiffOptions,
) -> Result<Vec<Unlinked>, DiffError> {
    let empty = NewSpace {
        bytes: Cow::Borrowed(&[]),
        parts: Vec::new(),
    };
    let (new, pieces) = match stretch {
        Stretch::Same { offset, length } => {
            let segment = Segment::Copy {
                length: *length,
                old_offset: *offset,
            };
            let piece = Piece {
                output: stretch.length(),
                segments: vec![segment],
                ..Piece::default()
            };
            (empty, vec![piece])
        }
        Stretch::Changed { bytes, .. } => {
            let new = NewSpace {
                bytes: Cow::Borrowed(bytes.as_slice()),
                parts: vec![NewPart::Plain {
                    length: bytes.len(),
                }],
            };
            let ops = matcher::ops(index, &old.bytes, bytes, &|_| {});
            let pieces = plan(old, &new, &ops, options.frame_output);
            (new, pieces)
        }
    };
    let images = encode::Images {
        image: &new.bytes,
        old_length,
        old,
        new: &new,
        model: None,
    };
    let frames = pieces
        .par_iter()
        .map_init(
            || Encoder::new(options),
            |encoder, piece| {
                let encoder = encoder.as_mut().map_err(|error| error.again())?;
                encoder.piece(piece, images)
            },
        )
        .collect::<Result<Vec<_>, DiffError>>()?;
    Ok(frames.into_iter().flatten().collect())
}
