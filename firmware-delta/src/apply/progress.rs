//! What a caller is told about how far an apply is.

use crate::expectation::{Expectation, ImageId};

/// How far an apply is. All but `complete` are for showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames applied.
    pub frame: u64,
    /// Frames in the payload; 0 until the header came.
    pub frames: u64,
    /// Bytes of the payload up to the end of the last applied frame.
    pub payload_offset: u64,
    /// Length of the payload in bytes; 0 until the header came.
    pub payload_length: u64,
    /// Bytes of the new image handed to the sink.
    pub new_offset: u64,
    /// Length of the new image in bytes.
    pub new_length: u64,
    /// Whether the last frame was applied: what is left is [`crate::Applier::finish`].
    pub complete: bool,
}

impl Progress {
    pub(crate) fn before_header(expected: &Expectation) -> Self {
        Self {
            frame: 0,
            frames: 0,
            payload_offset: 0,
            payload_length: 0,
            new_offset: 0,
            new_length: expected.new.length,
            complete: false,
        }
    }
}

/// Proof that a payload was applied whole and that what was handed to the sink is the promised image.
/// Whether the sink kept it is for the caller to read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    new: ImageId,
}

impl Applied {
    pub(super) fn new(new: ImageId) -> Self {
        Self { new }
    }

    /// The new image, as promised and as written.
    #[must_use]
    pub fn new_image(&self) -> ImageId {
        self.new
    }
}
