//! Where packed blocks stand in an image.

use crate::blocks::BlockCodec;
use crate::diff::container::squashfs;
use crate::format::Codecs;

/// A packed block, as the image's own tables say; whether it can be unpacked is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: usize,
    pub(super) packed: usize,
    /// Most bytes that it may unpack to.
    pub(super) most: usize,
    pub(super) codec: BlockCodec,
}

impl Found {
    pub(super) fn bytes<'a>(&self, image: &'a [u8]) -> &'a [u8] {
        let end = self.offset.saturating_add(self.packed);
        image.get(self.offset..end).unwrap_or_default()
    }
}

/// The blocks of `image` that are of these codecs and unpack to at most `most` bytes, in order, none reaching into the next.
pub(super) fn blocks(image: &[u8], most: usize, codecs: Codecs) -> Vec<Found> {
    let mut blocks = squashfs::blocks(image).unwrap_or_default();
    blocks.sort_by_key(|block| block.offset);
    let mut end = 0;
    blocks.retain(|block| {
        let fits = codecs.has(block.codec.bit())
            && block.packed > 0
            && block.most <= most
            && block.offset >= end
            && !block.bytes(image).is_empty();
        if fits {
            end = block.offset.saturating_add(block.packed);
        }
        fits
    });
    blocks
}
