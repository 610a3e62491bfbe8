//! The copies of a frame from the old image, read in the order of their places there: code moves in many short pieces, and a read
//! from storage costs about the same for each. So copies are put down first, and those that lie close to each other are read at once.

use crate::error::PatchError;
use crate::old::VerifiedOld;

/// Copies that are put down before they are made.
const MOST_PENDING: usize = 16 << 10;

/// Most bytes that are read at once for several copies; longer copies are read straight to where they go.
const MOST: u64 = 32 << 10;

/// Bytes between two copies that are read in vain rather than to read twice.
const GAP: u64 = 4 << 10;

/// A copy that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pending {
    pub(super) from: u64,
    /// To where in the frame's decoded bytes.
    pub(super) to: usize,
    pub(super) length: usize,
}

impl Pending {
    pub(super) fn end(&self) -> u64 {
        let length = u64::try_from(self.length).unwrap_or(u64::MAX);
        self.from.saturating_add(length)
    }
}

/// Buffers kept from frame to frame.
#[derive(Default)]
pub(super) struct Copies {
    pending: Vec<Pending>,
    read: Vec<u8>,
}

impl Copies {
    /// Forgets what another frame put down and did not make.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
    }

    /// Puts down a copy that the caller has checked to be inside of the old image; whether it is time to [settle](Self::settle).
    pub(super) fn put_down(&mut self, copy: Pending) -> bool {
        self.pending.push(copy);
        self.pending.len() >= MOST_PENDING
    }

    /// Makes all copies that were put down.
    pub(super) fn settle(
        &mut self,
        old: &mut VerifiedOld<'_>,
        image: &mut [u8],
    ) -> Result<(), PatchError> {
        self.pending.sort_unstable();
        let mut rest = self.pending.as_slice();
        while let Some(first) = rest.first() {
            let (count, end) = together(rest);
            let (group, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = behind;
            if let [copy] = group {
                old.read_at(copy.from, place(image, copy))?;
                continue;
            }
            let length = end.saturating_sub(first.from);
            self.read.resize(usize::try_from(length).unwrap_or(0), 0);
            old.read_at(first.from, &mut self.read)?;
            for copy in group {
                let from = usize::try_from(copy.from.saturating_sub(first.from));
                let from = self.read.get(from.unwrap_or(usize::MAX)..);
                let from = from.and_then(|from| from.get(..copy.length));
                let to = place(image, copy);
                // Always as long as each other: the group ends where its last copy does.
                if let Some(from) = from.filter(|from| from.len() == to.len()) {
                    to.copy_from_slice(from);
                }
            }
        }
        self.pending.clear();
        Ok(())
    }
}

/// How many copies, at least one, are read at once, and where what is read for them ends.
fn together(copies: &[Pending]) -> (usize, u64) {
    let Some((first, others)) = copies.split_first() else {
        return (0, 0);
    };
    let (mut count, mut end) = (1_usize, first.end());
    for copy in others {
        let further = end.max(copy.end());
        if copy.from > end.saturating_add(GAP) || further.saturating_sub(first.from) > MOST {
            break;
        }
        end = further;
        count = count.saturating_add(1);
    }
    (count, end)
}

/// Where a copy goes.
fn place<'a>(image: &'a mut [u8], copy: &Pending) -> &'a mut [u8] {
    let end = copy.to.saturating_add(copy.length);
    image.get_mut(copy.to..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::ImageId;
    use crate::old::{OldImage, verify_old};

    /// Counts what is read of it.
    struct Counted<'a>(&'a [u8], &'a std::sync::atomic::AtomicUsize);

    impl OldImage for Counted<'_> {
        fn length(&self) -> u64 {
            self.0.length()
        }

        fn read_at(&mut self, offset: u64, to: &mut [u8]) -> std::io::Result<()> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0.read_at(offset, to)
        }
    }

    #[test]
    fn what_lies_together_is_read_once() {
        let bytes: Vec<u8> = (0..=250).cycle().take(200_000).collect();
        let reads = std::sync::atomic::AtomicUsize::new(0);
        let id = ImageId::of(&bytes);
        let mut old = verify_old(Counted(&bytes, &reads), &id).unwrap();
        let verifying = reads.load(std::sync::atomic::Ordering::Relaxed);
        // Out of order, overlapping, the longest at the end, and two that are far from all others.
        let places = [
            (900, 100),
            (0, 50),
            (20, 60),
            (150_000, 50_000),
            (100, 40_000),
            (70_000, 1),
            (199_999, 1),
        ];
        let mut copies = Copies::default();
        let mut image = vec![0; places.iter().map(|place| place.1).sum()];
        let mut expected = Vec::new();
        for (from, length) in places {
            let copy = Pending {
                from: u64::try_from(from).unwrap(),
                to: expected.len(),
                length,
            };
            expected.extend_from_slice(&bytes[from..from + length]);
            assert!(!copies.put_down(copy));
        }
        copies.settle(&mut old, &mut image).unwrap();
        assert!(image == expected);
        // 0 with 20; 100; 900; 70,000; 150,000; and the last byte, since what is longer than a read is read alone.
        let reads = reads.load(std::sync::atomic::Ordering::Relaxed) - verifying;
        assert_eq!(reads, 6);
    }
}
