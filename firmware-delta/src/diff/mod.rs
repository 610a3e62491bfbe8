//! The host side: makes payloads.
//!
//! ```text
//! old, new -> spaces (containers unpacked) -> matches (suffix array, one segment of new at a time) -> plan (what goes into which frame)
//!          -> encoded frames (in parallel) -> sealed from the last to the first, then written
//! ```
//!
//! The same inputs and options give the same bytes, whatever the number of threads: work is cut by fixed
//! sizes, never by the number of workers. Threads are those of the rayon pool that the call runs in.

mod addresses;
mod container;
mod encode;
mod error;
mod extend;
mod full;
mod index;
mod large;
mod matcher;
mod options;
mod plan;
mod runs;
mod seal;
mod spool;
mod streams;

use std::io::Write;

use rayon::prelude::*;

use encode::Encoder;
pub use error::DiffError;
pub use full::full;
pub use large::{LEAST_DIFF_MEMORY, diff_memory, diff_within};
use options::Counter;
pub use options::{DiffOptions, DiffProgress, DiffStage, StreamCodec};
pub use seal::Built;
use seal::Images;
pub use spool::Spool;

use crate::expectation::ImageId;

/// Makes the delta payload that turns `old` into `new`, and writes it to `to`.
///
/// Besides the images, memory holds the suffix array of the old one (4 bytes for each of its bytes, 8 from
/// 2 GiB on), a table of up to 128 MiB, and all encoded frames, that is the payload: it is sealed from its end.
///
/// # Errors
/// [`DiffError::Option`] for an option out of its range, [`DiffError::Write`] if `to` fails,
/// [`DiffError::Index`] or [`DiffError::Compress`] if memory does not suffice.
pub fn diff(
    old: &[u8],
    new: &[u8],
    options: &DiffOptions,
    to: &mut dyn Write,
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<Built, DiffError> {
    options.check()?;
    let (ids, prepared) = rayon::join(
        || rayon::join(|| ImageId::of(old), || ImageId::of(new)),
        || {
            let unpacking = Counter::new(DiffStage::Unpack, new.len(), progress);
            let most = usize::try_from(options.frame_output).unwrap_or(usize::MAX);
            let (old, new_space) = container::unpack(old, new, most, options.containers);
            unpacking.add(new.len());
            let ops = matcher::matches(&old.bytes, &new_space.bytes, progress)?;
            Ok::<_, DiffError>((old, new_space, ops))
        },
    );
    let (old_space, new_space, ops) = prepared?;
    let model = if options.predict {
        let (old, new) = (&old_space.bytes, &new_space.bytes);
        addresses::Model::of(old, new, &ops, options.frame_output)
    } else {
        None
    };
    let plan = plan::plan(&old_space, &new_space, &ops, options.frame_output);
    let images = encode::Images {
        image: new,
        old_length: old.len(),
        old: &old_space,
        new: &new_space,
        model: model.as_ref(),
    };
    let counter = Counter::new(DiffStage::Compress, new.len(), progress);
    let frames = plan
        .par_iter()
        .map_init(
            || Encoder::new(options),
            |encoder, piece| {
                let encoder = encoder.as_mut().map_err(|error| error.again())?;
                let frame = encoder.piece(piece, images);
                counter.add(piece.output);
                frame
            },
        )
        .collect::<Result<Vec<_>, _>>()?;
    let mut frames: Vec<_> = frames.into_iter().flatten().collect();
    let predicts = frames.iter().any(|frame| frame.predicts);
    if let Some(model) = model.filter(|_| predicts) {
        let map = Encoder::new(options)?.map(&model.map)?;
        frames.insert(0, map);
    }
    seal::seal(
        frames,
        Images {
            old: Some(ids.0),
            new: ids.1,
        },
        options,
        to,
        progress,
    )
}
