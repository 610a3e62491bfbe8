//! Deltas of images that memory does not hold.
//!
//! ```text
//! old -> samples (a block index of bounded size)
//! new, 1 MiB at a time -> stretches: unchanged where they are, or changed -> batches of changed ones
//! batch -> votes of its samples -> the blocks of old that it may come from -> suffix array of these -> frames, into the spool
//! ```
//!
//! What is found is what stands in the blocks that were elected: so a delta is larger than one made in memory, and contains no
//! predictions of addresses and no unpacked blocks, which need a view of both images as a whole.

mod batches;
mod samples;

use std::io::{Read, Write};

use crate::diff::options::Counter;
use crate::diff::seal::{Images, seal};
use crate::diff::spool::{Spool, Spooled};
use crate::diff::{Built, DiffError, DiffOptions, DiffProgress, DiffStage};
use crate::digest::Running;
use crate::expectation::ImageId;
use crate::old::OldImage;
use batches::Batches;
use samples::{BLOCK, Samples};

/// Bytes of new image that are compared with what stands at the same place in the old one.
const CHUNK: usize = 1 << 20;

/// Least memory that [`diff_within`] can work in: 512 MiB.
pub const LEAST_DIFF_MEMORY: u64 = 512 << 20;

/// What the table of the index, the compressors of a few threads and the program itself take.
const FIXED: u64 = 224 << 20;

/// About how many bytes [`diff`](crate::diff) holds at once for images of these lengths; for images of compressed blocks, those
/// of what they unpack to.
#[must_use]
pub fn diff_memory(old: u64, new: u64) -> u64 {
    // Both images, a suffix array of 4 or 8 bytes for each place, and what is compressed.
    let wide = old > i32::MAX.unsigned_abs().into();
    let old = old.saturating_mul(if wide { 9 } else { 5 });
    let new = new.saturating_add(new / 4);
    FIXED.saturating_add(old).saturating_add(new)
}

/// Makes the delta payload that turns `old` into what `new` reads, and writes it to `to`, in about `memory` bytes whatever the lengths of
/// the images. [`DiffOptions::containers`] and [`DiffOptions::predict`] have no effect: [`diff`](crate::diff) makes smaller
/// payloads where its [memory](diff_memory) is at hand. Encoded frames wait in `spool`. The same inputs, options and memory give the same bytes.
///
/// # Errors
/// [`DiffError::Option`] for an option out of its range, memory too, whose least is [`LEAST_DIFF_MEMORY`]; [`DiffError::ReadOld`],
/// [`DiffError::Read`], [`DiffError::Spool`] and [`DiffError::Write`] if one of the streams fails.
pub fn diff_within(
    memory: u64,
    old: &mut dyn OldImage,
    new: &mut dyn Read,
    options: &DiffOptions,
    spool: &mut dyn Spool,
    to: &mut dyn Write,
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<Built, DiffError> {
    check_memory(memory)?;
    // Seven for a batch: its bytes, as much of the old image with its suffix array, and what came of it.
    let unit = memory.saturating_sub(FIXED).saturating_sub(memory / 16) / 7;
    let unit = usize::try_from(unit.min(1 << 30)).unwrap_or(BLOCK);
    let sizes = (memory / 16, unit);
    in_batches(sizes, old, new, options, spool, to, progress)
}

/// The same with sizes of its own: of the samples, and of what is compared at once.
fn in_batches(
    (samples, unit): (u64, usize),
    old: &mut dyn OldImage,
    new: &mut dyn Read,
    options: &DiffOptions,
    spool: &mut dyn Spool,
    to: &mut dyn Write,
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<Built, DiffError> {
    options.check()?;
    let (samples, old_id) = sample(old, samples, progress)?;
    let counter = Counter::new(DiffStage::Compress, 0, progress);
    let frames = Spooled::new(spool)?;
    let mut batches = Batches::new(old, samples, unit, options, counter, frames);
    let new = batches.read(new)?;
    let images = Images {
        old: Some(old_id),
        new,
    };
    seal(batches.end(), images, options, to, progress)
}

fn check_memory(memory: u64) -> Result<(), DiffError> {
    if memory >= LEAST_DIFF_MEMORY {
        return Ok(());
    }
    Err(DiffError::Option {
        option: "memory",
        least: LEAST_DIFF_MEMORY.cast_signed(),
        most: i64::MAX,
        found: i64::try_from(memory).unwrap_or(i64::MAX),
    })
}

/// Reads the old image once.
fn sample(
    old: &mut dyn OldImage,
    memory: u64,
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<(Samples, ImageId), DiffError> {
    let length = old.length();
    let total = usize::try_from(length).unwrap_or(usize::MAX);
    let counter = Counter::new(DiffStage::Index, total, progress);
    let mut samples = Samples::new(length, memory);
    let mut digest = Running::new();
    while digest.length() < length {
        let chunk = read_old(old, digest.length(), CHUNK)?;
        let add = || samples.add(&chunk);
        rayon::join(add, || digest.update(&chunk));
        counter.add(chunk.len());
    }
    samples.sort();
    Ok((samples, ImageId::from_running(&digest)))
}

/// Up to `most` bytes from `offset` on; fewer only at the end, none behind it.
fn read_old(old: &mut dyn OldImage, offset: u64, most: usize) -> Result<Vec<u8>, DiffError> {
    let offset = offset.min(old.length());
    let left = old.length().saturating_sub(offset);
    let length = usize::try_from(left).unwrap_or(most).min(most);
    let mut bytes = vec![0; length];
    old.read_at(offset, &mut bytes)
        .map_err(|source| DiffError::ReadOld { offset, source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
