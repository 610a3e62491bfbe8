//! An xz stream of one block, as liblzma's `lzma_stream_buffer_encode` makes it: the block's header has both lengths,
//! which the streaming encoder leaves out. Fields: "The .xz File Format", version 1.2.1.

use flate2::Crc;
use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

/// Mark, flags (CRC32) and the CRC32 of the flags.
const STREAM_HEADER: [u8; 12] = [
    0xfd, b'7', b'z', b'X', b'Z', 0, 0, 1, 0x69, 0x22, 0xde, 0x36,
];

pub(super) fn pack(
    preset: u8,
    dictionary: u32,
    bytes: &[u8],
    most: usize,
    to: &mut Vec<u8>,
) -> bool {
    let Some(data) = lzma2(preset, dictionary, bytes, most) else {
        return false;
    };
    // The encoder reserves room for the longest that the lengths could be before it knows them.
    let chunks = bytes.len().div_ceil(1 << 16);
    let bound = bytes
        .len()
        .saturating_add(chunks.saturating_mul(3))
        .saturating_add(1);
    let reserved = number(bound)
        .len()
        .saturating_add(number(bytes.len()).len());
    let header_length = reserved.saturating_add(1 + 1 + 3 + 4).next_multiple_of(4);
    let mut header = vec![0; 1];
    header.push(0xc0);
    header.extend(number(data.len()));
    header.extend(number(bytes.len()));
    header.extend([0x21, 1, dictionary_byte(dictionary)]);
    header.resize(header_length.saturating_sub(4), 0);
    if let Some(first) = header.first_mut() {
        *first = u8::try_from(header_length / 4)
            .unwrap_or(u8::MAX)
            .saturating_sub(1);
    }
    header.extend(crc32(&header));
    let unpadded = header_length.saturating_add(data.len()).saturating_add(4);
    let mut index = vec![0, 1];
    index.extend(number(unpadded));
    index.extend(number(bytes.len()));
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(crc32(&index));
    let backward = u32::try_from(index.len() / 4)
        .unwrap_or(u32::MAX)
        .saturating_sub(1);
    let footer = [&backward.to_le_bytes()[..], &[0, 1]].concat();
    to.extend(STREAM_HEADER);
    to.extend(header);
    let padded = data.len().next_multiple_of(4).saturating_sub(data.len());
    to.extend(data);
    to.extend(std::iter::repeat_n(0, padded));
    to.extend(crc32(bytes));
    to.extend(index);
    to.extend(crc32(&footer));
    to.extend(footer);
    to.extend(b"YZ");
    true
}

fn lzma2(preset: u8, dictionary: u32, bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(preset.into()).ok()?;
    options.dict_size(dictionary);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut stream = Stream::new_raw_encoder(&filters).ok()?;
    let mut data = Vec::with_capacity(most);
    match stream.process_vec(bytes, &mut data, Action::Finish) {
        Ok(Status::StreamEnd) => Some(data),
        _ => None,
    }
}

/// How xz writes the size of a dictionary: 2^n or 2^n + 2^(n - 1) bytes, rounded up.
pub(crate) fn dictionary_byte(dictionary: u32) -> u8 {
    (0..40)
        .find(|bits| dictionary_size(*bits) >= dictionary)
        .unwrap_or(40)
}

/// Undoes [`dictionary_byte`]; saturates above 4 GiB.
pub(crate) fn dictionary_size(byte: u8) -> u32 {
    let shift = u32::from(byte / 2).saturating_add(11);
    (2 | u32::from(byte & 1))
        .checked_shl(shift)
        .unwrap_or(u32::MAX)
}

fn number(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::format::varint::put(&mut bytes, u64::try_from(value).unwrap_or(u64::MAX));
    bytes
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{BlockCodec, Unpacker};

    #[test]
    fn what_is_packed_is_an_xz_stream() {
        for length in [1_usize, 100, 8192, 70_000] {
            let bytes: Vec<u8> = (0..=250)
                .flat_map(|byte| [byte; 3])
                .cycle()
                .take(length)
                .collect();
            let mut packed = Vec::new();
            assert!(pack(6, 128 << 10, &bytes, 100_000, &mut packed));
            assert_eq!(packed.len() % 4, 0);
            let mut back = Vec::new();
            assert!(Unpacker::default().unpack(BlockCodec::Xz, &packed, length, &mut back));
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn dictionaries_of_squashfs_come_back() {
        for size in [4096, 8192, 12 << 10, 128 << 10, 1 << 20] {
            assert_eq!(dictionary_size(dictionary_byte(size)), size);
        }
    }
}
