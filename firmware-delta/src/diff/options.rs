//! What a publisher can choose, and what it is told while it waits.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::diff::DiffError;
use crate::format::Codecs;
use crate::limits::{DEFAULT_FRAME_OUTPUT, MAX_FRAME_OUTPUT, MIN_FRAME_OUTPUT};

/// How a payload is made. The defaults suit devices with a few megabytes to spare.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Most bytes of new image per decoded frame: 4 KiB to 4 MiB, 1 MiB by default. A device needs about four times
    /// as much memory; smaller frames cost a few per cent of size.
    pub frame_output: u32,
    /// Zstandard level: 1 to 22, 19 by default. It costs time here, not on the device.
    pub level: i32,
    /// How streams are compressed.
    pub codec: StreamCodec,
    /// Of which blocks images (squashfs) are compared unpacked: a tenth of the size, and the device packs what changed
    /// again. By default of those that the updater for devices can pack, zlib and xz; [`Codecs::STORED`] is none.
    pub containers: Codecs,
    /// Whether addresses in machine code are predicted, which makes deltas of code smaller by a quarter; true by default.
    pub predict: bool,
}

/// How streams are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StreamCodec {
    /// Zstandard, which every reader knows and decodes fast.
    #[default]
    Zstd,
    /// LZMA2 where it is clearly smaller, usually by a tenth; it decodes at a tenth of the speed.
    Lzma2,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            frame_output: DEFAULT_FRAME_OUTPUT,
            level: 19,
            codec: StreamCodec::Zstd,
            containers: Codecs::ZLIB_BLOCKS.with(Codecs::XZ_BLOCKS),
            predict: true,
        }
    }
}

impl DiffOptions {
    pub(super) fn check(&self) -> Result<(), DiffError> {
        let (least, most) = (MIN_FRAME_OUTPUT, MAX_FRAME_OUTPUT);
        in_range(
            "frame output",
            self.frame_output.into(),
            least.into(),
            most.into(),
        )?;
        in_range("level", self.level.into(), 1, 22)
    }
}

fn in_range(option: &'static str, found: i64, least: i64, most: i64) -> Result<(), DiffError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(DiffError::Option {
        option,
        least,
        most,
        found,
    })
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiffStage {
    /// Taking images of compressed blocks apart; jumps from nothing to all.
    Unpack,
    /// Sorting the suffixes of the old image; jumps from nothing to all.
    Index,
    /// Looking for pieces of the old image in the new one.
    Match,
    /// Compressing frames.
    Compress,
    /// Writing the payload.
    Write,
}

/// How far a stage is, in bytes of the image (or, when writing, of the payload). Calls come from several threads
/// and may overtake each other by a frame or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffProgress {
    /// Which stage.
    pub stage: DiffStage,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do; 0 if that is not known because the image comes from a stream.
    pub total: u64,
}

/// Adds up what threads have done and tells it on.
pub(super) struct Counter<'a> {
    stage: DiffStage,
    total: u64,
    done: AtomicU64,
    progress: &'a (dyn Fn(DiffProgress) + Sync),
}

impl<'a> Counter<'a> {
    pub(super) fn new(
        stage: DiffStage,
        total: usize,
        progress: &'a (dyn Fn(DiffProgress) + Sync),
    ) -> Self {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let counter = Self {
            stage,
            total,
            done: AtomicU64::new(0),
            progress,
        };
        counter.add(0);
        counter
    }

    pub(super) fn add(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let done = self
            .done
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        (self.progress)(DiffProgress {
            stage: self.stage,
            done,
            total: self.total,
        });
    }
}
