//! The chain that authenticates a payload: every frame is announced by what was authenticated before it.
//!
//! The signed manifest carries the digest of the header frame. The header announces the first frame by
//! length and digest, every frame the next one, and the last frame announces nothing. So a receiver
//! needs one [`Link`] of state, knows before each frame how many bytes to buffer, and never interprets
//! a byte that was not covered by a digest it already trusted.

use crate::digest::sha256;

/// Announces the next frame: how long it is and what its SHA-256 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Length of the next frame in bytes; 0 if there is none.
    pub length: u32,
    /// SHA-256 of all bytes of the next frame; zeros if there is none.
    pub sha256: [u8; 32],
}

impl Link {
    /// Bytes that a link takes up: a 32-bit length and a digest.
    pub const LEN: usize = 36;

    /// What the last frame carries.
    pub const END: Self = Self {
        length: 0,
        sha256: [0; 32],
    };

    /// Whether no frame follows.
    #[must_use]
    pub fn is_end(&self) -> bool {
        *self == Self::END
    }

    /// The link that announces `frame`; `None` if it is longer than 32 bits can say.
    #[must_use]
    pub fn to(frame: &[u8]) -> Option<Self> {
        Some(Self {
            length: u32::try_from(frame.len()).ok()?,
            sha256: sha256(frame),
        })
    }
}

/// A frame whose digest was compared with what announced it. Decoding takes this type, and only
/// [`authenticate`] makes it.
pub(crate) struct Authentic<'a>(&'a [u8]);

impl<'a> Authentic<'a> {
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// Compares `frame` with the digest it was announced by; the digest that was found instead on failure.
pub(crate) fn authenticate<'a>(
    frame: &'a [u8],
    expected: &[u8; 32],
) -> Result<Authentic<'a>, [u8; 32]> {
    let found = sha256(frame);
    // Both sides are public, so nothing is learnt from how long the comparison takes.
    if found == *expected {
        Ok(Authentic(frame))
    } else {
        Err(found)
    }
}
