//! A frame: the link to the next one, what kind it is, how many bytes of the new image it yields, and its body.

use std::fmt;

use crate::chain::{Authentic, Link};
use crate::codec::STORED;
use crate::error::FrameFault;
use crate::format::bytes::Bytes;
use crate::limits::{CONTROL_SLACK, MAX_RUN_OUTPUT, max_recipe_bytes};

/// Shorthand for what reading a part of a frame gives.
pub(crate) type Fault<T> = Result<T, FrameFault>;

/// Fewest bytes of a frame: link, kind, output length.
pub(crate) const FRAME_HEAD_LEN: usize = Link::LEN + 1 + 1;

pub(crate) const KIND_ZERO: u8 = 0;
pub(crate) const KIND_COPY: u8 = 1;
pub(crate) const KIND_STREAMS: u8 = 2;
pub(crate) const KIND_MAP: u8 = 3;

/// The streams of a decoded frame, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Which blocks of the old image to unpack, and what of the output is packed again, copied or zero.
    Recipe,
    /// How copied bytes are read to predict addresses in them.
    Modes,
    /// Which pieces to copy and how many literal bytes follow each.
    Control,
    /// What to add, byte by byte and modulo 256, to the copied pieces as they are predicted.
    Add,
    /// Literal bytes.
    Extra,
}

impl StreamKind {
    /// All of them, in the order in which a frame has them.
    pub const ALL: [Self; 5] = [
        Self::Recipe,
        Self::Modes,
        Self::Control,
        Self::Add,
        Self::Extra,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recipe => "recipe",
            Self::Modes => "modes",
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
    /// Bytes of new image, at least 1; 0 of a map.
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
    /// The map of addresses, for the frames behind it.
    Map(Stream<'a>),
}

#[derive(Debug)]
pub(crate) struct Streams<'a> {
    pub(crate) recipe: Stream<'a>,
    pub(crate) modes: Stream<'a>,
    pub(crate) control: Stream<'a>,
    pub(crate) add: Stream<'a>,
    pub(crate) extra: Stream<'a>,
    /// What add and extra decode to together: at most the header's frame output.
    pub(crate) unpacked: u32,
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
    /// `frame_output` is what the header allows a frame to decode to, `left` what the new image
    /// still lacks.
    pub(crate) fn parse(bytes: &Authentic<'a>, frame_output: u32, left: u64) -> Fault<Self> {
        let mut at = Bytes::new(bytes.bytes());
        let next = Link {
            length: at.u32("link")?,
            sha256: at.array("link")?,
        };
        let kind = at.u8("kind")?;
        let output = at.number("output length")?;
        let most = match kind {
            KIND_MAP => 0,
            _ => left.min(MAX_RUN_OUTPUT),
        };
        if (output == 0) != (kind == KIND_MAP) || output > most {
            return Err(FrameFault::Length {
                field: "output length",
                expected: most,
                found: output,
            });
        }
        let body = match kind {
            KIND_ZERO => Body::Zero,
            KIND_COPY => Body::Copy {
                old_offset: at.number("old offset")?,
            },
            KIND_STREAMS => Body::Streams(Streams::parse(&mut at, output, frame_output)?),
            KIND_MAP => Body::Map(map(&mut at, frame_output)?),
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

/// The one stream of a map, which decodes to no more than another frame may.
fn map<'a>(at: &mut Bytes<'a>, frame_output: u32) -> Fault<Stream<'a>> {
    let head = StreamHead::parse(at)?;
    let found = head.decoded_length;
    if found > frame_output.into() {
        return Err(FrameFault::Length {
            field: "decoded length of the map",
            expected: frame_output.into(),
            found,
        });
    }
    head.stream(at, "map")
}

impl<'a> Streams<'a> {
    fn parse(at: &mut Bytes<'a>, output: u64, frame_output: u32) -> Fault<Self> {
        let recipe = StreamHead::parse(at)?;
        let modes = StreamHead::parse(at)?;
        let control = StreamHead::parse(at)?;
        let add = StreamHead::parse(at)?;
        let extra = StreamHead::parse(at)?;
        // Checked before anything is decoded: these are the lengths that buffers are made for.
        let sum = add.decoded_length.saturating_add(extra.decoded_length);
        let most_control = sum.saturating_add(CONTROL_SLACK.into());
        let bounds = [
            (
                "decoded length of the recipe",
                max_recipe_bytes(frame_output).into(),
                recipe.decoded_length,
            ),
            (
                "decoded length of the modes",
                max_recipe_bytes(frame_output).into(),
                modes.decoded_length,
            ),
            (
                "decoded length of the control stream",
                most_control,
                control.decoded_length,
            ),
            (
                "decoded length of the add and extra streams",
                frame_output.into(),
                sum,
            ),
        ];
        for (field, expected, found) in bounds {
            if found > expected {
                return Err(FrameFault::Length {
                    field,
                    expected,
                    found,
                });
            }
        }
        if recipe.decoded_length == 0 && sum != output {
            return Err(FrameFault::Length {
                field: "decoded length of the add and extra streams",
                expected: output,
                found: sum,
            });
        }
        Ok(Self {
            recipe: recipe.stream(at, StreamKind::Recipe.name())?,
            modes: modes.stream(at, StreamKind::Modes.name())?,
            control: control.stream(at, StreamKind::Control.name())?,
            add: add.stream(at, StreamKind::Add.name())?,
            extra: extra.stream(at, StreamKind::Extra.name())?,
            // Lossless: it was compared with the frame output.
            unpacked: u32::try_from(sum).unwrap_or(u32::MAX),
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
    encoded_length: u64,
    decoded_length: u64,
}

impl StreamHead {
    fn parse(at: &mut Bytes<'_>) -> Fault<Self> {
        let codec = at.u8("codec")?;
        let encoded_length = at.number("encoded length")?;
        // What is stored is as long as it is.
        let decoded_length = match codec {
            STORED => encoded_length,
            _ => at.number("decoded length")?,
        };
        if codec != STORED && decoded_length <= encoded_length {
            return Err(FrameFault::Length {
                field: "encoded length of a compressed stream, which is shorter than what it decodes to",
                expected: decoded_length.saturating_sub(1),
                found: encoded_length,
            });
        }
        Ok(Self {
            codec,
            encoded_length,
            decoded_length,
        })
    }

    fn stream<'a>(self, at: &mut Bytes<'a>, name: &'static str) -> Fault<Stream<'a>> {
        // What does not fit usize does not fit what is left of the frame either.
        let length = usize::try_from(self.encoded_length).unwrap_or(usize::MAX);
        let encoded = at.take(name, length)?;
        Ok(Stream {
            codec: self.codec,
            // Every caller has bounded it by a 32-bit number.
            decoded_length: u32::try_from(self.decoded_length).unwrap_or(u32::MAX),
            encoded,
        })
    }
}
