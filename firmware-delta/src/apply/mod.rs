//! Applies a payload that comes in pieces of any size: push bytes in, new image out.

mod copies;
mod output;
mod progress;
mod sources;
mod state;

use std::io::{Read, Write};

pub use progress::{Applied, Progress};
use state::Frames;

use crate::checkpoint::Checkpoint;
use crate::digest::Running;
use crate::error::PatchError;
use crate::expectation::{Expectation, ImageId};
use crate::format::{HEADER_LEN, Header};
use crate::limits::{Limits, PIECE};
use crate::old::VerifiedOld;

/// Applies one payload. Holds at most one encoded frame, its streams and its output.
///
/// After any error but a failed construction the applier is spent: every later call says
/// [`PatchError::Spent`]. What was written until then is a correct beginning of the new image, up to the
/// last [`Checkpoint`]; nothing behind it can be relied on.
pub struct Applier<'a> {
    stage: Stage<'a>,
    /// What came of the frame (or header) that is being received.
    buffer: Vec<u8>,
}

enum Stage<'a> {
    Header {
        expected: Expectation,
        limits: Limits,
        old: VerifiedOld<'a>,
    },
    Frames(Box<Frames<'a>>),
    Spent,
}

impl<'a> Applier<'a> {
    /// Starts with the first byte of a payload.
    ///
    /// # Errors
    /// [`PatchError::OldNotAsExpected`] or [`PatchError::OldMismatch`] if `old` is not the proof of the old
    /// image that `expected` names, [`PatchError::AboveLimit`] if the new image is too long for `limits`.
    pub fn new(
        expected: Expectation,
        limits: Limits,
        old: VerifiedOld<'a>,
    ) -> Result<Self, PatchError> {
        check_inputs(&expected, &limits, &old)?;
        Ok(Self {
            stage: Stage::Header {
                expected,
                limits,
                old,
            },
            buffer: Vec::new(),
        })
    }

    /// Goes on from `checkpoint`: the next byte to push is the one at [`Checkpoint::payload_offset`].
    ///
    /// `written` reads back the new image from its first byte. [`Checkpoint::new_offset`] bytes of it are
    /// hashed and compared with what the checkpoint says, since the length of a file proves nothing; more
    /// may follow and are left alone. The sink of the pushes that follow has to stand at that offset.
    ///
    /// # Errors
    /// As for [`Self::new`]; [`PatchError::CheckpointForeign`] if the checkpoint is of another payload;
    /// [`PatchError::PrefixMismatch`] or [`PatchError::ReadPrefix`] if the slot does not hold what was
    /// written; and what a header can be refused for. Nothing was written then.
    pub fn resume(
        expected: Expectation,
        limits: Limits,
        old: VerifiedOld<'a>,
        checkpoint: &Checkpoint,
        written: &mut dyn Read,
    ) -> Result<Self, PatchError> {
        check_inputs(&expected, &limits, &old)?;
        if checkpoint.head() != expected.head {
            let found = checkpoint.head();
            return Err(PatchError::CheckpointForeign {
                expected: expected.head,
                found,
            });
        }
        let mut frames = Frames::begin(&checkpoint.header, &expected, &limits, old)?;
        let digest = hash_prefix(checkpoint, written)?;
        frames.go_to(checkpoint, digest)?;
        Ok(Self {
            stage: Stage::Frames(Box::new(frames)),
            buffer: Vec::new(),
        })
    }

    /// Takes the next bytes of the payload, any number of them. Every frame that they complete is compared
    /// with its digest, decoded, and appended to `new`; an incomplete frame is kept for the next call.
    ///
    /// # Errors
    /// Any [`PatchError`] but those of construction. Nothing of the frame that it names was decoded if
    /// its digest was wrong, and nothing of it was written if it was malformed.
    pub fn push(&mut self, mut input: &[u8], new: &mut dyn Write) -> Result<Progress, PatchError> {
        while !input.is_empty() {
            input = self.fill(input)?;
            if self.lacking()? == 0 {
                // Taken out for the time being: an error leaves the applier spent.
                let stage = std::mem::replace(&mut self.stage, Stage::Spent);
                self.stage = stage.complete(&self.buffer, new)?;
                self.buffer.clear();
            }
        }
        self.progress()
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`PatchError::Spent`].
    pub fn progress(&self) -> Result<Progress, PatchError> {
        match &self.stage {
            Stage::Header { expected, .. } => Ok(Progress::before_header(expected)),
            Stage::Frames(frames) => Ok(frames.progress()),
            Stage::Spent => Err(PatchError::Spent),
        }
    }

    /// What the payload's header says, once it was received and compared with the expectation.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        match &self.stage {
            Stage::Frames(frames) => Some(frames.header()),
            Stage::Header { .. } | Stage::Spent => None,
        }
    }

    /// Where to go on after an interruption: behind the last complete frame. `None` before the header is
    /// complete and after an error.
    ///
    /// It covers what was handed to the sink, so the caller makes that durable before it stores the checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        match &self.stage {
            Stage::Frames(frames) => Some(frames.checkpoint()),
            Stage::Header { .. } | Stage::Spent => None,
        }
    }

    /// Compares everything that was written with the promised new image.
    ///
    /// # Errors
    /// [`PatchError::Truncated`] if frames are missing, [`PatchError::NewMismatch`] if the image is another.
    pub fn finish(self) -> Result<Applied, PatchError> {
        let buffered = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        match self.stage {
            Stage::Header { .. } => Err(PatchError::Truncated {
                frame: 0,
                expected: u64::try_from(HEADER_LEN).unwrap_or(u64::MAX),
                found: buffered,
            }),
            Stage::Frames(frames) => frames.finish(buffered),
            Stage::Spent => Err(PatchError::Spent),
        }
    }

    /// Moves bytes from `input` into the buffer, no more than the frame at hand needs; what is left of `input`.
    fn fill<'i>(&mut self, input: &'i [u8]) -> Result<&'i [u8], PatchError> {
        let lacking = self.lacking()?;
        if lacking == 0 {
            let expected = self.progress()?.payload_offset;
            self.stage = Stage::Spent;
            return Err(PatchError::TrailingBytes { expected });
        }
        let (taken, rest) = input.split_at_checked(lacking).unwrap_or((input, &[]));
        // The length of the whole frame is authentic and bounded: allocated once, not by doubling.
        self.buffer.reserve_exact(lacking);
        self.buffer.extend_from_slice(taken);
        Ok(rest)
    }

    /// Bytes missing of the header or frame at hand; 0 behind the last frame.
    fn lacking(&self) -> Result<usize, PatchError> {
        let needed = match &self.stage {
            Stage::Header { .. } => HEADER_LEN,
            Stage::Frames(frames) => frames.next_length(),
            Stage::Spent => return Err(PatchError::Spent),
        };
        Ok(needed.saturating_sub(self.buffer.len()))
    }
}

impl<'a> Stage<'a> {
    /// Takes a complete header or frame.
    fn complete(self, bytes: &[u8], new: &mut dyn Write) -> Result<Self, PatchError> {
        match self {
            Self::Header {
                expected,
                limits,
                old,
            } => {
                let Ok(header) = bytes.try_into() else {
                    return Err(PatchError::Spent);
                };
                Ok(Self::Frames(Box::new(Frames::begin(
                    header, &expected, &limits, old,
                )?)))
            }
            Self::Frames(mut frames) => {
                frames.apply(bytes, new)?;
                Ok(Self::Frames(frames))
            }
            Self::Spent => Err(PatchError::Spent),
        }
    }
}

fn check_inputs(
    expected: &Expectation,
    limits: &Limits,
    old: &VerifiedOld<'_>,
) -> Result<(), PatchError> {
    match (expected.old, old.id()) {
        (None, None) => {}
        (Some(expected), Some(found)) if expected == found => {}
        (Some(expected), Some(found)) => return Err(PatchError::OldMismatch { expected, found }),
        (_, given) => {
            return Err(PatchError::OldNotAsExpected {
                given: given.is_some(),
            });
        }
    }
    if expected.new.length > limits.new_length {
        return Err(PatchError::AboveLimit {
            what: "new image",
            limit: limits.new_length,
            found: expected.new.length,
        });
    }
    Ok(())
}

/// Hashes what was written before the checkpoint, and compares it with what it says.
fn hash_prefix(checkpoint: &Checkpoint, written: &mut dyn Read) -> Result<Running, PatchError> {
    let expected = ImageId {
        length: checkpoint.new_offset,
        sha256: checkpoint.new_sha256,
    };
    let mut digest = Running::new();
    let mut piece = vec![0; PIECE];
    loop {
        let left = expected.length.saturating_sub(digest.length());
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let Some(to) = piece.get_mut(..length).filter(|to| !to.is_empty()) else {
            break;
        };
        let offset = digest.length();
        let read =
            read_some(written, to).map_err(|source| PatchError::ReadPrefix { offset, source })?;
        match to.get(..read).filter(|read| !read.is_empty()) {
            Some(bytes) => digest.update(bytes),
            None => break,
        }
    }
    let found = ImageId::from_running(&digest);
    if found != expected {
        return Err(PatchError::PrefixMismatch { expected, found });
    }
    Ok(digest)
}

fn read_some(from: &mut dyn Read, to: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match from.read(to) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
