//! What an applier knows behind the header: where it is in the chain and in the new image.

use std::io::Write;

use crate::apply::output::Output;
use crate::apply::{Applied, Progress};
use crate::chain::{Link, authenticate};
use crate::checkpoint::Checkpoint;
use crate::codec::Decoder;
use crate::digest::Running;
use crate::error::{FrameFault, PatchError};
use crate::expectation::{Expectation, ImageId};
use crate::format::frame::{Body, FRAME_HEAD_LEN, Fault, Frame};
use crate::format::{HEADER_LEN, Header};
use crate::limits::{Limits, max_frame_bytes};
use crate::old::VerifiedOld;

pub(super) struct Frames<'a> {
    header: Header,
    header_bytes: [u8; HEADER_LEN],
    old: VerifiedOld<'a>,
    /// Index of the frame that comes next.
    frame: u64,
    /// Announces it.
    next: Link,
    /// Where it begins in the payload.
    payload_offset: u64,
    /// Everything that was handed to the sink.
    written: Running,
    output: Output,
    /// The frame of the map, for checkpoints; empty if there is none.
    map: Vec<u8>,
}

impl<'a> Frames<'a> {
    /// Authenticates the header and compares it with what was promised.
    pub(super) fn begin(
        bytes: &[u8; HEADER_LEN],
        expected: &Expectation,
        limits: &Limits,
        old: VerifiedOld<'a>,
    ) -> Result<Self, PatchError> {
        let header = Header::authenticate(bytes, &expected.head)?;
        check_promise(&header, expected)?;
        if header.frame_output > limits.frame_output {
            return Err(PatchError::AboveLimit {
                what: "frame output",
                limit: limits.frame_output.into(),
                found: header.frame_output.into(),
            });
        }
        let frames = Self {
            next: header.first,
            header_bytes: *bytes,
            old,
            frame: 0,
            payload_offset: HEADER_LEN.try_into().unwrap_or(u64::MAX),
            written: Running::new(),
            output: Output::new(Decoder::new(header.codecs)?, header.frame_output),
            map: Vec::new(),
            header,
        };
        // The header has been checked for everything but this: an empty image ends the payload.
        if frames.next.is_end() && frames.payload_offset != header.payload_length {
            return Err(PatchError::HeaderField {
                field: "payload length",
                expected: "the header's length, for an empty image",
                found: header.payload_length,
            });
        }
        Ok(frames)
    }

    /// Goes to the frame behind `checkpoint`, whose header is this one's; `written` stands in the slot.
    pub(super) fn go_to(
        &mut self,
        checkpoint: &Checkpoint,
        written: Running,
    ) -> Result<(), PatchError> {
        let damaged = |field| PatchError::CheckpointDamaged { field };
        self.frame = checkpoint.frame;
        self.payload_offset = checkpoint.payload_offset;
        self.written = written;
        if self.left().is_none() || self.frame > self.header.frames {
            return Err(damaged("it is behind the end of the payload"));
        }
        self.check_next(&checkpoint.next)
            .map_err(|_| damaged("its link to the next frame"))?;
        self.next = checkpoint.next;
        self.take_map(&checkpoint.map)
            .map_err(|_| damaged("its map of addresses"))
    }

    /// Takes the map from a checkpoint, where there is one if frames were applied that have one in front.
    fn take_map(&mut self, bytes: &[u8]) -> Fault<()> {
        let needed = self.header.predicts && self.frame > 0;
        let other = FrameFault::Map { is_map: !needed };
        if !needed {
            return if bytes.is_empty() { Ok(()) } else { Err(other) };
        }
        let authentic = authenticate(bytes, &self.header.first.sha256).map_err(|_| other)?;
        let frame = Frame::parse(&authentic, self.header.frame_output, 0)?;
        let Body::Map(stream) = &frame.body else {
            return Err(other);
        };
        self.output.read_map(stream)?;
        self.map = bytes.to_vec();
        Ok(())
    }

    /// Takes a frame of the announced length.
    pub(super) fn apply(&mut self, bytes: &[u8], new: &mut dyn Write) -> Result<(), PatchError> {
        let index = self.frame;
        let malformed = |fault| PatchError::Frame {
            frame: index,
            fault,
        };
        let authentic =
            authenticate(bytes, &self.next.sha256).map_err(|found| PatchError::FrameMismatch {
                frame: index,
                expected: self.next.sha256,
                found,
            })?;
        let left = self.left().unwrap_or(0);
        let frame = Frame::parse(&authentic, self.header.frame_output, left).map_err(malformed)?;
        let is_map = matches!(frame.body, Body::Map(_));
        if is_map != (self.header.predicts && index == 0) {
            return Err(malformed(FrameFault::Map { is_map }));
        }
        let length = u64::from(self.next.length);
        let past = PastFrame {
            frame: self.frame.saturating_add(1),
            payload_offset: self.payload_offset.saturating_add(length),
            left: left.saturating_sub(frame.output),
        };
        past.check(&self.header, &frame.next).map_err(malformed)?;
        self.output
            .write(index, &frame, &mut self.old, &mut self.written, new)?;
        if is_map {
            self.map = bytes.to_vec();
        }
        self.frame = past.frame;
        self.payload_offset = past.payload_offset;
        self.next = frame.next;
        Ok(())
    }

    pub(super) fn finish(self, buffered: u64) -> Result<Applied, PatchError> {
        if !self.next.is_end() {
            return Err(PatchError::Truncated {
                frame: self.frame,
                expected: self.header.payload_length,
                found: self.payload_offset.saturating_add(buffered),
            });
        }
        let found = ImageId::from_running(&self.written);
        if found != self.header.new {
            return Err(PatchError::NewMismatch {
                expected: self.header.new,
                found,
            });
        }
        Ok(Applied::new(found))
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn next_length(&self) -> usize {
        // At most MAX_FRAME_BYTES, which fits.
        usize::try_from(self.next.length).unwrap_or(usize::MAX)
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            frame: self.frame,
            frames: self.header.frames,
            payload_offset: self.payload_offset,
            payload_length: self.header.payload_length,
            new_offset: self.written.length(),
            new_length: self.header.new.length,
            complete: self.next.is_end(),
        }
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            header: self.header_bytes,
            frame: self.frame,
            payload_offset: self.payload_offset,
            new_offset: self.written.length(),
            new_sha256: self.written.sha256(),
            next: self.next,
            map: self.map.clone(),
        }
    }

    /// Bytes of the new image that are still to come; `None` if there are too many already.
    fn left(&self) -> Option<u64> {
        self.header.new.length.checked_sub(self.written.length())
    }

    fn check_next(&self, next: &Link) -> Fault<()> {
        let left = self.left().unwrap_or(0);
        let past = PastFrame {
            frame: self.frame,
            payload_offset: self.payload_offset,
            left,
        };
        past.check(&self.header, next)
    }
}

/// Where the payload stands behind a frame.
struct PastFrame {
    frame: u64,
    payload_offset: u64,
    left: u64,
}

impl PastFrame {
    /// Whether `next` is what can follow here: count, lengths and the image have to end together, and the
    /// length of a frame, by which it will be buffered, is bounded by what its output allows.
    fn check(&self, header: &Header, next: &Link) -> Fault<()> {
        let ends = next.is_end();
        if ends != (self.frame >= header.frames) {
            return Err(FrameFault::Count {
                ends,
                expected: header.frames,
                found: self.frame,
            });
        }
        if ends && self.left != 0 {
            return Err(FrameFault::Length {
                field: "output of all frames",
                expected: header.new.length,
                found: header.new.length.saturating_sub(self.left),
            });
        }
        let longest = u64::from(max_frame_bytes(header.frame_output));
        let shortest = u64::try_from(FRAME_HEAD_LEN).unwrap_or(u64::MAX);
        let length = u64::from(next.length);
        if !ends && !(shortest..=longest).contains(&length) {
            let expected = if length < shortest { shortest } else { longest };
            return Err(FrameFault::Length {
                field: "length of the next frame",
                expected,
                found: length,
            });
        }
        let end = self.payload_offset.saturating_add(length);
        if end > header.payload_length || (ends && end != header.payload_length) {
            return Err(FrameFault::Length {
                field: "end of the next frame in the payload",
                expected: header.payload_length,
                found: end,
            });
        }
        Ok(())
    }
}

fn check_promise(header: &Header, expected: &Expectation) -> Result<(), PatchError> {
    let image = |image, expected, found| {
        if expected == found {
            return Ok(());
        }
        Err(PatchError::WrongImage {
            image,
            expected,
            found,
        })
    };
    image("new", expected.new, header.new)?;
    match (expected.old, header.old) {
        (None, None) => Ok(()),
        (Some(expected), Some(found)) => image("old", expected, found),
        _ => Err(PatchError::WrongKind {
            expected: expected.kind(),
            found: header.kind(),
        }),
    }
}
