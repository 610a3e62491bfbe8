//! What a payload is made of, for people and tools on the host.

use std::io::{self, Read};

use crate::blocks::BlockCodec;
use crate::chain::{Link, authenticate};
use crate::codec::Decoder;
use crate::digest::sha256;
use crate::error::{FrameFault, PatchError};
use crate::format::control::Entries;
use crate::format::frame::{Body, Frame, Stream, StreamKind, Streams, check_copy};
use crate::format::recipe::{Recipe, Segment, Sums};
use crate::format::{HEADER_LEN, Header, PayloadKind};
use crate::limits::max_frame_bytes;
use crate::predict::{Map, Mode, Runs, most_pieces};

/// Ways in which decoded bytes are read.
const MODES: usize = Mode::ALL.len() + 1;

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// SHA-256 of the header frame: the digest by which a manifest names this payload.
    pub head: [u8; 32],
    /// What the header says.
    pub header: Header,
    /// The frames, in order.
    pub frames: Vec<FrameSummary>,
}

impl Summary {
    /// Whether it is a full payload or a delta.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        self.header.kind()
    }

    /// Encoded and decoded bytes of one stream over all frames.
    #[must_use]
    pub fn stream(&self, kind: StreamKind) -> StreamSummary {
        let mut sum = StreamSummary::default();
        for stream in self.frames.iter().filter_map(|frame| frame.stream(kind)) {
            sum.encoded = sum.encoded.saturating_add(stream.encoded);
            sum.decoded = sum.decoded.saturating_add(stream.decoded);
            sum.lzma2 = sum.lzma2.saturating_add(stream.lzma2);
        }
        sum
    }

    /// What the recipes of all frames come to. Frames of zeros and unchanged pieces count too.
    #[must_use]
    pub fn segments(&self) -> SegmentSummary {
        let mut sum = SegmentSummary::default();
        for frame in &self.frames {
            match frame {
                FrameSummary::Map { .. } => {}
                FrameSummary::Zero { output } => sum.zeros = sum.zeros.saturating_add(*output),
                FrameSummary::Copy { output, .. } => {
                    sum.copied = sum.copied.saturating_add(*output);
                }
                FrameSummary::Streams { segments, .. } => sum.add(segments),
            }
        }
        sum
    }

    /// The map of addresses: its pieces and its size.
    #[must_use]
    pub fn map(&self) -> Option<(u64, StreamSummary)> {
        match self.frames.first() {
            Some(FrameSummary::Map { pieces, map }) => Some((*pieces, *map)),
            _ => None,
        }
    }

    /// Decoded bytes by how they are read to predict addresses: as they are, then instructions of 64-bit Arm and of x86-64,
    /// 32-bit distances, 64-bit and 32-bit pointers.
    #[must_use]
    pub fn predicted(&self) -> [u64; MODES] {
        let mut sums = [0_u64; MODES];
        for frame in &self.frames {
            if let FrameSummary::Streams { predicted, .. } = frame {
                for (sum, more) in sums.iter_mut().zip(predicted) {
                    *sum = sum.saturating_add(*more);
                }
            }
        }
        sums
    }

    /// Bytes of the payload that are not in any stream: header, chain and frame heads.
    #[must_use]
    pub fn overhead(&self) -> u64 {
        let map = self.map().map_or(0, |(_, map)| map.encoded);
        let left = self.header.payload_length.saturating_sub(map);
        StreamKind::ALL.into_iter().fold(left, |left, kind| {
            left.saturating_sub(self.stream(kind).encoded)
        })
    }
}

/// One frame of a [`Summary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each MiB of an image: most are of the large kind, and all are copied about freely"
)]
pub enum FrameSummary {
    /// The map of addresses: where things were, and where they are.
    Map {
        /// Pieces of it.
        pieces: u64,
        /// Its only stream.
        map: StreamSummary,
    },
    /// Zeros.
    Zero {
        /// Bytes of new image.
        output: u64,
    },
    /// An unchanged piece of the old image.
    Copy {
        /// Bytes of new image.
        output: u64,
        /// Where the piece begins in the old image.
        old_offset: u64,
    },
    /// Changed pieces and literal bytes.
    Streams {
        /// Bytes of new image.
        output: u64,
        /// Entries of the control stream.
        entries: u64,
        /// The recipe: blocks of the old image to unpack, pieces to pack, copies and zeros.
        recipe: StreamSummary,
        /// How copied bytes are read to predict addresses.
        modes: StreamSummary,
        /// Decoded bytes by how they are read: as they are, then the modes in the order of their numbers.
        predicted: [u64; MODES],
        /// What the recipe says.
        segments: SegmentSummary,
        /// The control stream.
        control: StreamSummary,
        /// The add stream: its decoded length is the number of bytes that are copied and changed.
        add: StreamSummary,
        /// The extra stream: its decoded length is the number of literal bytes.
        extra: StreamSummary,
    },
}

impl FrameSummary {
    /// Bytes of new image that the frame yields.
    #[must_use]
    pub fn output(&self) -> u64 {
        match self {
            Self::Map { .. } => 0,
            Self::Zero { output } | Self::Copy { output, .. } | Self::Streams { output, .. } => {
                *output
            }
        }
    }

    /// One of its streams, if it has any.
    #[must_use]
    pub fn stream(&self, kind: StreamKind) -> Option<StreamSummary> {
        match (self, kind) {
            (Self::Streams { recipe, .. }, StreamKind::Recipe) => Some(*recipe),
            (Self::Streams { modes, .. }, StreamKind::Modes) => Some(*modes),
            (Self::Streams { control, .. }, StreamKind::Control) => Some(*control),
            (Self::Streams { add, .. }, StreamKind::Add) => Some(*add),
            (Self::Streams { extra, .. }, StreamKind::Extra) => Some(*extra),
            _ => None,
        }
    }
}

/// What the recipe of a frame comes to, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentSummary {
    /// Decoded bytes that go into the new image as they are.
    pub plain: u64,
    /// Bytes that are copied from the old image as they are.
    pub copied: u64,
    /// Zeros.
    pub zeros: u64,
    /// Decoded bytes that are packed.
    pub unpacked: u64,
    /// What they are packed to.
    pub packed: u64,
    /// Bytes that blocks of the old image unpack to.
    pub sources: u64,
    /// `unpacked` by library: zlib, Zstandard, liblzma.
    pub packed_by: [u64; 3],
    /// `sources` by library.
    pub sources_by: [u64; 3],
}

impl SegmentSummary {
    fn add(&mut self, other: &Self) {
        let numbers = [
            (&mut self.plain, other.plain),
            (&mut self.copied, other.copied),
            (&mut self.zeros, other.zeros),
            (&mut self.unpacked, other.unpacked),
            (&mut self.packed, other.packed),
            (&mut self.sources, other.sources),
        ];
        let packed_by = self.packed_by.iter_mut().zip(other.packed_by);
        let sources_by = self.sources_by.iter_mut().zip(other.sources_by);
        for (sum, more) in numbers.into_iter().chain(packed_by).chain(sources_by) {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Size of a stream, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamSummary {
    /// As it stands in the payload.
    pub encoded: u64,
    /// Decoded.
    pub decoded: u64,
    /// What of `decoded` is LZMA2.
    pub lzma2: u64,
}

/// Reads a payload from its first byte to its last and says what it is made of. The chain is checked from the
/// header on, and so are the rules of the format; the images are not at hand, so their digests are not
/// checked, and whoever made the header is unknown. Copies are checked against the declared old length.
///
/// # Errors
/// As an apply would fail, except for what concerns the images; [`PatchError::ReadPayload`].
pub fn inspect(payload: &mut dyn Read) -> Result<Summary, PatchError> {
    let mut reader = Reader { payload, offset: 0 };
    let mut bytes = Vec::new();
    let header_length = u32::try_from(HEADER_LEN).unwrap_or(u32::MAX);
    if !reader.fill(&mut bytes, header_length)? {
        let expected = header_length.into();
        return Err(PatchError::Truncated {
            frame: 0,
            expected,
            found: reader.offset,
        });
    }
    let Ok(header_bytes) = <&[u8; HEADER_LEN]>::try_from(bytes.as_slice()) else {
        return Err(PatchError::Spent);
    };
    let head = sha256(header_bytes);
    let header = Header::parse(header_bytes)?;
    let mut summary = Summary {
        head,
        header,
        frames: Vec::new(),
    };
    let mut decoder = Decoder::new(header.codecs)?;
    let mut control = Vec::new();
    let mut next = header.first;
    let mut left = header.new.length;
    for index in 0..header.frames {
        let (frame, link) = reader.frame(
            index,
            &header,
            next,
            left,
            &mut bytes,
            &mut decoder,
            &mut control,
        )?;
        left = left.saturating_sub(frame.output());
        next = link;
        summary.frames.push(frame);
    }
    reader.end(&header, next, left)?;
    Ok(summary)
}

struct Reader<'a> {
    payload: &'a mut dyn Read,
    offset: u64,
}

impl Reader<'_> {
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one loop, kept where it is used"
    )]
    fn frame(
        &mut self,
        index: u64,
        header: &Header,
        link: Link,
        left: u64,
        bytes: &mut Vec<u8>,
        decoder: &mut Decoder,
        control: &mut Vec<u8>,
    ) -> Result<(FrameSummary, Link), PatchError> {
        let malformed = |fault| PatchError::frame(index, fault);
        let longest = max_frame_bytes(header.frame_output);
        if link.is_end() {
            let expected = header.frames;
            return Err(malformed(FrameFault::Count {
                ends: true,
                expected,
                found: index,
            }));
        }
        if link.length > longest {
            let field = "length of the frame";
            let (expected, found) = (longest.into(), link.length.into());
            return Err(malformed(FrameFault::Length {
                field,
                expected,
                found,
            }));
        }
        if !self.fill(bytes, link.length)? {
            let expected = header.payload_length;
            return Err(PatchError::Truncated {
                frame: index,
                expected,
                found: self.offset,
            });
        }
        let expected = link.sha256;
        let authentic =
            authenticate(bytes, &expected).map_err(|found| PatchError::FrameMismatch {
                frame: index,
                expected,
                found,
            })?;
        let frame = Frame::parse(&authentic, header.frame_output, left).map_err(malformed)?;
        let is_map = matches!(frame.body, Body::Map(_));
        if is_map != (header.predicts && index == 0) {
            return Err(malformed(FrameFault::Map { is_map }));
        }
        let output = frame.output;
        let summary = match frame.body {
            Body::Map(map) => {
                decoder.decode(&map, "map", control).map_err(malformed)?;
                let read = Map::parse(control, most_pieces(header.frame_output));
                let pieces = read.map_err(malformed)?.len();
                FrameSummary::Map {
                    pieces: u64::try_from(pieces).unwrap_or(u64::MAX),
                    map: stream(&map),
                }
            }
            Body::Zero => FrameSummary::Zero { output },
            Body::Copy { old_offset } => {
                let old_length = header.old.map_or(0, |old| old.length);
                check_copy(old_offset, output, old_length).map_err(malformed)?;
                FrameSummary::Copy { output, old_offset }
            }
            Body::Streams(streams) => {
                let (segments, space) =
                    segments(&streams, output, header, decoder, control).map_err(malformed)?;
                let predicted = predicted(&streams, decoder, control).map_err(malformed)?;
                let entries = entries(&streams, space, decoder, control).map_err(malformed)?;
                FrameSummary::Streams {
                    output,
                    entries,
                    segments,
                    recipe: stream(&streams.recipe),
                    modes: stream(&streams.modes),
                    predicted,
                    control: stream(&streams.control),
                    add: stream(&streams.add),
                    extra: stream(&streams.extra),
                }
            }
        };
        Ok((summary, frame.next))
    }

    fn end(&mut self, header: &Header, next: Link, left: u64) -> Result<(), PatchError> {
        let (expected, found) = (header.frames, header.frames);
        if !next.is_end() {
            let fault = FrameFault::Count {
                ends: false,
                expected,
                found,
            };
            return Err(PatchError::frame(header.frames, fault));
        }
        let field = "output of all frames";
        if left != 0 {
            let expected = header.new.length;
            let fault = FrameFault::Length {
                field,
                expected,
                found: expected.saturating_sub(left),
            };
            return Err(PatchError::frame(header.frames, fault));
        }
        let expected = self.offset;
        if expected != header.payload_length {
            return Err(PatchError::HeaderField {
                field: "payload length",
                expected: "where the last frame ends",
                found: header.payload_length,
            });
        }
        if self.fill(&mut Vec::new(), 1)? {
            return Err(PatchError::TrailingBytes { expected });
        }
        Ok(())
    }

    /// Reads `length` bytes, which the caller has bounded; `false` if there are fewer.
    fn fill(&mut self, bytes: &mut Vec<u8>, length: u32) -> Result<bool, PatchError> {
        bytes.clear();
        let read = self.payload.take(length.into()).read_to_end(bytes);
        let read = read.map_err(|source: io::Error| PatchError::ReadPayload {
            offset: self.offset,
            source,
        })?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(read);
        Ok(read == u64::from(length))
    }
}

/// What the recipe says, and how long the space is that copies read from.
fn segments(
    streams: &Streams<'_>,
    output: u64,
    header: &Header,
    decoder: &mut Decoder,
    bytes: &mut Vec<u8>,
) -> Result<(SegmentSummary, u64), FrameFault> {
    decoder.decode(&streams.recipe, StreamKind::Recipe.name(), bytes)?;
    let old_length = header.old.map_or(0, |old| old.length);
    let sums = Sums {
        output,
        decoded: streams.unpacked.into(),
        most: header.frame_output.into(),
        old_length,
    };
    let recipe = Recipe::parse(bytes, sums)?;
    let mut sum = SegmentSummary {
        plain: if recipe.is_plain() { output } else { 0 },
        ..SegmentSummary::default()
    };
    for source in recipe.sources() {
        sum.sources = sum.sources.saturating_add(source.unpacked.into());
        count(&mut sum.sources_by, source.codec, source.unpacked.into());
    }
    let mut segments = recipe.segments(old_length);
    while let Some(segment) = segments.next()? {
        let (to, length) = match segment {
            Segment::Plain { length } => (&mut sum.plain, length),
            Segment::Copy { length, .. } => (&mut sum.copied, length),
            Segment::Zero { length } => (&mut sum.zeros, length),
            Segment::Pack {
                length,
                packed,
                packing,
            } => {
                sum.packed = sum.packed.saturating_add(packed);
                count(&mut sum.packed_by, packing.codec(), length);
                (&mut sum.unpacked, length)
            }
        };
        *to = to.saturating_add(length);
    }
    Ok((sum, old_length.saturating_add(sum.sources)))
}

/// Adds `bytes` to what is counted for a library.
fn count(by: &mut [u64; 3], codec: BlockCodec, bytes: u64) {
    let [zlib, zstd, xz] = by;
    let sum = match codec {
        BlockCodec::Zlib => zlib,
        BlockCodec::Zstd => zstd,
        BlockCodec::Xz => xz,
    };
    *sum = sum.saturating_add(bytes);
}

/// Decoded bytes by how they are read.
fn predicted(
    streams: &Streams<'_>,
    decoder: &mut Decoder,
    bytes: &mut Vec<u8>,
) -> Result<[u64; MODES], FrameFault> {
    decoder.decode(&streams.modes, StreamKind::Modes.name(), bytes)?;
    let mut by = [0_u64; MODES];
    let mut left = u64::from(streams.unpacked);
    let mut runs = Runs::new(bytes, left);
    while let Some(run) = runs.next()? {
        let number = Mode::ALL.iter().position(|mode| Some(*mode) == run.mode);
        let index = number.map_or(0, |index| index.saturating_add(1));
        if let Some(sum) = by.get_mut(index) {
            *sum = sum.saturating_add(run.length);
        }
        left = left.saturating_sub(run.length);
    }
    let [as_they_are, ..] = &mut by;
    *as_they_are = as_they_are.saturating_add(left);
    Ok(by)
}

fn entries(
    streams: &Streams<'_>,
    space: u64,
    decoder: &mut Decoder,
    control: &mut Vec<u8>,
) -> Result<u64, FrameFault> {
    decoder.decode(&streams.control, StreamKind::Control.name(), control)?;
    let mut entries = Entries::parse(control, space)?;
    let mut count = 0_u64;
    while entries.next()?.is_some() {
        count = count.saturating_add(1);
    }
    Ok(count)
}

fn stream(stream: &Stream<'_>) -> StreamSummary {
    StreamSummary {
        encoded: u64::try_from(stream.encoded.len()).unwrap_or(u64::MAX),
        decoded: stream.decoded_length.into(),
        lzma2: match stream.codec {
            2 => stream.decoded_length.into(),
            _ => 0,
        },
    }
}
