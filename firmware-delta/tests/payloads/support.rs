//! What all of these tests need.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firmware_delta::{
    Applied, Applier, Built, DiffOptions, Expectation, Limits, OldImage, PatchError, VerifiedOld,
    diff, full, verify_old,
};

/// Numbers that look random and are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

pub(crate) fn options(frame_output: u32) -> DiffOptions {
    let mut options = DiffOptions::default();
    options.frame_output = frame_output;
    options.level = 3;
    options
}

pub(crate) fn make_delta(old: &[u8], new: &[u8], frame_output: u32) -> (Vec<u8>, Built) {
    let mut payload = Vec::new();
    let built = diff(old, new, &options(frame_output), &mut payload, &|_| {}).unwrap();
    assert_eq!(built.payload.length, payload.len() as u64);
    (payload, built)
}

pub(crate) fn make_full(mut new: &[u8], frame_output: u32) -> (Vec<u8>, Built) {
    let (mut payload, mut spool) = (Vec::new(), io::Cursor::new(Vec::new()));
    let options = options(frame_output);
    let built = full(&mut new, &options, &mut spool, &mut payload, &|_| {}).unwrap();
    assert_eq!(built.payload.length, payload.len() as u64);
    (payload, built)
}

/// An old image and a new one with several kinds of frames between them, at 4 KiB per frame.
pub(crate) fn small_pair() -> (Vec<u8>, Vec<u8>) {
    let mut numbers = Numbers(7);
    let old = numbers.bytes(24_000);
    let mut new = old.clone();
    (0..40).for_each(|_| new[9000 + numbers.below(2000)] ^= 0x55);
    new.splice(12_000..12_100, [0; 6000]);
    new.splice(3000..3000, *b"some bytes put in between");
    (old, new)
}

pub(crate) fn verified<'a>(old: &'a [u8], expected: &Expectation) -> VerifiedOld<'a> {
    match &expected.old {
        Some(id) => verify_old(old, id).unwrap(),
        None => VerifiedOld::none(),
    }
}

/// Applies `payload` in pieces of `chunk` bytes.
pub(crate) fn apply(
    payload: &[u8],
    old: &[u8],
    expected: Expectation,
    chunk: usize,
) -> (Vec<u8>, Result<Applied, PatchError>) {
    apply_from(payload, verified(old, &expected), expected, chunk)
}

pub(crate) fn apply_from(
    payload: &[u8],
    old: VerifiedOld<'_>,
    expected: Expectation,
    chunk: usize,
) -> (Vec<u8>, Result<Applied, PatchError>) {
    let mut new = Vec::new();
    let mut applier = Applier::new(expected, Limits::default(), old).unwrap();
    for piece in payload.chunks(chunk.max(1)) {
        if let Err(error) = applier.push(piece, &mut new) {
            assert!(matches!(
                applier.push(piece, &mut new),
                Err(PatchError::Spent)
            ));
            assert!(applier.checkpoint().is_none());
            assert!(matches!(applier.finish(), Err(PatchError::Spent)));
            return (new, Err(error));
        }
    }
    (new, applier.finish())
}

/// Counts the reads that it serves.
pub(crate) struct CountingOld<'a> {
    pub(crate) image: &'a [u8],
    pub(crate) reads: Arc<AtomicUsize>,
}

impl OldImage for CountingOld<'_> {
    fn length(&self) -> u64 {
        self.image.length()
    }

    fn read_at(&mut self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.image.read_at(offset, to)
    }
}

/// Byte ranges of the frames in a payload, found by following the chain.
pub(crate) fn frame_ranges(payload: &[u8]) -> Vec<std::ops::Range<usize>> {
    let length = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap()) as usize;
    let mut ranges = Vec::new();
    let mut from = 192;
    let mut next = length(FIRST_LINK);
    while next != 0 {
        ranges.push(from..from + next);
        let following = length(from);
        from += next;
        next = following;
    }
    ranges
}

/// Where the header announces the first frame.
pub(crate) const FIRST_LINK: usize = 124;
