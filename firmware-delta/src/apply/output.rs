//! Makes the output of one frame: decode all of it first, then write it.

use std::io::Write;

use crate::apply::window::Window;
use crate::codec::Decoder;
use crate::digest::Running;
use crate::error::{FrameFault, PatchError};
use crate::format::control::Entries;
use crate::format::frame::{Body, Fault, Frame, StreamKind, Streams, check_copy};
use crate::limits::PIECE;
use crate::old::VerifiedOld;

/// Buffers that are kept from frame to frame, none of them longer than a frame's output (and a little).
pub(super) struct Output {
    decoder: Decoder,
    control: Vec<u8>,
    add: Vec<u8>,
    extra: Vec<u8>,
    image: Vec<u8>,
    window: Window,
}

impl Output {
    pub(super) fn new(decoder: Decoder) -> Self {
        let [control, add, extra, image] = [const { Vec::new() }; 4];
        Self {
            decoder,
            control,
            add,
            extra,
            image,
            window: Window::new(),
        }
    }

    /// Writes what `frame` yields, having checked all of it against the format's rules before.
    pub(super) fn write(
        &mut self,
        index: u64,
        frame: &Frame<'_>,
        old: &mut VerifiedOld<'_>,
        written: &mut Running,
        new: &mut dyn Write,
    ) -> Result<(), PatchError> {
        match &frame.body {
            Body::Zero => {
                self.image.clear();
                self.image.resize(PIECE, 0);
                self.pieces(index, frame.output, written, new, |_, _| Ok(()))
            }
            Body::Copy { old_offset } => {
                check_copy(*old_offset, frame.output, old.length())
                    .map_err(|fault| PatchError::frame(index, fault))?;
                self.image.resize(PIECE.max(self.image.len()), 0);
                self.pieces(index, frame.output, written, new, |done, piece| {
                    old.read_at(old_offset.saturating_add(done), piece)
                })
            }
            Body::Streams(streams) => {
                self.decode(streams, frame.output)
                    .map_err(|fault| PatchError::frame(index, fault))?;
                self.combine(index, old)?;
                append(index, &self.image, written, new)
            }
        }
    }

    /// Writes `output` bytes piece by piece; `fill` makes a piece, given how many bytes were done before.
    fn pieces(
        &mut self,
        index: u64,
        output: u64,
        written: &mut Running,
        new: &mut dyn Write,
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), PatchError>,
    ) -> Result<(), PatchError> {
        let mut done = 0_u64;
        while done < output {
            let left = usize::try_from(output.saturating_sub(done)).unwrap_or(PIECE);
            let length = left.min(PIECE);
            let piece = self.image.get_mut(..length).unwrap_or_default();
            fill(done, piece)?;
            append(index, piece, written, new)?;
            done = done.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn decode(&mut self, streams: &Streams<'_>, output: u64) -> Fault<()> {
        self.decoder
            .decode(&streams.control, StreamKind::Control, &mut self.control)?;
        self.decoder
            .decode(&streams.add, StreamKind::Add, &mut self.add)?;
        self.decoder
            .decode(&streams.extra, StreamKind::Extra, &mut self.extra)?;
        self.image.clear();
        self.image
            .reserve_exact(usize::try_from(output).unwrap_or(0));
        Ok(())
    }

    /// Puts the streams and the old image together. Their lengths add up to the output, so what is checked is
    /// that the entries use up both streams, no less and no more.
    fn combine(&mut self, index: u64, old: &mut VerifiedOld<'_>) -> Result<(), PatchError> {
        let malformed = |fault| PatchError::frame(index, fault);
        let mut add = self.add.as_slice();
        let mut extra = self.extra.as_slice();
        let mut entries = Entries::parse(&self.control, old.length()).map_err(malformed)?;
        while let Some(entry) = entries.next().map_err(malformed)? {
            let change = split(&mut add, entry.copy, "copies of a frame").map_err(malformed)?;
            let literal =
                split(&mut extra, entry.extra, "literals of a frame").map_err(malformed)?;
            let from = self.image.len();
            self.image.extend_from_slice(change);
            let copied = self.image.get_mut(from..).unwrap_or_default();
            if !copied.is_empty() {
                self.window.add_old(old, entry.old_offset, copied)?;
            }
            self.image.extend_from_slice(literal);
        }
        for (part, rest) in [("add stream", add), ("extra stream", extra)] {
            if !rest.is_empty() {
                let found = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                return Err(malformed(FrameFault::LeftOver { part, found }));
            }
        }
        Ok(())
    }
}

/// Takes `length` bytes off the front of a stream.
fn split<'a>(stream: &mut &'a [u8], length: u64, field: &'static str) -> Fault<&'a [u8]> {
    let (front, rest) = usize::try_from(length)
        .ok()
        .and_then(|length| stream.split_at_checked(length))
        .ok_or_else(|| FrameFault::Length {
            field,
            expected: u64::try_from(stream.len()).unwrap_or(u64::MAX),
            found: length,
        })?;
    *stream = rest;
    Ok(front)
}

fn append(
    frame: u64,
    bytes: &[u8],
    written: &mut Running,
    new: &mut dyn Write,
) -> Result<(), PatchError> {
    let offset = written.length();
    new.write_all(bytes)
        .map_err(|source| PatchError::WriteNew {
            frame,
            offset,
            source,
        })?;
    written.update(bytes);
    Ok(())
}
