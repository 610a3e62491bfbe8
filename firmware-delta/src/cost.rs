//! What applying a payload will cost a device: a forecast for publishers.

use crate::format::StreamKind;
use crate::inspect::{FrameSummary, Summary};

/// A forecast. Time is that of one core of a server of 2024, as measured there; a device's core takes three to ten times as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Processor time in milliseconds, hashing of both images included.
    pub milliseconds: u64,
    /// Memory for buffers and libraries in bytes, without the program itself.
    pub memory: u64,
}

/// Bytes per millisecond: SHA-256 with the processor's instructions, and zstd's and LZMA2's decoders.
const HASH: u64 = 1_500_000;
const ZSTD: u64 = 500_000;
const LZMA2: u64 = 57_000;
/// Bytes per millisecond that blocks are unpacked and packed at: zlib at level 9, Zstandard at 15, xz at 6.
const UNPACK: [u64; 3] = [250_000, 500_000, 60_000];
const PACK: [u64; 3] = [8_000, 9_000, 5_000];
/// Memory of the libraries that pack, for blocks of 128 KiB.
const PACKERS: [u64; 3] = [300 << 10, 3 << 20, 5 << 20];

impl Summary {
    /// The forecast for this payload.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let segments = self.segments();
        let old = self.header.old.map_or(0, |old| old.length);
        let mut milliseconds = time(old.saturating_add(self.header.new.length), HASH);
        for kind in StreamKind::ALL {
            let stream = self.stream(kind);
            let fast = stream.decoded.saturating_sub(stream.lzma2);
            milliseconds = milliseconds
                .saturating_add(time(fast, ZSTD))
                .saturating_add(time(stream.lzma2, LZMA2));
        }
        let mut memory = self.frames.iter().map(buffers).max().unwrap_or(0);
        let libraries = UNPACK.into_iter().zip(PACK).zip(PACKERS);
        let bytes = segments.sources_by.into_iter().zip(segments.packed_by);
        for ((sources, packed), ((unpack, pack), library)) in bytes.zip(libraries) {
            milliseconds = milliseconds
                .saturating_add(time(sources, unpack))
                .saturating_add(time(packed, pack));
            if packed > 0 {
                memory = memory.saturating_add(library);
            }
        }
        Cost {
            milliseconds,
            memory,
        }
    }
}

fn time(bytes: u64, rate: u64) -> u64 {
    bytes.checked_div(rate).unwrap_or(0)
}

/// What stands in memory for a frame: its streams, encoded and decoded, its output, and what of it is packed.
fn buffers(frame: &FrameSummary) -> u64 {
    let mut sum = 128 << 10;
    for kind in StreamKind::ALL {
        let stream = frame.stream(kind).unwrap_or_default();
        let held = match kind {
            // Once as it was decoded, once as output.
            StreamKind::Add | StreamKind::Extra => stream.decoded.saturating_mul(2),
            StreamKind::Recipe | StreamKind::Modes | StreamKind::Control => stream.decoded,
        };
        sum = stream.encoded.saturating_add(held).saturating_add(sum);
    }
    match frame {
        FrameSummary::Streams { segments, .. } => segments.packed.saturating_add(sum),
        FrameSummary::Map { .. } | FrameSummary::Zero { .. } | FrameSummary::Copy { .. } => sum,
    }
}
