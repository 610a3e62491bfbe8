//! Firmware payloads: bytes in, bytes out.
//!
//! A payload turns what a device has into what it should have. A *delta* payload needs the old image,
//! a *full* payload needs nothing; both have one format, described byte by byte in `docs/FORMATS-payload.md`.
//! This crate has no files, network, clock or trust of its own: a caller that verified signed
//! metadata says what it [expects](Expectation), pushes bytes as they arrive, and is given back the
//! new image or an error that names the frame at fault.
//!
//! # Order of steps on a device
//!
//! 1. [`verify_old`] reads the old image once and compares its digest: nothing was written yet.
//! 2. [`Applier::new`] takes the expectation (from the signed manifest), limits and the verified old image.
//! 3. [`Applier::push`] buffers one frame, compares its SHA-256 with the digest that the frame before
//!    it carried (the manifest carries the first), and only then decodes it and writes its output.
//! 4. [`Applier::checkpoint`] after any push: what to store to go on later with [`Applier::resume`].
//! 5. [`Applier::finish`] compares length and digest of everything that was written.
//!
//! Memory is bounded by [`Limits`], never by a number that a payload names: about four times the
//! frame size, so 4 MiB with frames of 1 MiB, whatever the size of the images.
//!
//! Images of compressed blocks (squashfs) are compared unpacked, and the device packs what changed again, bit for bit:
//! [`DiffOptions::containers`]. What a device can pack is a choice of features: `zlib`, `xz`, `zstd-blocks`.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "diff")] {
//! use firmware_delta::{diff, verify_old, Applier, DiffOptions, Expectation, Limits};
//!
//! let old = b"the firmware that stands in the slot".repeat(100);
//! let new = b"the firmware that should stand there".repeat(100);
//!
//! // Host: what `built` says goes into the manifest, which is then signed.
//! let mut payload = Vec::new();
//! let built = diff(&old, &new, &DiffOptions::default(), &mut payload, &|_| {}).unwrap();
//!
//! // Device: what the manifest says is what is expected.
//! let expected = Expectation { head: built.head, new: built.new, old: built.old };
//! let old = verify_old(old.as_slice(), &expected.old.unwrap()).unwrap();
//! let mut applier = Applier::new(expected, Limits::default(), old).unwrap();
//! let mut slot = Vec::new();
//! for chunk in payload.chunks(100) {
//!     applier.push(chunk, &mut slot).unwrap();
//! }
//! applier.finish().unwrap();
//! assert_eq!(slot, new);
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects)]

mod apply;
mod blocks;
mod chain;
mod checkpoint;
mod codec;
mod cost;
mod digest;
mod error;
mod expectation;
pub mod format;
mod inspect;
mod limits;
mod old;
mod predict;

#[cfg(feature = "diff")]
mod diff;

pub use apply::{Applied, Applier, Progress};
pub use checkpoint::{CHECKPOINT_LEN, Checkpoint, MAX_CHECKPOINT_LEN};
pub use cost::Cost;
pub use error::{FrameFault, PatchError};
pub use expectation::{Expectation, ImageId};
pub use inspect::{FrameSummary, SegmentSummary, StreamSummary, Summary, inspect};
pub use limits::{
    DEFAULT_FRAME_OUTPUT, Limits, MAX_FRAME_BYTES, MAX_FRAME_OUTPUT, MAX_IMAGE_LENGTH,
    MAX_RUN_OUTPUT, MIN_FRAME_OUTPUT,
};
pub use old::{OldImage, SeekImage, VerifiedOld, hash_image, verify_old};

#[cfg(feature = "diff")]
pub use diff::{
    Built, DiffError, DiffOptions, DiffProgress, DiffStage, LEAST_DIFF_MEMORY, Spool, StreamCodec,
    diff, diff_memory, diff_within, full,
};
