//! Unpacks blocks into buffers of exactly the length that they are declared to have.

#[cfg(feature = "zlib")]
use flate2::{Decompress, FlushDecompress, Status};

use crate::blocks::BlockCodec;

/// Decompressors, set up when they are first needed and kept.
#[derive(Default)]
pub(crate) struct Unpacker {
    #[cfg(feature = "zlib")]
    inflate: Option<Decompress>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

/// What the decompressor of an xz block may use: a squashfs block's dictionary and what it works with.
#[cfg(feature = "xz")]
const XZ_MEMORY: u64 = 10 << 20;

impl Unpacker {
    /// Replaces `to` by the `length` bytes that `packed` is of; `false` if it is of others, or the library
    /// is not at hand. No more than `length` bytes are ever made.
    pub(crate) fn unpack(
        &mut self,
        codec: BlockCodec,
        packed: &[u8],
        length: usize,
        to: &mut Vec<u8>,
    ) -> bool {
        to.clear();
        to.resize(length, 0);
        self.fill(codec, packed, to) == Some(length)
    }

    /// Unpacks all of `packed` to the front of `to`: how many bytes that is, if they have room there.
    pub(crate) fn fill(
        &mut self,
        codec: BlockCodec,
        packed: &[u8],
        to: &mut [u8],
    ) -> Option<usize> {
        match codec {
            #[cfg(feature = "zlib")]
            BlockCodec::Zlib => {
                let inflate = self.inflate.get_or_insert_with(|| Decompress::new(true));
                inflate.reset(true);
                let ended = inflate.decompress(packed, to, FlushDecompress::Finish);
                let whole = inflate.total_in() == u64::try_from(packed.len()).ok()?;
                let ended = matches!(ended, Ok(Status::StreamEnd)) && whole;
                ended.then(|| usize::try_from(inflate.total_out()).ok())?
            }
            BlockCodec::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = zstd::bulk::Decompressor::new().ok();
                }
                self.zstd.as_mut()?.decompress_to_buffer(packed, to).ok()
            }
            #[cfg(feature = "xz")]
            BlockCodec::Xz => {
                use liblzma::stream::{Action, Status, Stream};
                let mut stream = Stream::new_stream_decoder(XZ_MEMORY, 0).ok()?;
                let ended = stream.process(packed, to, Action::Finish);
                let whole = stream.total_in() == u64::try_from(packed.len()).ok()?;
                let ended = matches!(ended, Ok(Status::StreamEnd)) && whole;
                ended.then(|| usize::try_from(stream.total_out()).ok())?
            }
            #[cfg(not(all(feature = "zlib", feature = "xz")))]
            _ => None,
        }
    }
}
