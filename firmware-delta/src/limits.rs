//! Every bound that a receiver keeps, in one place.

/// Bytes that one frame decodes to, beside zeros and unchanged pieces, unless the publisher chose otherwise: 1 MiB.
pub const DEFAULT_FRAME_OUTPUT: u32 = 1 << 20;

/// Fewest bytes a payload may declare as its frame output: 4 KiB. Smaller frames would be mostly chain.
pub const MIN_FRAME_OUTPUT: u32 = 1 << 12;

/// Most bytes that any frame may decode to, beside zeros and unchanged pieces: 4 MiB.
pub const MAX_FRAME_OUTPUT: u32 = 1 << 22;

/// Most bytes that one frame may yield: 64 MiB. Zeros and unchanged pieces are written piece by piece,
/// so the bound is not about memory: it is how much work a resumed download may have to repeat.
pub const MAX_RUN_OUTPUT: u64 = 1 << 26;

/// Longest old or new image: 2^63 - 1 bytes, so that offsets also fit the signed types of file systems.
pub const MAX_IMAGE_LENGTH: u64 = i64::MAX.unsigned_abs();

/// Most bytes that one frame may have in the payload, at the largest frame output: about 10 MiB.
pub const MAX_FRAME_BYTES: u32 = max_frame_bytes(MAX_FRAME_OUTPUT);

/// What a control stream may decode to beyond the frame's output, so that tiny frames can have entries.
pub(crate) const CONTROL_SLACK: u32 = 32;

/// Bytes that are read, hashed or filled at once where any number would do.
pub(crate) const PIECE: usize = 64 << 10;

/// What one receiver is ready to spend. Defaults fit any payload that this version can describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of output per decoded frame, and so about a quarter of the peak memory.
    /// Values above [`MAX_FRAME_OUTPUT`] have no effect.
    pub frame_output: u32,
    /// Longest new image in bytes, for a receiver whose slot has an end.
    pub new_length: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_output: MAX_FRAME_OUTPUT,
            new_length: MAX_IMAGE_LENGTH,
        }
    }
}

/// Most blocks of the old image that one frame may unpack: so that their list is small.
pub(crate) const MAX_SOURCES: u64 = 1024;

/// Most bytes that a frame's recipe may decode to, and its modes.
pub(crate) const fn max_recipe_bytes(frame_output: u32) -> u32 {
    frame_output / 4
}

/// Most bytes a frame that decodes to `frame_output` bytes can need: its head, a recipe, modes, a control stream no longer
/// than the output, and add and extra streams that together are as long as the output. A stream
/// that compression would enlarge is stored.
pub(crate) const fn max_frame_bytes(frame_output: u32) -> u32 {
    // At most 2.5 * 4 MiB + 256: far from overflow, and saturating if a caller comes with more.
    frame_output
        .saturating_mul(2)
        .saturating_add(max_recipe_bytes(frame_output))
        .saturating_add(max_recipe_bytes(frame_output))
        .saturating_add(256)
}
