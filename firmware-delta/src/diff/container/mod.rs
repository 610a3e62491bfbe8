//! Images of compressed blocks, taken apart: what is compared is what the blocks unpack to.
//!
//! A block of the new image that stands unchanged in the old one is copied as it is. One that packs again to the very
//! same bytes becomes its unpacked bytes and a recipe; whether it does is tried here, with the library that the
//! device has. All else is left as it is, so that no image is too odd to have a payload.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: blocks were found inside of the image, in its order"
)]

mod find;
mod packing;
mod squashfs;

use std::borrow::Cow;
use std::collections::HashMap;

use rayon::prelude::*;

use crate::blocks::{BlockCodec, Packer, Packing, Unpacker};
use crate::format::Codecs;
use find::Found;

/// An old image with its blocks unpacked.
pub(super) struct OldSpace<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) parts: Vec<OldPart>,
}

/// A piece of an [`OldSpace`].
#[derive(Debug, Clone, Copy)]
pub(super) struct OldPart {
    /// Where it begins in the space.
    pub(super) start: usize,
    /// Bytes in the space.
    pub(super) length: usize,
    /// Where it begins in the image.
    pub(super) offset: usize,
    /// Its packed length and codec, if it is a block.
    pub(super) block: Option<(usize, BlockCodec)>,
}

/// A new image, unpacked where that pays.
pub(super) struct NewSpace<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) parts: Vec<NewPart>,
}

/// A piece of the new image.
#[derive(Debug, Clone, Copy)]
pub(super) enum NewPart {
    /// Bytes of the space as they are.
    Plain { length: usize },
    /// A piece of the old image, by its offset there; nothing in the space.
    Copy { length: usize, old_offset: usize },
    /// Bytes of the space, packed.
    Pack {
        length: usize,
        packed: usize,
        packing: Packing,
    },
}

/// Both images as they are.
fn plain<'a>(old: &'a [u8], new: &'a [u8]) -> (OldSpace<'a>, NewSpace<'a>) {
    let whole = OldPart {
        start: 0,
        length: old.len(),
        offset: 0,
        block: None,
    };
    let old = OldSpace {
        bytes: Cow::Borrowed(old),
        parts: vec![whole],
    };
    let parts = vec![NewPart::Plain { length: new.len() }];
    let bytes = Cow::Borrowed(new);
    (old, NewSpace { bytes, parts })
}

/// Both images unpacked, as far as they have blocks of at most `most` bytes and of these codecs.
pub(super) fn unpack<'a>(
    old: &'a [u8],
    new: &'a [u8],
    most: usize,
    codecs: Codecs,
) -> (OldSpace<'a>, NewSpace<'a>) {
    let new_blocks = find::blocks(new, most, codecs);
    if new_blocks.is_empty() {
        return plain(old, new);
    }
    let old_blocks = find::blocks(old, most, codecs);
    let new_space = new_space(old, &old_blocks, new, &new_blocks);
    (old_space(old, &old_blocks, most), new_space)
}

fn old_space<'a>(old: &'a [u8], blocks: &[Found], most: usize) -> OldSpace<'a> {
    let unpacked: Vec<_> = blocks
        .par_iter()
        .map_init(Unpacker::default, |unpacker, block| {
            unpacked(unpacker, old, block, most)
        })
        .collect();
    let mut bytes = Vec::new();
    let mut parts = Vec::new();
    let mut at = 0;
    let mut put = |offset, content: &[u8], block| {
        if !content.is_empty() {
            parts.push(OldPart {
                start: bytes.len(),
                length: content.len(),
                offset,
                block,
            });
            bytes.extend_from_slice(content);
        }
    };
    for (block, content) in blocks.iter().zip(&unpacked) {
        if let Some(content) = content {
            put(at, &old[at..block.offset], None);
            put(block.offset, content, Some((block.packed, block.codec)));
            at = block.offset + block.packed;
        }
    }
    put(at, &old[at..], None);
    OldSpace {
        bytes: Cow::Owned(bytes),
        parts,
    }
}

fn unpacked(unpacker: &mut Unpacker, image: &[u8], block: &Found, most: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; block.most.min(most)];
    let length = unpacker.fill(block.codec, block.bytes(image), &mut bytes)?;
    bytes.truncate(length);
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

fn new_space<'a>(
    old: &[u8],
    old_blocks: &[Found],
    new: &'a [u8],
    blocks: &[Found],
) -> NewSpace<'a> {
    // The first of equal blocks, so that the result does not depend on the order in a table.
    let mut known = HashMap::new();
    for block in old_blocks {
        known.entry(block.bytes(old)).or_insert(block.offset);
    }
    let same = |block: &Found| known.get(block.bytes(new)).copied();
    let changed: Vec<_> = blocks
        .iter()
        .filter(|block| same(block).is_none())
        .collect();
    let levels = packing::levels(new, &changed);
    let repacked: HashMap<_, _> = changed
        .par_iter()
        .map_init(
            || (Unpacker::default(), Packer::default()),
            |(unpacker, packer), block| {
                let content = unpacked(unpacker, new, block, block.most)?;
                let packing =
                    packing::of(packer, &content, block.bytes(new), block.codec, &levels)?;
                Some((block.offset, (content, packing)))
            },
        )
        .flatten()
        .collect();
    let mut space = Builder::default();
    let mut at = 0;
    for block in blocks {
        let packed = block.packed;
        if let Some(old_offset) = same(block) {
            space.plain(&new[at..block.offset]);
            space.copy(packed, old_offset);
        } else if let Some((content, packing)) = repacked.get(&block.offset) {
            space.plain(&new[at..block.offset]);
            space.parts.push(NewPart::Pack {
                length: content.len(),
                packed,
                packing: *packing,
            });
            space.bytes.extend_from_slice(content);
        } else {
            continue;
        }
        at = block.offset + packed;
    }
    space.plain(&new[at..]);
    NewSpace {
        bytes: Cow::Owned(space.bytes),
        parts: space.parts,
    }
}

#[derive(Default)]
struct Builder {
    bytes: Vec<u8>,
    parts: Vec<NewPart>,
}

impl Builder {
    fn plain(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let length = bytes.len();
            self.parts.push(NewPart::Plain { length });
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Goes on with the copy before, if that ends where this one begins.
    fn copy(&mut self, more: usize, from: usize) {
        match self.parts.last_mut() {
            Some(NewPart::Copy { length, old_offset }) if *old_offset + *length == from => {
                *length += more;
            }
            _ => self.parts.push(NewPart::Copy {
                length: more,
                old_offset: from,
            }),
        }
    }
}
