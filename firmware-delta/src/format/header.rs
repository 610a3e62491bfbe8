//! The header frame: what the payload is, before any of its frames.

use std::fmt;

use crate::chain::Link;
use crate::digest::sha256;
use crate::error::{FrameFault, PatchError};
use crate::expectation::ImageId;
use crate::format::bytes::Bytes;
use crate::limits::{MAX_FRAME_OUTPUT, MAX_IMAGE_LENGTH, MIN_FRAME_OUTPUT, max_frame_bytes};

/// Length of the header frame in bytes, in this and every later format version: so a reader buffers no
/// more than this before it has anything authentic, and can tell which version it would need.
pub const HEADER_LEN: usize = 192;

/// The first bytes of every payload. The first is not ASCII, and the last two show text-mode damage.
pub const MAGIC: [u8; 8] = *b"\x89FWPAY\r\n";

/// Format version that this crate reads and writes.
pub const VERSION: u16 = 3;

/// Version of container recipes.
const RECIPE: u16 = 1;

/// Version of the prediction of addresses.
const PREDICTION: u16 = 1;

/// What packs a block has to be the library that the publisher tried it with, or one that is known to compress to the
/// same bytes: these numbers change whenever the bytes do. Zstandard's is its version (1.5.7): they differ often.
const ZLIB_EDITION: u16 = 1;
const ZSTD_EDITION: u16 = 10507;
const LZMA_EDITION: u16 = 1;

/// Whether a payload needs an old image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// Everything is in the payload.
    Full,
    /// Parts are copied from the old image.
    Delta,
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "a full payload",
            Self::Delta => "a delta payload",
        })
    }
}

/// Bit set of the codecs that the frames of a payload use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codecs(u32);

impl Codecs {
    /// Bytes as they are: bit 0, in use in every payload.
    pub const STORED: Self = Self(1);
    /// A Zstandard frame (RFC 8878) without dictionary: bit 1.
    pub const ZSTD: Self = Self(2);
    /// LZMA2 without a container: bit 2.
    pub const LZMA2: Self = Self(4);
    /// Blocks packed by zlib: bit 8.
    pub const ZLIB_BLOCKS: Self = Self(1 << 8);
    /// Blocks packed by Zstandard: bit 9.
    pub const ZSTD_BLOCKS: Self = Self(1 << 9);
    /// Blocks packed by liblzma as xz: bit 10.
    pub const XZ_BLOCKS: Self = Self(1 << 10);
    /// What this reader knows, as it was built.
    pub const KNOWN: Self = Self(
        Self::STORED.0
            | Self::ZSTD.0
            | if cfg!(feature = "zlib") {
                Self::ZLIB_BLOCKS.0
            } else {
                0
            }
            | if cfg!(feature = "zstd-blocks") {
                Self::ZSTD_BLOCKS.0
            } else {
                0
            }
            | if cfg!(feature = "xz") {
                Self::LZMA2.0 | Self::XZ_BLOCKS.0
            } else {
                0
            },
    );

    /// Those of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that pack blocks, and which edition of its library each needs.
    const PACKERS: [(Self, &'static str, u16); 3] = [
        (Self::ZLIB_BLOCKS, "zlib", ZLIB_EDITION),
        (Self::ZSTD_BLOCKS, "Zstandard", ZSTD_EDITION),
        (Self::XZ_BLOCKS, "liblzma", LZMA_EDITION),
    ];

    /// The bits as they are in the header.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether a stream may use the codec with this number (the number of its bit).
    pub(crate) fn contains(self, codec: u8) -> bool {
        1_u32
            .checked_shl(u32::from(codec))
            .is_some_and(|bit| self.0 & bit != 0)
    }
}

/// A header whose every field was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Codecs that its frames may use.
    pub codecs: Codecs,
    /// Most bytes of new image per decoded frame.
    pub frame_output: u32,
    /// Whether the first frame is a map of addresses, by which others predict.
    pub predicts: bool,
    /// Number of frames behind the header, the map included.
    pub frames: u64,
    /// Length of the whole payload in bytes, the header included.
    pub payload_length: u64,
    /// The old image of a delta; `None` in a full payload.
    pub old: Option<ImageId>,
    /// The new image.
    pub new: ImageId,
    /// Announces the first frame.
    pub first: Link,
}

impl Header {
    /// Whether an old image is needed.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        if self.old.is_some() {
            PayloadKind::Delta
        } else {
            PayloadKind::Full
        }
    }

    /// Compares `bytes` with the digest from the manifest and then parses them.
    ///
    /// # Errors
    /// [`PatchError::HeadMismatch`] before anything is interpreted; then what [`Self::parse`] says.
    pub fn authenticate(bytes: &[u8; HEADER_LEN], head: &[u8; 32]) -> Result<Self, PatchError> {
        let found = sha256(bytes);
        if found != *head {
            return Err(PatchError::HeadMismatch {
                expected: *head,
                found,
            });
        }
        Self::parse(bytes)
    }

    /// Parses a header without any proof of where it comes from: for tools that show what a file is.
    ///
    /// # Errors
    /// [`PatchError::NotAPayload`], [`PatchError::UnsupportedVersion`], [`PatchError::UnsupportedCodecs`]
    /// or [`PatchError::HeaderField`], which names the first field that is wrong.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, PatchError> {
        // A short read cannot happen: the fields below add up to HEADER_LEN, which a test checks.
        fields(bytes)
            .map_err(|fault| PatchError::frame(0, fault))?
            .check()
    }

    /// The bytes of this header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let none = ImageId {
            length: 0,
            sha256: [0; 32],
        };
        let old = self.old.unwrap_or(none);
        let packers = Codecs::PACKERS.map(|(codec, _, edition)| {
            if self.codecs.has(codec) { edition } else { 0 }.to_le_bytes()
        });
        let recipe = if packers == [[0; 2]; 3] { 0 } else { RECIPE };
        let parts: [&[u8]; 17] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            &[u8::from(self.old.is_some()), 0],
            &if self.predicts { PREDICTION } else { 0 }.to_le_bytes(),
            &recipe.to_le_bytes(),
            &[0; 4], // flags: none yet
            &self.codecs.0.to_le_bytes(),
            &self.frame_output.to_le_bytes(),
            &self.frames.to_le_bytes(),
            &self.payload_length.to_le_bytes(),
            &old.length.to_le_bytes(),
            &old.sha256,
            &self.new.length.to_le_bytes(),
            &self.new.sha256,
            &self.first.length.to_le_bytes(),
            &self.first.sha256,
            packers.as_flattened(),
        ];
        let mut bytes = [0; HEADER_LEN];
        for (to, from) in bytes
            .iter_mut()
            .zip(parts.iter().flat_map(|part| part.iter()))
        {
            *to = *from;
        }
        bytes
    }
}

/// The fields as they stand in the frame, in their order.
struct Fields {
    magic: [u8; 8],
    version: u16,
    kind: u8,
    reserved: u8,
    prediction: u16,
    recipe: u16,
    flags: u32,
    codecs: u32,
    frame_output: u32,
    frames: u64,
    payload_length: u64,
    old: ImageId,
    new: ImageId,
    first: Link,
    packers: [u16; 3],
    tail_is_zero: bool,
}

fn fields(bytes: &[u8; HEADER_LEN]) -> Result<Fields, FrameFault> {
    let mut at = Bytes::new(bytes);
    Ok(Fields {
        magic: at.array("magic")?,
        version: at.u16("format version")?,
        kind: at.u8("kind")?,
        reserved: at.u8("reserved")?,
        prediction: at.u16("prediction model")?,
        recipe: at.u16("container recipe")?,
        flags: at.u32("flags")?,
        codecs: at.u32("codecs")?,
        frame_output: at.u32("frame output")?,
        frames: at.u64("number of frames")?,
        payload_length: at.u64("payload length")?,
        old: ImageId {
            length: at.u64("old length")?,
            sha256: at.array("old digest")?,
        },
        new: ImageId {
            length: at.u64("new length")?,
            sha256: at.array("new digest")?,
        },
        first: Link {
            length: at.u32("first frame")?,
            sha256: at.array("first frame")?,
        },
        packers: [
            at.u16("edition of zlib")?,
            at.u16("edition of Zstandard")?,
            at.u16("edition of liblzma")?,
        ],
        tail_is_zero: at.rest().iter().all(|byte| *byte == 0),
    })
}

impl Fields {
    fn check(self) -> Result<Header, PatchError> {
        if self.magic != MAGIC {
            return Err(PatchError::NotAPayload { found: self.magic });
        }
        known("format", self.version, VERSION)?;
        known("prediction model", self.prediction, PREDICTION)?;
        known("container recipe", self.recipe, RECIPE)?;
        if self.codecs & !Codecs::KNOWN.0 != 0 {
            let known = Codecs::KNOWN.0;
            return Err(PatchError::UnsupportedCodecs {
                needed: self.codecs,
                known,
            });
        }
        for ((codec, library, edition), found) in Codecs::PACKERS.into_iter().zip(self.packers) {
            let used = Codecs(self.codecs).has(codec);
            let expected = if used { edition } else { 0 };
            if found != expected {
                return Err(PatchError::OtherLibrary {
                    library,
                    needed: found,
                    known: expected,
                });
            }
        }
        self.check_values()?;
        let old = match self.kind {
            0 => None,
            _ => Some(self.old),
        };
        Ok(Header {
            codecs: Codecs(self.codecs),
            frame_output: self.frame_output,
            predicts: self.prediction == PREDICTION,
            frames: self.frames,
            payload_length: self.payload_length,
            old,
            new: self.new,
            first: self.first,
        })
    }

    fn check_values(&self) -> Result<(), PatchError> {
        let none = ImageId {
            length: 0,
            sha256: [0; 32],
        };
        let empty = self.new.length == 0;
        let longest = max_frame_bytes(self.frame_output);
        let rules: [(bool, &'static str, &'static str, u64); 14] = [
            (
                (self.recipe == RECIPE) == (self.packers != [0; 3]),
                "container recipe",
                "1 if blocks are packed, or 0",
                self.recipe.into(),
            ),
            (
                self.version == VERSION,
                "format version",
                "3",
                self.version.into(),
            ),
            (
                self.kind <= 1,
                "kind",
                "0 (full) or 1 (delta)",
                self.kind.into(),
            ),
            (
                self.reserved == 0,
                "reserved byte",
                "0",
                self.reserved.into(),
            ),
            (self.flags == 0, "flags", "0", self.flags.into()),
            (
                (MIN_FRAME_OUTPUT..=MAX_FRAME_OUTPUT).contains(&self.frame_output),
                "frame output",
                "4 KiB to 4 MiB",
                self.frame_output.into(),
            ),
            (
                self.old.length <= MAX_IMAGE_LENGTH,
                "old length",
                "below 2^63",
                self.old.length,
            ),
            (
                self.kind == 1 || self.old == none,
                "old image of a full payload",
                "none",
                self.old.length,
            ),
            (
                self.new.length <= MAX_IMAGE_LENGTH,
                "new length",
                "below 2^63",
                self.new.length,
            ),
            (
                self.prediction == 0 || (self.kind == 1 && !empty),
                "prediction model of a full payload or an empty image",
                "0",
                self.prediction.into(),
            ),
            // Every frame but a map yields at least one byte, and no frame is needed for none.
            (
                match self.frames.checked_sub(self.prediction.into()) {
                    Some(yielding) => (yielding == 0) == empty && yielding <= self.new.length,
                    None => false,
                },
                "number of frames",
                "at least 1 and at most the new length, beside a map, or 0 for an empty image",
                self.frames,
            ),
            (
                self.first.is_end() == empty && self.first.length <= longest,
                "length of the first frame",
                "what its output allows, or 0 for an empty image",
                self.first.length.into(),
            ),
            (
                self.payload_length <= MAX_IMAGE_LENGTH,
                "payload length",
                "below 2^63",
                self.payload_length,
            ),
            (self.tail_is_zero, "reserved tail", "zeros", 0),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, field, expected, found)) => Err(PatchError::HeaderField {
                field,
                expected,
                found,
            }),
        }
    }
}

fn known(part: &'static str, needed: u16, known: u16) -> Result<(), PatchError> {
    if needed > known {
        return Err(PatchError::UnsupportedVersion {
            part,
            needed,
            known,
        });
    }
    Ok(())
}
