//! Decompression of one stream into a buffer of exactly the length that it declares.

use crate::error::{FrameFault, PatchError};
use crate::format::Codecs;
use crate::format::frame::{Fault, Stream};

pub(crate) const STORED: u8 = 0;
pub(crate) const ZSTD: u8 = 1;
/// Raw LZMA2; the dictionary is as long as [`lzma2_dictionary`] says.
#[cfg(feature = "xz")]
pub(crate) const LZMA2: u8 = 2;

/// Decoders that are set up once and used for every frame.
pub(crate) struct Decoder {
    zstd: zstd::bulk::Decompressor<'static>,
    codecs: Codecs,
}

impl Decoder {
    /// Sets up what the header says is needed.
    pub(crate) fn new(codecs: Codecs) -> Result<Self, PatchError> {
        let zstd = zstd::bulk::Decompressor::new()
            .map_err(|source| PatchError::Decompressor { source })?;
        Ok(Self { zstd, codecs })
    }

    /// Decodes `stream` into `to`, whose former content is lost. Its declared length was checked
    /// against the frame's output before, so the buffer is never larger than a frame; the
    /// decompressor writes straight into it and keeps no window, so a bomb has no more room either.
    pub(crate) fn decode(
        &mut self,
        stream: &Stream<'_>,
        name: &'static str,
        to: &mut Vec<u8>,
    ) -> Fault<()> {
        let expected = stream.decoded_length;
        let length = usize::try_from(expected).unwrap_or(usize::MAX);
        to.clear();
        if !self.codecs.contains(stream.codec) {
            return Err(FrameFault::Codec {
                stream: name,
                found: stream.codec,
            });
        }
        match stream.codec {
            STORED => to.extend_from_slice(stream.encoded),
            ZSTD => {
                to.resize(length, 0);
                let written = self
                    .zstd
                    .decompress_to_buffer(stream.encoded, to.as_mut_slice());
                to.truncate(written.unwrap_or(0));
            }
            #[cfg(feature = "xz")]
            LZMA2 => {
                to.resize(length, 0);
                let written = lzma2(stream.encoded, to);
                to.truncate(written.unwrap_or(0));
            }
            found => {
                return Err(FrameFault::Codec {
                    stream: name,
                    found,
                });
            }
        }
        if to.len() != length {
            return Err(FrameFault::Decode {
                stream: name,
                expected: expected.into(),
            });
        }
        Ok(())
    }
}

/// How many bytes were written into `to`; `None` if `encoded` is not of as many.
#[cfg(feature = "xz")]
fn lzma2(encoded: &[u8], to: &mut [u8]) -> Option<usize> {
    use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};
    let mut options = LzmaOptions::new_preset(0).ok()?;
    options.dict_size(lzma2_dictionary(to.len()));
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut stream = Stream::new_raw_decoder(&filters).ok()?;
    let ended = stream.process(encoded, to, Action::Finish).ok()?;
    let whole = stream.total_in() == u64::try_from(encoded.len()).ok()?;
    let written = usize::try_from(stream.total_out()).ok()?;
    (ended == Status::StreamEnd && whole).then_some(written)
}

/// The dictionary of a stream that decodes to `length` bytes: the next power of two, at least 4 KiB. So a
/// reader never needs more than twice a frame.
#[cfg(feature = "xz")]
pub(crate) fn lzma2_dictionary(length: usize) -> u32 {
    u32::try_from(length.next_power_of_two())
        .unwrap_or(u32::MAX)
        .max(4096)
}
