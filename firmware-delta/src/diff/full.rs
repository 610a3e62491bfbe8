//! Makes full payloads, from a stream: the image is never held as a whole.

use std::io::{self, Read, Write};

use rayon::prelude::*;

use crate::diff::encode::{Encoder, zero};
use crate::diff::options::{Counter, DiffOptions};
use crate::diff::runs::is_zero;
use crate::diff::seal::{Images, Unlinked, seal};
use crate::diff::spool::{Spool, Spooled};
use crate::diff::{Built, DiffError, DiffProgress, DiffStage};
use crate::digest::Running;
use crate::expectation::ImageId;
use crate::limits::MAX_RUN_OUTPUT;

/// Makes the full payload of the image that `new` reads, and writes it to `to`.
///
/// A payload is sealed from its end, so the encoded frames wait in `spool`, which takes as many bytes as the payload has. Memory holds
/// two frames for each thread, and 52 bytes for every frame of the image.
///
/// # Errors
/// [`DiffError::Option`] for an option out of its range, [`DiffError::Read`], [`DiffError::Spool`] and [`DiffError::Write`] if
/// one of the streams fails, [`DiffError::Compress`] if memory does not suffice.
pub fn full(
    new: &mut dyn Read,
    options: &DiffOptions,
    spool: &mut dyn Spool,
    to: &mut dyn Write,
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<Built, DiffError> {
    options.check()?;
    let counter = Counter::new(DiffStage::Compress, 0, progress);
    let mut digest = Running::new();
    let mut frames = Frames {
        done: Spooled::new(spool)?,
        zeros: 0,
    };
    let batch = rayon::current_num_threads().saturating_mul(2);
    loop {
        let pieces = read_batch(new, options.frame_output, batch, &mut digest)?;
        if pieces.is_empty() {
            break;
        }
        let encoded = pieces
            .into_par_iter()
            .map(|piece| {
                let length = piece.len();
                let frame = Literal::of(piece, options);
                counter.add(length);
                frame
            })
            .collect::<Result<Vec<_>, _>>()?;
        for frame in encoded {
            frames.push(frame)?;
        }
    }
    let images = Images {
        old: None,
        new: ImageId::from_running(&digest),
    };
    seal(frames.end()?, images, options, to, progress)
}

/// A piece of the image, encoded on its own.
enum Literal {
    Zeros(u64),
    Frame(Unlinked),
}

impl Literal {
    fn of(piece: Vec<u8>, options: &DiffOptions) -> Result<Self, DiffError> {
        if is_zero(&piece) {
            return Ok(Self::Zeros(u64::try_from(piece.len()).unwrap_or(u64::MAX)));
        }
        Ok(Self::Frame(Encoder::new(options)?.literal(piece)?))
    }
}

/// Frames so far; zeros are kept back, to be one frame with the zeros behind them.
struct Frames<'a> {
    done: Spooled<'a>,
    zeros: u64,
}

impl<'a> Frames<'a> {
    fn push(&mut self, literal: Literal) -> Result<(), DiffError> {
        match literal {
            Literal::Zeros(more) => {
                if self.zeros.saturating_add(more) > MAX_RUN_OUTPUT {
                    self.put_zeros()?;
                }
                self.zeros = self.zeros.saturating_add(more);
                Ok(())
            }
            Literal::Frame(frame) => {
                self.put_zeros()?;
                self.done.push(&frame)
            }
        }
    }

    fn put_zeros(&mut self) -> Result<(), DiffError> {
        match std::mem::take(&mut self.zeros) {
            0 => Ok(()),
            zeros => self.done.push(&zero(zeros)),
        }
    }

    fn end(mut self) -> Result<Spooled<'a>, DiffError> {
        self.put_zeros()?;
        Ok(self.done)
    }
}

/// Up to `batch` pieces of `frame_output` bytes; only the last of the image is shorter.
fn read_batch(
    new: &mut dyn Read,
    frame_output: u32,
    batch: usize,
    digest: &mut Running,
) -> Result<Vec<Vec<u8>>, DiffError> {
    let mut pieces = Vec::with_capacity(batch);
    while pieces.len() < batch {
        let mut piece = Vec::new();
        let offset = digest.length();
        let read = new.take(frame_output.into()).read_to_end(&mut piece);
        read.map_err(|source: io::Error| DiffError::Read { offset, source })?;
        if piece.is_empty() {
            break;
        }
        digest.update(&piece);
        pieces.push(piece);
    }
    Ok(pieces)
}
