//! The unpacked blocks that a frame's copies may read beside the old image. Copies go to and fro between blocks, and unpacking
//! one costs as much as a hundred copies: so copies are put down first and then made block by block.

use crate::apply::copies::Pending;
use crate::blocks::Unpacker;
use crate::error::{FrameFault, PatchError};
use crate::format::recipe::Source;
use crate::old::VerifiedOld;

/// Copies that are put down before blocks are unpacked for them.
const MOST_PENDING: usize = 16 << 10;

/// Buffers kept from frame to frame.
#[derive(Default)]
pub(super) struct Sources {
    unpacker: Unpacker,
    packed: Vec<u8>,
    block: Vec<u8>,
    /// Where each source begins, and where the last one ends.
    starts: Vec<u64>,
    pending: Vec<Pending>,
}

impl Sources {
    /// Measures the sources of a frame.
    pub(super) fn begin(&mut self, sources: &[Source]) {
        self.pending.clear();
        self.starts.clear();
        let mut end = 0_u64;
        for source in sources {
            self.starts.push(end);
            end = end.saturating_add(source.unpacked.into());
        }
        self.starts.push(end);
    }

    /// Bytes of all sources together.
    pub(super) fn length(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Puts down a copy, its place counted from the start of the first block; whether it is time to [settle](Self::settle).
    pub(super) fn put_down(&mut self, copy: Pending) -> bool {
        self.pending.push(copy);
        self.pending.len() >= MOST_PENDING
    }

    /// Makes all copies that were put down, each of their blocks unpacked once.
    pub(super) fn settle(
        &mut self,
        frame: u64,
        sources: &[Source],
        old: &mut VerifiedOld<'_>,
        image: &mut [u8],
    ) -> Result<(), PatchError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_unstable();
        let mut first = 0;
        for (index, source) in sources.iter().enumerate() {
            let start = self.starts.get(index).copied().unwrap_or(0);
            let end = start.saturating_add(source.unpacked.into());
            let rest = pending.get(first..).unwrap_or_default();
            let mut begun = rest.iter().take_while(|copy| copy.from < end);
            if !begun.any(|copy| copy.end() > start) {
                continue;
            }
            self.unpack(frame, source, old)?;
            for copy in rest.iter().take_while(|copy| copy.from < end) {
                // A copy may begin in a block before this one, and end in one behind it.
                let skip = start.saturating_sub(copy.from);
                let from = copy.from.saturating_add(skip).saturating_sub(start);
                let (skip, from) = (to_usize(skip), to_usize(from));
                let old = self.block.get(from..).unwrap_or_default();
                let to = copy.to.saturating_add(skip);
                let length = copy.length.saturating_sub(skip).min(old.len());
                let image = image.get_mut(to..to.saturating_add(length));
                for (to, from) in image.unwrap_or_default().iter_mut().zip(old) {
                    *to = *from;
                }
            }
            // What ends in this block is done; the longest that began here may still go on.
            let passed = rest.iter().take_while(|copy| copy.end() <= end).count();
            first = first.saturating_add(passed);
        }
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    fn unpack(
        &mut self,
        frame: u64,
        source: &Source,
        old: &mut VerifiedOld<'_>,
    ) -> Result<(), PatchError> {
        // Both lengths are at most a frame's output.
        self.packed.resize(to_usize(source.packed.into()), 0);
        old.read_at(source.offset, &mut self.packed)?;
        let length = to_usize(source.unpacked.into());
        let (packed, block) = (&self.packed, &mut self.block);
        if self.unpacker.unpack(source.codec, packed, length, block) {
            return Ok(());
        }
        let fault = FrameFault::Unpack {
            offset: source.offset,
            expected: source.unpacked.into(),
        };
        Err(PatchError::frame(frame, fault))
    }
}

fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
