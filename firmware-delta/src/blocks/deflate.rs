//! zlib, one call for a block, as `mksquashfs` calls it.

use flate2::{Compress, Compression, FlushCompress, Status};

/// A compressor and what it was set up for.
#[derive(Default)]
pub(super) struct Deflate(Option<(u8, u8, Compress)>);

impl Deflate {
    pub(super) fn pack(
        &mut self,
        level: u8,
        window_bits: u8,
        bytes: &[u8],
        most: usize,
        to: &mut Vec<u8>,
    ) -> bool {
        let same = |kept: &(u8, u8, Compress)| (kept.0, kept.1) == (level, window_bits);
        let mut compress = match self.0.take().filter(same) {
            Some((_, _, mut kept)) => {
                kept.reset();
                kept
            }
            None => {
                Compress::new_with_window_bits(Compression::new(level.into()), true, window_bits)
            }
        };
        // It writes into spare room and never makes more.
        let mut packed = Vec::with_capacity(most);
        let ended = compress.compress_vec(bytes, &mut packed, FlushCompress::Finish);
        self.0 = Some((level, window_bits, compress));
        to.append(&mut packed);
        matches!(ended, Ok(Status::StreamEnd))
    }
}
