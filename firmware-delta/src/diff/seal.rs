//! Chains encoded frames from the last to the first, and writes the payload.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::chain::Link;
use crate::diff::options::{Counter, DiffOptions};
use crate::diff::{DiffError, DiffProgress, DiffStage};
use crate::digest::{Running, sha256};
use crate::expectation::{Expectation, ImageId};
use crate::format::{Codecs, HEADER_LEN, Header};

/// What a manifest has to say about a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// SHA-256 of the header frame, from which a device authenticates all others.
    pub head: [u8; 32],
    /// The image that the payload makes.
    pub new: ImageId,
    /// The image that it starts from, if it is a delta.
    pub old: Option<ImageId>,
    /// Length and SHA-256 of the payload as a file.
    pub payload: ImageId,
    /// Number of frames.
    pub frames: u64,
}

impl Built {
    /// What a device expects that trusts this.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        Expectation {
            head: self.head,
            new: self.new,
            old: self.old,
        }
    }
}

/// The images that a payload is about.
#[derive(Clone, Copy)]
pub(super) struct Images {
    pub(super) old: Option<ImageId>,
    pub(super) new: ImageId,
}

/// A frame without its link: the link of a frame covers the frame behind it, so it is made last.
pub(super) struct Unlinked {
    pub(super) body: Vec<u8>,
    /// What a reader needs for it.
    pub(super) codecs: Codecs,
    /// Whether it needs a map of addresses.
    pub(super) predicts: bool,
}

impl Unlinked {
    /// A frame that needs nothing.
    pub(super) fn plain(body: Vec<u8>) -> Self {
        Self {
            body,
            codecs: Codecs::STORED,
            predicts: false,
        }
    }
}

/// Encoded frames, in their order.
pub(super) trait Bodies {
    /// How many there are.
    fn count(&self) -> usize;
    /// What a reader needs for all of them.
    fn codecs(&self) -> Codecs;
    /// Whether the first of them is a map of addresses.
    fn predicts(&self) -> bool;
    /// The bytes of one of them.
    fn body(&mut self, index: usize) -> Result<Cow<'_, [u8]>, DiffError>;
}

impl Bodies for Vec<Unlinked> {
    fn count(&self) -> usize {
        self.len()
    }

    fn codecs(&self) -> Codecs {
        let codecs = self.iter().map(|frame| frame.codecs);
        codecs.fold(Codecs::STORED, Codecs::with)
    }

    fn predicts(&self) -> bool {
        self.iter().any(|frame| frame.predicts)
    }

    fn body(&mut self, index: usize) -> Result<Cow<'_, [u8]>, DiffError> {
        let frame = self.get(index).ok_or(DiffError::TooLong)?;
        Ok(Cow::Borrowed(&frame.body))
    }
}

/// Writes the payload of `frames`, reading them twice: from the last to the first for the links, whose first one is in the
/// header, and then from the first to the last.
pub(super) fn seal(
    mut frames: impl Bodies,
    images: Images,
    options: &DiffOptions,
    to: &mut dyn Write,
    progress: &(dyn Fn(DiffProgress) + Sync),
) -> Result<Built, DiffError> {
    let count = u64::try_from(frames.count()).map_err(|_| DiffError::TooLong)?;
    let mut length = u64::try_from(HEADER_LEN).map_err(|_| DiffError::TooLong)?;
    let mut next = Link::END;
    // Each frame's link, the last frame's first.
    let mut links = Vec::with_capacity(frames.count());
    for index in (0..frames.count()).rev() {
        let bytes = linked(&next, &frames.body(index)?);
        links.push(next);
        next = Link::to(&bytes).ok_or(DiffError::TooLong)?;
        length = length.saturating_add(next.length.into());
    }
    let header = Header {
        codecs: frames.codecs(),
        frame_output: options.frame_output,
        predicts: frames.predicts(),
        frames: count,
        payload_length: length,
        old: images.old,
        new: images.new,
        first: next,
    };
    let head_bytes = header.to_bytes();
    let mut sink = Sink {
        to,
        written: Running::new(),
    };
    let counter = Counter::new(
        DiffStage::Write,
        usize::try_from(length).unwrap_or(0),
        progress,
    );
    let failed = |source| DiffError::Write { source };
    sink.write(&head_bytes).map_err(failed)?;
    counter.add(head_bytes.len());
    for (index, link) in links.iter().rev().enumerate() {
        let frame = linked(link, &frames.body(index)?);
        sink.write(&frame).map_err(failed)?;
        counter.add(frame.len());
    }
    sink.to.flush().map_err(failed)?;
    Ok(Built {
        head: sha256(&head_bytes),
        new: images.new,
        old: images.old,
        payload: ImageId::from_running(&sink.written),
        frames: count,
    })
}

fn linked(next: &Link, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len().saturating_add(Link::LEN));
    bytes.extend_from_slice(&next.length.to_le_bytes());
    bytes.extend_from_slice(&next.sha256);
    bytes.extend_from_slice(body);
    bytes
}

struct Sink<'a> {
    to: &'a mut dyn Write,
    written: Running,
}

impl Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.written.update(bytes);
        Ok(())
    }
}
