//! With what parameters a block was packed: found by trying.

use crate::blocks::{BlockCodec, MAX_DICTIONARY_KIB, Packer, Packing, Unpacker, dictionary_size};
use crate::diff::container::find::Found;
use crate::diff::container::unpacked;

/// Blocks of an image that all levels are tried on.
const SAMPLE: usize = 8;

/// The levels that are worth trying on an image's blocks, for zlib, Zstandard and xz, by what a sample of them shows.
pub(super) struct Levels([Vec<u8>; 3]);

/// Tries all levels on the first blocks of each codec.
pub(super) fn levels(image: &[u8], blocks: &[&Found]) -> Levels {
    let mut unpacker = Unpacker::default();
    let mut packer = Packer::default();
    let mut of_codec = |codec, all: &[u8]| {
        let mut hits: Vec<(usize, u8)> = all.iter().map(|level| (0, *level)).collect();
        let sample = blocks.iter().filter(|block| block.codec == codec);
        for block in sample.take(SAMPLE) {
            let Some(content) = unpacked(&mut unpacker, image, block, block.most) else {
                continue;
            };
            for (count, level) in &mut hits {
                let packed = block.bytes(image);
                if try_level(&mut packer, &content, packed, codec, *level).is_some() {
                    *count = count.saturating_add(1);
                }
            }
        }
        // The best one, and at most one more that other blocks needed; the order of `all` decides between equals.
        hits.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        hits.into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(_, level)| level)
            .take(1)
            .collect()
    };
    Levels([
        of_codec(BlockCodec::Zlib, &[9, 6, 8, 7, 5, 4, 3, 2, 1]),
        of_codec(BlockCodec::Zstd, &[15, 19, 22, 3, 9, 12]),
        of_codec(BlockCodec::Xz, &[6, 9, 7, 8, 5]),
    ])
}

/// The packing by which `content` becomes `packed`, bit for bit.
pub(super) fn of(
    packer: &mut Packer,
    content: &[u8],
    packed: &[u8],
    codec: BlockCodec,
    levels: &Levels,
) -> Option<Packing> {
    let [zlib, zstd, xz] = &levels.0;
    let levels = match codec {
        BlockCodec::Zlib => zlib,
        BlockCodec::Zstd => zstd,
        BlockCodec::Xz => xz,
    };
    levels
        .iter()
        .find_map(|level| try_level(packer, content, packed, codec, *level))
}

fn try_level(
    packer: &mut Packer,
    content: &[u8],
    packed: &[u8],
    codec: BlockCodec,
    level: u8,
) -> Option<Packing> {
    // A block that does not become shorter is stored plainly by squashfs; the format wants no other.
    if packed.len() > content.len() {
        return None;
    }
    let packing = match codec {
        BlockCodec::Zlib => Packing::Zlib {
            level,
            window_bits: (packed.first()? >> 4).checked_add(8)?,
        },
        BlockCodec::Zstd => Packing::Zstd { level },
        BlockCodec::Xz => Packing::Xz {
            preset: level,
            dictionary_kib: xz_dictionary(packed)?,
        },
    };
    let mut again = Vec::new();
    let done = packer.pack(packing, content, packed.len(), &mut again);
    (done && again == packed).then_some(packing)
}

/// The dictionary that an xz stream of one block says: the last byte of its filter, which is its only one.
fn xz_dictionary(packed: &[u8]) -> Option<u16> {
    let header = packed.get(12..)?;
    // Size, flags, both lengths, then filter 0x21 with one byte of properties.
    let mut rest = header.get(2..)?;
    for _ in 0..2 {
        crate::format::varint::take(&mut rest)?;
    }
    let [0x21, 1, dictionary, ..] = rest else {
        return None;
    };
    let kib = u16::try_from(dictionary_size(*dictionary) >> 10).ok()?;
    (4..=MAX_DICTIONARY_KIB).contains(&kib).then_some(kib)
}
