//! A frame: the link to the next one, what kind it is, how many bytes of the new image it yields, and its body.

use std::fmt;

use crate::chain::{Authentic, Link};
use crate::error::FrameFault;
use crate::format::bytes::Bytes;
use crate::limits::{CONTROL_SLACK, MAX_RUN_OUTPUT};

/// Shorthand for what reading a part of a frame gives.
pub(crate) type Fault<T> = Result<T, FrameFault>;

/// Bytes before the body: link, kind, output length.
pub(crate) const FRAME_HEAD_LEN: usize = Link::LEN + 1 + 8;

pub(crate) const KIND_ZERO: u8 = 0;
pub(crate) const KIND_COPY: u8 = 1;
pub(crate) const KIND_STREAMS: u8 = 2;

/// The streams of a decoded frame, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Which pieces to copy and how many literal bytes follow each.
    Control,
    /// What to add, byte by byte and modulo 256, to the copied pieces.
    Add,
    /// Literal bytes.
    Extra,
}

impl StreamKind {
    /// All of them, in the order in which a frame has them.
    pub const ALL: [Self; 3] = [Self::Control, Self::Add, Self::Extra];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Add => "add",
            Self::Extra => "extra",
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A frame taken apart, its streams still encoded.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) next: Link,
    /// Bytes of new image, at least 1.
    pub(crate) output: u64,
    pub(crate) body: Body<'a>,
}

#[derive(Debug)]
pub(crate) enum Body<'a> {
    /// Nothing but zeros.
    Zero,
    /// A piece of the old image, unchanged.
    Copy { old_offset: u64 },
    /// Pieces of the old image with changes, and literal bytes.
    Streams(Streams<'a>),
}

#[derive(Debug)]
pub(crate) struct Streams<'a> {
    pub(crate) control: Stream<'a>,
    pub(crate) add: Stream<'a>,
    pub(crate) extra: Stream<'a>,
}

/// One stream as it stands in a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream<'a> {
    pub(crate) codec: u8,
    pub(crate) decoded_length: u32,
    pub(crate) encoded: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes apart the bytes of an authenticated frame.
    ///
    /// `frame_output` is what the header allows a decoded frame to yield, `left` what the new image
    /// still lacks.
    pub(crate) fn parse(bytes: &Authentic<'a>, frame_output: u32, left: u64) -> Fault<Self> {
        let mut at = Bytes::new(bytes.bytes());
        let next = Link {
            length: at.u32("link")?,
            sha256: at.array("link")?,
        };
        let kind = at.u8("kind")?;
        let output = at.u64("output length")?;
        let most = if kind == KIND_STREAMS {
            frame_output.into()
        } else {
            MAX_RUN_OUTPUT
        };
        if output == 0 || output > left.min(most) {
            return Err(FrameFault::Length {
                field: "output length",
                expected: left.min(most),
                found: output,
            });
        }
        let body = match kind {
            KIND_ZERO => Body::Zero,
            KIND_COPY => Body::Copy {
                old_offset: at.u64("old offset")?,
            },
            KIND_STREAMS => Body::Streams(Streams::parse(&mut at, output)?),
            found => return Err(FrameFault::Kind { found }),
        };
        match at.rest().len() {
            0 => Ok(Self { next, output, body }),
            found => Err(FrameFault::LeftOver {
                part: "frame",
                found: u64::try_from(found).unwrap_or(u64::MAX),
            }),
        }
    }
}

impl<'a> Streams<'a> {
    fn parse(at: &mut Bytes<'a>, output: u64) -> Fault<Self> {
        let control = StreamHead::parse(at)?;
        let add = StreamHead::parse(at)?;
        let extra = StreamHead::parse(at)?;
        // Checked before anything is decoded: these are the lengths that buffers are made for.
        let most_control = output.saturating_add(CONTROL_SLACK.into());
        if u64::from(control.decoded_length) > most_control {
            return Err(FrameFault::Length {
                field: "decoded length of the control stream",
                expected: most_control,
                found: control.decoded_length.into(),
            });
        }
        let sum = u64::from(add.decoded_length).saturating_add(extra.decoded_length.into());
        if sum != output {
            return Err(FrameFault::Length {
                field: "decoded length of the add and extra streams",
                expected: output,
                found: sum,
            });
        }
        Ok(Self {
            control: control.stream(at, StreamKind::Control)?,
            add: add.stream(at, StreamKind::Add)?,
            extra: extra.stream(at, StreamKind::Extra)?,
        })
    }
}

/// Whether `length` bytes from `offset` on are inside of an old image of `old_length` bytes.
pub(crate) fn check_copy(offset: u64, length: u64, old_length: u64) -> Fault<()> {
    match offset.checked_add(length) {
        Some(end) if end <= old_length => Ok(()),
        _ => Err(FrameFault::Outside {
            offset,
            length,
            old_length,
        }),
    }
}

/// What says what a stream is: codec, encoded and decoded length.
struct StreamHead {
    codec: u8,
    encoded_length: u32,
    decoded_length: u32,
}

impl StreamHead {
    fn parse(at: &mut Bytes<'_>) -> Fault<Self> {
        Ok(Self {
            codec: at.u8("codec")?,
            encoded_length: at.u32("encoded length")?,
            decoded_length: at.u32("decoded length")?,
        })
    }

    fn stream<'a>(self, at: &mut Bytes<'a>, kind: StreamKind) -> Fault<Stream<'a>> {
        // What does not fit usize does not fit what is left of the frame either.
        let length = usize::try_from(self.encoded_length).unwrap_or(usize::MAX);
        let encoded = at.take(kind.name(), length)?;
        Ok(Stream {
            codec: self.codec,
            decoded_length: self.decoded_length,
            encoded,
        })
    }
}
