//! Blocks of compressed file systems: unpacked, and packed again to the same bytes by the library that made them.
//!
//! Which libraries there are is chosen by features; what a payload needs is in its header, so that a reader
//! refuses it before anything is written.

mod unpack;
#[cfg(feature = "xz")]
mod xz;

#[cfg(feature = "zlib")]
mod deflate;
#[cfg(feature = "zstd-blocks")]
mod zstandard;

pub(crate) use unpack::Unpacker;
#[cfg(feature = "diff")]
pub(crate) use xz::dictionary_size;

use crate::error::FrameFault;
#[cfg(feature = "diff")]
use crate::format::Codecs;
use crate::format::bytes::Bytes;
use crate::format::frame::Fault;

/// The compression of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockCodec {
    /// zlib's format (RFC 1950), squashfs' `gzip`.
    Zlib,
    /// A Zstandard frame (RFC 8878).
    Zstd,
    /// An xz stream of one block.
    Xz,
}

impl BlockCodec {
    #[cfg(feature = "diff")]
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Zlib => 8,
            Self::Zstd => 9,
            Self::Xz => 10,
        }
    }

    /// Its bit in the header.
    #[cfg(feature = "diff")]
    pub(crate) fn bit(self) -> Codecs {
        match self {
            Self::Zlib => Codecs::ZLIB_BLOCKS,
            Self::Zstd => Codecs::ZSTD_BLOCKS,
            Self::Xz => Codecs::XZ_BLOCKS,
        }
    }

    pub(crate) fn parse(number: u8) -> Fault<Self> {
        match number {
            8 => Ok(Self::Zlib),
            9 => Ok(Self::Zstd),
            10 => Ok(Self::Xz),
            found => Err(FrameFault::Codec {
                stream: "recipe",
                found,
            }),
        }
    }
}

/// How to pack a block again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// zlib: level 1 to 9, window of 2^9 to 2^15 bytes, default strategy and memory.
    Zlib { level: u8, window_bits: u8 },
    /// Zstandard: level 1 to 22, one call that knows the length.
    Zstd { level: u8 },
    /// liblzma's one call for a whole stream: preset 0 to 9, CRC32, a dictionary of this many KiB.
    Xz { preset: u8, dictionary_kib: u16 },
}

impl Packing {
    pub(crate) fn codec(self) -> BlockCodec {
        match self {
            Self::Zlib { .. } => BlockCodec::Zlib,
            Self::Zstd { .. } => BlockCodec::Zstd,
            Self::Xz { .. } => BlockCodec::Xz,
        }
    }

    pub(crate) fn parse(at: &mut Bytes<'_>) -> Fault<Self> {
        let packing = match BlockCodec::parse(at.u8("codec of a packing")?)? {
            BlockCodec::Zlib => Self::Zlib {
                level: at.u8("level")?,
                window_bits: at.u8("window")?,
            },
            BlockCodec::Zstd => Self::Zstd {
                level: at.u8("level")?,
            },
            BlockCodec::Xz => Self::Xz {
                preset: at.u8("preset")?,
                dictionary_kib: at.u16("dictionary")?,
            },
        };
        let (field, found, least, most) = match packing {
            Self::Zlib { level, .. } if !(1..=9).contains(&level) => ("zlib level", level, 1, 9),
            Self::Zlib { window_bits, .. } => ("zlib window", window_bits, 9, 15),
            Self::Zstd { level } => ("zstd level", level, 1, 22),
            Self::Xz { preset, .. } => ("xz preset", preset, 0, 9),
        };
        if !(least..=most).contains(&found) {
            return Err(FrameFault::Length {
                field,
                expected: if found < least { least } else { most }.into(),
                found: found.into(),
            });
        }
        if let Self::Xz { dictionary_kib, .. } = packing
            && !(4..=MAX_DICTIONARY_KIB).contains(&dictionary_kib)
        {
            return Err(FrameFault::Length {
                field: "xz dictionary",
                expected: MAX_DICTIONARY_KIB.into(),
                found: dictionary_kib.into(),
            });
        }
        Ok(packing)
    }

    #[cfg(feature = "diff")]
    pub(crate) fn put(self, to: &mut Vec<u8>) {
        to.push(self.codec().number());
        match self {
            Self::Zlib { level, window_bits } => to.extend([level, window_bits]),
            Self::Zstd { level } => to.push(level),
            Self::Xz {
                preset,
                dictionary_kib,
            } => {
                to.push(preset);
                to.extend(dictionary_kib.to_le_bytes());
            }
        }
    }
}

/// Largest dictionary to pack with: that of the largest squashfs block, 1 MiB.
pub(crate) const MAX_DICTIONARY_KIB: u16 = 1024;

/// Packs blocks; its compressors are set up when they are first needed, and kept.
#[derive(Default)]
pub(crate) struct Packer {
    #[cfg(feature = "zlib")]
    deflate: deflate::Deflate,
    #[cfg(feature = "zstd-blocks")]
    zstd: zstandard::Packer,
}

impl Packer {
    /// Appends what `bytes` pack to, at most `most` bytes; `false` if that fails, or the library is not at hand.
    #[cfg_attr(
        not(any(feature = "zlib", feature = "xz", feature = "zstd-blocks")),
        expect(unused_variables, clippy::ptr_arg, reason = "no library was built in")
    )]
    pub(crate) fn pack(
        &mut self,
        packing: Packing,
        bytes: &[u8],
        most: usize,
        to: &mut Vec<u8>,
    ) -> bool {
        match packing {
            #[cfg(feature = "zlib")]
            Packing::Zlib { level, window_bits } => {
                self.deflate.pack(level, window_bits, bytes, most, to)
            }
            #[cfg(feature = "zstd-blocks")]
            Packing::Zstd { level } => self.zstd.pack(level, bytes, most, to),
            #[cfg(feature = "xz")]
            Packing::Xz {
                preset,
                dictionary_kib,
            } => xz::pack(preset, u32::from(dictionary_kib) << 10, bytes, most, to),
            #[cfg(not(all(feature = "zlib", feature = "xz", feature = "zstd-blocks")))]
            _ => false,
        }
    }
}

#[cfg(all(test, feature = "diff"))]
mod tests {
    /// Whoever changes a library has to see whether it still packs to the same bytes (`tests/payloads/containers.rs` tells),
    /// and to raise its edition in the header if not.
    #[test]
    fn libraries_are_those_of_the_editions() {
        assert_eq!(zstd::zstd_safe::version_number(), 10507);
    }
}
