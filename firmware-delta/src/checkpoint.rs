//! Where an interrupted apply goes on: a value that a caller stores.

use crate::chain::Link;
use crate::digest::sha256;
use crate::error::{FrameFault, PatchError};
use crate::format::bytes::Bytes;
use crate::format::frame::Fault;
use crate::format::{HEADER_LEN, Header};
use crate::limits::MAX_FRAME_BYTES;

/// Length of a stored checkpoint in bytes, if its payload has no map of addresses; the map's frame comes on top.
pub const CHECKPOINT_LEN: usize = 8 + HEADER_LEN + 3 * 8 + 32 + Link::LEN + 32;
/// Most bytes of a stored checkpoint: those 324, and the largest frame of a map that there may be.
pub const MAX_CHECKPOINT_LEN: u32 = 324_u32.saturating_add(MAX_FRAME_BYTES);

/// Mark and version of a stored checkpoint.
const MAGIC: [u8; 8] = *b"FWCKPT\x02\n";

/// The state behind a complete frame. It names its payload by the header that it carries, so it cannot be mixed up
/// with another one, and what was written by its digest.
///
/// A checkpoint is as trustworthy as the place it is kept in: whoever can write there can also choose which frame
/// comes next. The digest of the whole new image is compared at the end all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub(crate) header: [u8; HEADER_LEN],
    pub(crate) frame: u64,
    pub(crate) payload_offset: u64,
    pub(crate) new_offset: u64,
    pub(crate) new_sha256: [u8; 32],
    pub(crate) next: Link,
    /// The frame of the map of addresses, by which the frames to come predict; empty if there is none.
    pub(crate) map: Vec<u8>,
}

impl Checkpoint {
    /// SHA-256 of the payload's header frame, by which the manifest names the payload.
    #[must_use]
    pub fn head(&self) -> [u8; 32] {
        sha256(&self.header)
    }

    /// Index of the frame that comes next, which is also the number of frames that were applied.
    #[must_use]
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// Offset in the payload, in bytes, from which to go on downloading.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        self.payload_offset
    }

    /// Offset in the new image, in bytes, from which to go on writing.
    #[must_use]
    pub fn new_offset(&self) -> u64 {
        self.new_offset
    }

    /// SHA-256 of the new image's first [`Self::new_offset`] bytes.
    #[must_use]
    pub fn new_sha256(&self) -> [u8; 32] {
        self.new_sha256
    }

    /// What the payload's header says.
    ///
    /// # Errors
    /// As for [`Header::parse`]; never for a checkpoint that an applier gave.
    pub fn header(&self) -> Result<Header, PatchError> {
        Header::parse(&self.header)
    }

    /// The bytes to store. The last 32 are a SHA-256 of the others: against torn writes, not against forgery.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut stored = Vec::with_capacity(CHECKPOINT_LEN.saturating_add(self.map.len()));
        stored.extend_from_slice(&MAGIC);
        stored.extend_from_slice(&self.header);
        for number in [self.frame, self.payload_offset, self.new_offset] {
            stored.extend_from_slice(&number.to_le_bytes());
        }
        stored.extend_from_slice(&self.new_sha256);
        stored.extend_from_slice(&self.next.length.to_le_bytes());
        stored.extend_from_slice(&self.next.sha256);
        stored.extend_from_slice(&self.map);
        let check = sha256(&stored);
        stored.extend_from_slice(&check);
        stored
    }

    /// Reads what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    /// [`PatchError::CheckpointDamaged`] if the length, the mark, the version or the check digest is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PatchError> {
        let damaged = |field| PatchError::CheckpointDamaged { field };
        let longest = usize::try_from(MAX_CHECKPOINT_LEN).unwrap_or(usize::MAX);
        if bytes.len() < CHECKPOINT_LEN || bytes.len() > longest {
            return Err(damaged("its length"));
        }
        let (stored, check) = bytes
            .split_last_chunk::<32>()
            .ok_or(damaged("its length"))?;
        if !stored.starts_with(&MAGIC) {
            return Err(damaged("its mark or version"));
        }
        if sha256(stored) != *check {
            return Err(damaged("its check digest"));
        }
        Self::fields(stored).map_err(|_: FrameFault| damaged("its length"))
    }

    fn fields(stored: &[u8]) -> Fault<Self> {
        let mut at = Bytes::new(stored);
        let _mark: [u8; 8] = at.array("mark")?;
        Ok(Self {
            header: at.array("header")?,
            frame: at.u64("frame")?,
            payload_offset: at.u64("payload offset")?,
            new_offset: at.u64("new offset")?,
            new_sha256: at.array("new digest")?,
            next: Link {
                length: at.u32("link")?,
                sha256: at.array("link")?,
            },
            map: at.rest().to_vec(),
        })
    }
}
