//! What a payload is made of, for people and tools on the host.

use std::io::{self, Read};

use crate::chain::{Link, authenticate};
use crate::codec::Decoder;
use crate::digest::sha256;
use crate::error::{FrameFault, PatchError};
use crate::format::control::Entries;
use crate::format::frame::{Body, Frame, Stream, StreamKind, Streams, check_copy};
use crate::format::{HEADER_LEN, Header, PayloadKind};
use crate::limits::max_frame_bytes;

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
        }
        sum
    }

    /// Bytes of the payload that are not in any stream: header, chain and frame heads.
    #[must_use]
    pub fn overhead(&self) -> u64 {
        StreamKind::ALL
            .into_iter()
            .fold(self.header.payload_length, |left, kind| {
                left.saturating_sub(self.stream(kind).encoded)
            })
    }
}

/// One frame of a [`Summary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameSummary {
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
            Self::Zero { output } | Self::Copy { output, .. } | Self::Streams { output, .. } => {
                *output
            }
        }
    }

    /// One of its streams, if it has any.
    #[must_use]
    pub fn stream(&self, kind: StreamKind) -> Option<StreamSummary> {
        match (self, kind) {
            (Self::Streams { control, .. }, StreamKind::Control) => Some(*control),
            (Self::Streams { add, .. }, StreamKind::Add) => Some(*add),
            (Self::Streams { extra, .. }, StreamKind::Extra) => Some(*extra),
            _ => None,
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
        let output = frame.output;
        let summary = match frame.body {
            Body::Zero => FrameSummary::Zero { output },
            Body::Copy { old_offset } => {
                let old_length = header.old.map_or(0, |old| old.length);
                check_copy(old_offset, output, old_length).map_err(malformed)?;
                FrameSummary::Copy { output, old_offset }
            }
            Body::Streams(streams) => {
                let entries = entries(&streams, header, decoder, control).map_err(malformed)?;
                FrameSummary::Streams {
                    output,
                    entries,
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

fn entries(
    streams: &Streams<'_>,
    header: &Header,
    decoder: &mut Decoder,
    control: &mut Vec<u8>,
) -> Result<u64, FrameFault> {
    decoder.decode(&streams.control, StreamKind::Control, control)?;
    let old_length = header.old.map_or(0, |old| old.length);
    let mut entries = Entries::parse(control, old_length)?;
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
    }
}
