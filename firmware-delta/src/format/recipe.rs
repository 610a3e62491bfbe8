//! The recipe of a frame: which packed blocks of the old image it starts from, and what its decoded bytes become.
//!
//! ```text
//! number of sources, then for each: gap, packed length, unpacked length, codec
//! segments until the end: (length << 2 | what), then for a copy its move, for a pack its packed length and packing
//! ```
//!
//! Sources are blocks of the old image, in its order; unpacked and put behind each other they lie behind the old image's
//! own end, where the control stream's copies reach them. A frame without a recipe is one plain segment.

use crate::blocks::{BlockCodec, Packing};
use crate::error::FrameFault;
use crate::format::bytes::Bytes;
use crate::format::frame::{Fault, check_copy};
use crate::format::varint;
use crate::limits::MAX_SOURCES;

/// A packed block of the old image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// Where its packed bytes are in the old image.
    pub(crate) offset: u64,
    pub(crate) packed: u32,
    pub(crate) unpacked: u32,
    pub(crate) codec: BlockCodec,
}

/// What a piece of the new image is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Decoded bytes as they are.
    Plain {
        length: u64,
    },
    /// A piece of the old image as it is.
    Copy {
        length: u64,
        old_offset: u64,
    },
    Zero {
        length: u64,
    },
    /// Decoded bytes, packed.
    Pack {
        length: u64,
        packed: u64,
        packing: Packing,
    },
}

impl Segment {
    /// Bytes of new image.
    pub(crate) fn output(&self) -> u64 {
        match self {
            Self::Plain { length } | Self::Copy { length, .. } | Self::Zero { length } => *length,
            Self::Pack { packed, .. } => *packed,
        }
    }

    /// Decoded bytes that it takes.
    pub(crate) fn decoded(&self) -> u64 {
        match self {
            Self::Plain { length } | Self::Pack { length, .. } => *length,
            Self::Copy { .. } | Self::Zero { .. } => 0,
        }
    }
}

const PLAIN: u64 = 0;
const COPY: u64 = 1;
const ZERO: u64 = 2;

/// What a frame has to add up to.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    /// Bytes of new image.
    pub(crate) output: u64,
    /// Bytes that its add and extra streams have together.
    pub(crate) decoded: u64,
    /// Most bytes of any block.
    pub(crate) most: u64,
    pub(crate) old_length: u64,
}

/// A recipe whose every number was checked.
#[derive(Default)]
pub(crate) struct Recipe<'a> {
    sources: Vec<Source>,
    segments: &'a [u8],
}

impl<'a> Recipe<'a> {
    pub(crate) fn parse(bytes: &'a [u8], sums: Sums) -> Fault<Self> {
        let mut at = Bytes::new(bytes);
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let sources = sources(&mut at, sums)?;
        let recipe = Self {
            sources,
            segments: at.rest(),
        };
        let (mut output, mut decoded) = (0_u64, 0_u64);
        let mut segments = recipe.segments(sums.old_length);
        while let Some(segment) = segments.next()? {
            output = output.saturating_add(segment.output());
            decoded = decoded.saturating_add(segment.decoded());
            if let Segment::Pack { length, packed, .. } = segment {
                within("packed length", packed, 1, length)?;
            }
        }
        exactly("output of a recipe", sums.output, output)?;
        exactly("decoded bytes of a recipe", sums.decoded, decoded)?;
        Ok(recipe)
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Whether the decoded bytes are the output.
    pub(crate) fn is_plain(&self) -> bool {
        self.segments.is_empty()
    }

    pub(crate) fn segments(&self, old_length: u64) -> Segments<'a> {
        Segments {
            at: Bytes::new(self.segments),
            old_end: 0,
            old_length,
        }
    }
}

fn sources(at: &mut Bytes<'_>, sums: Sums) -> Fault<Vec<Source>> {
    let count = at.number("number of sources")?;
    within("number of sources", count, 0, MAX_SOURCES)?;
    let mut sources = Vec::new();
    let mut end = 0_u64;
    for _ in 0..count {
        let gap = at.number("gap before a source")?;
        let packed = at.number("packed length")?;
        let unpacked = at.number("unpacked length")?;
        let codec = BlockCodec::parse(at.u8("codec of a block")?)?;
        within("unpacked length of a source", unpacked, 1, sums.most)?;
        within("packed length of a source", packed, 1, sums.most)?;
        let offset = end.saturating_add(gap);
        check_copy(offset, packed, sums.old_length)?;
        end = offset.saturating_add(packed);
        sources.push(Source {
            offset,
            // Lossless: at most a frame's output.
            packed: u32::try_from(packed).unwrap_or(u32::MAX),
            unpacked: u32::try_from(unpacked).unwrap_or(u32::MAX),
            codec,
        });
    }
    Ok(sources)
}

/// Reads segments one by one: none of them is stored.
pub(crate) struct Segments<'a> {
    at: Bytes<'a>,
    old_end: u64,
    old_length: u64,
}

impl Segments<'_> {
    /// The next one, proven to lie inside of the old image if it is a copy; `None` behind the last.
    pub(crate) fn next(&mut self) -> Fault<Option<Segment>> {
        if self.at.rest().is_empty() {
            return Ok(None);
        }
        let head = self.at.number("segment")?;
        let length = head >> 2;
        within("length of a segment", length, 1, u64::MAX)?;
        Ok(Some(match head & 3 {
            PLAIN => Segment::Plain { length },
            ZERO => Segment::Zero { length },
            COPY => {
                let distance = varint::unfold(self.at.number("move of a segment")?);
                // Wraps to what is refused.
                let old_offset = self.old_end.wrapping_add_signed(distance);
                check_copy(old_offset, length, self.old_length)?;
                self.old_end = old_offset.saturating_add(length);
                Segment::Copy { length, old_offset }
            }
            _ => Segment::Pack {
                length,
                packed: self.at.number("packed length of a segment")?,
                packing: Packing::parse(&mut self.at)?,
            },
        }))
    }
}

fn within(field: &'static str, found: u64, least: u64, most: u64) -> Fault<()> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let expected = if found < least { least } else { most };
    Err(FrameFault::Length {
        field,
        expected,
        found,
    })
}

fn exactly(field: &'static str, expected: u64, found: u64) -> Fault<()> {
    within(field, found, expected, expected)
}

/// The recipe of `segments`; nothing if that says the same.
#[cfg(feature = "diff")]
pub(crate) fn emit(sources: &[Source], segments: &[Segment]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let ([], [Segment::Plain { .. }]) = (sources, segments) {
        return bytes;
    }
    varint::put(&mut bytes, u64::try_from(sources.len()).unwrap_or(u64::MAX));
    let mut end = 0_u64;
    for source in sources {
        varint::put(&mut bytes, source.offset.saturating_sub(end));
        varint::put(&mut bytes, source.packed.into());
        varint::put(&mut bytes, source.unpacked.into());
        bytes.push(source.codec.number());
        end = source.offset.saturating_add(source.packed.into());
    }
    let mut old_end = 0_u64;
    for segment in segments {
        let mut head = |length: u64, what: u64| varint::put(&mut bytes, (length << 2) | what);
        match segment {
            Segment::Plain { length } => head(*length, PLAIN),
            Segment::Zero { length } => head(*length, ZERO),
            Segment::Copy { length, old_offset } => {
                head(*length, COPY);
                // Offsets are below 2^63, so their difference fits.
                let distance = old_offset.wrapping_sub(old_end).cast_signed();
                varint::put(&mut bytes, varint::fold(distance));
                old_end = old_offset.saturating_add(*length);
            }
            Segment::Pack {
                length,
                packed,
                packing,
            } => {
                head(*length, 3);
                varint::put(&mut bytes, *packed);
                packing.put(&mut bytes);
            }
        }
    }
    bytes
}
