//! Zstandard, one call for a block, as `mksquashfs` calls it.

use zstd::bulk::Compressor;

/// A compressor and the level that it was set up for.
#[derive(Default)]
pub(super) struct Packer(Option<(u8, Compressor<'static>)>);

impl Packer {
    pub(super) fn pack(&mut self, level: u8, bytes: &[u8], most: usize, to: &mut Vec<u8>) -> bool {
        let kept = self.0.take().filter(|kept| kept.0 == level);
        let Some(mut compressor) = kept
            .map(|kept| kept.1)
            .or_else(|| Compressor::new(level.into()).ok())
        else {
            return false;
        };
        // It wants more room than it ends up with.
        let mut packed = vec![0; zstd::zstd_safe::compress_bound(bytes.len())];
        let written = compressor.compress_to_buffer(bytes, packed.as_mut_slice());
        self.0 = Some((level, compressor));
        let Ok(written) = written else {
            return false;
        };
        to.extend_from_slice(packed.get(..written).unwrap_or_default());
        written <= most
    }
}
