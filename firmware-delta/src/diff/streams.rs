//! Compresses the streams of a frame, each with what makes it smallest of what the publisher allows.

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

use crate::codec::{LZMA2, STORED, ZSTD, lzma2_dictionary};
use crate::diff::{DiffError, DiffOptions, StreamCodec};
use crate::format::Codecs;

/// A stream as it goes into a frame.
pub(super) struct Packed {
    pub(super) codec: u8,
    pub(super) bytes: Vec<u8>,
}

impl Packed {
    pub(super) fn is_compressed(&self) -> bool {
        self.codec != STORED
    }

    pub(super) fn codecs(&self) -> Codecs {
        match self.codec {
            ZSTD => Codecs::ZSTD,
            LZMA2 => Codecs::LZMA2,
            _ => Codecs::STORED,
        }
    }
}

/// One worker's compressors.
pub(super) struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    lzma2: bool,
}

/// liblzma's slowest search at its highest level: on changes of machine code an eighth smaller than its usual one, in three
/// times the time. Bits that say where a byte stands within a word are left out: trying them on every stream as well took three times as long for a hundredth.
const PRESET: u32 = 9 | 1 << 31;

/// A decoder of LZMA2 is ten times slower than one of Zstandard: worth it from one part in this many on.
const WORTH: usize = 64;

impl Compressor {
    pub(super) fn new(options: &DiffOptions) -> Result<Self, DiffError> {
        let zstd = zstd::bulk::Compressor::new(options.level)
            .map_err(|source| DiffError::Compress { source })?;
        Ok(Self {
            zstd,
            lzma2: options.codec == StreamCodec::Lzma2,
        })
    }

    /// Compresses `stream`, or stores it if that does not make it shorter: so a frame is never longer than its bound.
    pub(super) fn stream(&mut self, stream: &[u8]) -> Result<Packed, DiffError> {
        let mut best = Packed {
            codec: STORED,
            bytes: stream.to_vec(),
        };
        if stream.is_empty() {
            return Ok(best);
        }
        let packed = self.zstd.compress(stream);
        let packed = packed.map_err(|source| DiffError::Compress { source })?;
        // A decoded length has to be said as well.
        if packed.len().saturating_add(1) < stream.len() {
            best = Packed {
                codec: ZSTD,
                bytes: packed,
            };
        }
        if self.lzma2 {
            let least = best.bytes.len().saturating_sub(best.bytes.len() / WORTH);
            if let Some(bytes) = lzma2(stream).filter(|bytes| bytes.len() < least) {
                best = Packed {
                    codec: LZMA2,
                    bytes,
                };
            }
        }
        Ok(best)
    }
}

/// `None` if it would be no shorter.
fn lzma2(stream: &[u8]) -> Option<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(PRESET).ok()?;
    options
        .dict_size(lzma2_dictionary(stream.len()))
        .position_bits(0);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = Stream::new_raw_encoder(&filters).ok()?;
    let mut packed = Vec::with_capacity(stream.len());
    let ended = encoder.process_vec(stream, &mut packed, Action::Finish);
    matches!(ended, Ok(Status::StreamEnd)).then_some(packed)
}
