//! Makes the output of one frame: decode all of it first, then write it.

use std::io::Write;

use crate::apply::copies::{Copies, Pending};
use crate::apply::sources::Sources;
use crate::blocks::Packer;
use crate::codec::Decoder;
use crate::digest::Running;
use crate::error::{FrameFault, PatchError};
use crate::format::control::Entries;
use crate::format::frame::{Body, Fault, Frame, Stream, StreamKind, Streams, check_copy};
use crate::format::recipe::{Recipe, Segment, Sums};
use crate::limits::PIECE;
use crate::old::VerifiedOld;
use crate::predict::{Cursor, Map, Runs, most_pieces};

/// Buffers that are kept from frame to frame, none of them longer than a frame's output (and a little).
pub(super) struct Output {
    decoder: Decoder,
    recipe: Vec<u8>,
    modes: Vec<u8>,
    control: Vec<u8>,
    add: Vec<u8>,
    extra: Vec<u8>,
    /// What add, extra and the old image come to.
    image: Vec<u8>,
    /// What of it was packed, one segment behind the other.
    packed: Vec<u8>,
    /// Where pieces go through that stay as they are.
    piece: Vec<u8>,
    copies: Copies,
    sources: Sources,
    packer: Packer,
    /// By which addresses are predicted.
    map: Map,
    /// Most bytes that a frame decodes to.
    frame_output: u32,
}

impl Output {
    pub(super) fn new(decoder: Decoder, frame_output: u32) -> Self {
        let [recipe, modes, control, add, extra] = [const { Vec::new() }; 5];
        let [image, packed, piece] = [const { Vec::new() }; 3];
        Self {
            decoder,
            recipe,
            modes,
            control,
            add,
            extra,
            image,
            packed,
            piece,
            copies: Copies::default(),
            sources: Sources::default(),
            packer: Packer::default(),
            map: Map::default(),
            frame_output,
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
        let malformed = |fault| PatchError::frame(index, fault);
        let mut sink = Sink {
            frame: index,
            written,
            new,
        };
        match &frame.body {
            Body::Zero => sink.zeros(frame.output, &mut self.piece),
            Body::Copy { old_offset } => {
                check_copy(*old_offset, frame.output, old.length()).map_err(malformed)?;
                sink.copy(*old_offset, frame.output, old, &mut self.piece)
            }
            Body::Map(stream) => self.read_map(stream).map_err(malformed),
            Body::Streams(streams) => {
                self.decode(streams).map_err(malformed)?;
                let recipe = std::mem::take(&mut self.recipe);
                let done = self.streams(index, frame.output, &recipe, old, &mut sink);
                self.recipe = recipe;
                done
            }
        }
    }

    /// Takes the map that the frames behind it predict by.
    pub(super) fn read_map(&mut self, stream: &Stream<'_>) -> Fault<()> {
        self.decoder.decode(stream, "map", &mut self.modes)?;
        self.map = Map::parse(&self.modes, most_pieces(self.frame_output))?;
        Ok(())
    }

    fn decode(&mut self, streams: &Streams<'_>) -> Fault<()> {
        for (stream, kind, to) in [
            (&streams.recipe, StreamKind::Recipe, &mut self.recipe),
            (&streams.modes, StreamKind::Modes, &mut self.modes),
            (&streams.control, StreamKind::Control, &mut self.control),
            (&streams.add, StreamKind::Add, &mut self.add),
            (&streams.extra, StreamKind::Extra, &mut self.extra),
        ] {
            self.decoder.decode(stream, kind.name(), to)?;
        }
        self.image.clear();
        self.image
            .reserve_exact(usize::try_from(streams.unpacked).unwrap_or(0));
        Ok(())
    }

    /// Everything that can be refused is made before the first byte is written.
    fn streams(
        &mut self,
        index: u64,
        output: u64,
        recipe: &[u8],
        old: &mut VerifiedOld<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), PatchError> {
        let sums = Sums {
            output,
            decoded: u64::try_from(self.add.len().saturating_add(self.extra.len()))
                .unwrap_or(u64::MAX),
            most: self.frame_output.into(),
            old_length: old.length(),
        };
        let recipe =
            Recipe::parse(recipe, sums).map_err(|fault| PatchError::frame(index, fault))?;
        self.combine(index, &recipe, old)?;
        if recipe.is_plain() {
            return sink.append(&self.image);
        }
        self.pack(&recipe, old.length())
            .map_err(|fault| PatchError::frame(index, fault))?;
        self.segments(&recipe, old, sink)
    }

    /// Puts the streams and the old image together. Their lengths add up to what the recipe takes, so what is checked is
    /// that the entries use up both streams, no less and no more.
    fn combine(
        &mut self,
        index: u64,
        recipe: &Recipe<'_>,
        old: &mut VerifiedOld<'_>,
    ) -> Result<(), PatchError> {
        let malformed = |fault| PatchError::frame(index, fault);
        let mut add = self.add.len();
        let mut extra = self.extra.as_slice();
        self.copies.begin();
        self.sources.begin(recipe.sources());
        let end = old.length();
        let space = end.saturating_add(self.sources.length());
        let mut entries = Entries::parse(&self.control, space).map_err(malformed)?;
        while let Some(entry) = entries.next().map_err(malformed)? {
            let copy = usize::try_from(entry.copy).ok();
            let left = copy.and_then(|copy| Some((copy, add.checked_sub(copy)?)));
            let (copy, left) = left.ok_or_else(|| malformed(lacking(add, entry.copy)))?;
            add = left;
            let literal =
                split(&mut extra, entry.extra, "literals of a frame").map_err(malformed)?;
            let to = self.image.len();
            let behind = to.saturating_add(copy);
            self.image.resize(behind, 0);
            self.image.extend_from_slice(literal);
            // One part may be in the old image, another one in blocks.
            let inside = usize::try_from(end.saturating_sub(entry.old_offset));
            let inside = inside.unwrap_or(usize::MAX).min(copy);
            let in_image = Pending {
                from: entry.old_offset,
                to,
                length: inside,
            };
            if inside > 0 && self.copies.put_down(in_image) {
                self.copies.settle(old, &mut self.image)?;
            }
            let in_blocks = Pending {
                from: entry.old_offset.saturating_sub(end),
                to: to.saturating_add(inside),
                length: copy.saturating_sub(inside),
            };
            if in_blocks.length > 0 && self.sources.put_down(in_blocks) {
                self.sources
                    .settle(index, recipe.sources(), old, &mut self.image)?;
            }
        }
        self.copies.settle(old, &mut self.image)?;
        self.sources
            .settle(index, recipe.sources(), old, &mut self.image)?;
        for (part, found) in [("add stream", add), ("extra stream", extra.len())] {
            if found > 0 {
                let found = u64::try_from(found).unwrap_or(u64::MAX);
                return Err(malformed(FrameFault::LeftOver { part, found }));
            }
        }
        self.change(space).map_err(malformed)
    }

    /// Predicts what was copied, and adds the changes. The entries were checked by then.
    fn change(&mut self, space: u64) -> Fault<()> {
        let decoded = u64::try_from(self.image.len()).unwrap_or(u64::MAX);
        let mut cursor = Cursor::new(Runs::new(&self.modes, decoded));
        let mut add = self.add.as_slice();
        let mut rest = self.image.as_mut_slice();
        let mut to = 0_u64;
        let mut entries = Entries::parse(&self.control, space)?;
        while let Some(entry) = entries.next()? {
            let change = split(&mut add, entry.copy, "copies of a frame")?;
            let (copied, behind) = rest.split_at_mut_checked(change.len()).unwrap_or_default();
            if !self.modes.is_empty() {
                cursor.copy(copied, entry.old_offset, to, &self.map)?;
            }
            for (to, change) in copied.iter_mut().zip(change) {
                *to = to.wrapping_add(*change);
            }
            let literal = usize::try_from(entry.extra).unwrap_or(usize::MAX);
            rest = behind.get_mut(literal..).unwrap_or_default();
            to = to.saturating_add(entry.copy).saturating_add(entry.extra);
        }
        cursor.end()
    }

    /// Packs what the recipe says is packed.
    fn pack(&mut self, recipe: &Recipe<'_>, old_length: u64) -> Fault<()> {
        self.packed.clear();
        let mut rest = self.image.as_slice();
        let mut segments = recipe.segments(old_length);
        let mut count = 0_u64;
        while let Some(segment) = segments.next()? {
            let bytes = split(&mut rest, segment.decoded(), "decoded bytes of a segment")?;
            if let Segment::Pack {
                packed, packing, ..
            } = segment
            {
                let most = usize::try_from(packed).unwrap_or(0);
                let end = self.packed.len().saturating_add(most);
                let done = self.packer.pack(packing, bytes, most, &mut self.packed);
                if !done || self.packed.len() != end {
                    return Err(FrameFault::Pack {
                        segment: count,
                        expected: packed,
                    });
                }
            }
            count = count.saturating_add(1);
        }
        Ok(())
    }

    fn segments(
        &mut self,
        recipe: &Recipe<'_>,
        old: &mut VerifiedOld<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), PatchError> {
        let index = sink.frame;
        let malformed = |fault| PatchError::frame(index, fault);
        let mut image = self.image.as_slice();
        let mut packed = self.packed.as_slice();
        let mut segments = recipe.segments(old.length());
        while let Some(segment) = segments.next().map_err(malformed)? {
            let bytes = split(&mut image, segment.decoded(), "decoded bytes of a segment")
                .map_err(malformed)?;
            match segment {
                Segment::Plain { .. } => sink.append(bytes)?,
                Segment::Pack { packed: length, .. } => {
                    let bytes = split(&mut packed, length, "packed bytes of a segment")
                        .map_err(malformed)?;
                    sink.append(bytes)?;
                }
                Segment::Zero { length } => sink.zeros(length, &mut self.piece)?,
                Segment::Copy { length, old_offset } => {
                    sink.copy(old_offset, length, old, &mut self.piece)?;
                }
            }
        }
        Ok(())
    }
}

/// Where the output of a frame goes.
struct Sink<'a> {
    frame: u64,
    written: &'a mut Running,
    new: &'a mut dyn Write,
}

impl Sink<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), PatchError> {
        let offset = self.written.length();
        self.new
            .write_all(bytes)
            .map_err(|source| PatchError::WriteNew {
                frame: self.frame,
                offset,
                source,
            })?;
        self.written.update(bytes);
        Ok(())
    }

    fn zeros(&mut self, length: u64, piece: &mut Vec<u8>) -> Result<(), PatchError> {
        piece.clear();
        piece.resize(PIECE, 0);
        self.pieces(length, piece, |_, _| Ok(()))
    }

    fn copy(
        &mut self,
        old_offset: u64,
        length: u64,
        old: &mut VerifiedOld<'_>,
        piece: &mut Vec<u8>,
    ) -> Result<(), PatchError> {
        piece.resize(PIECE, 0);
        self.pieces(length, piece, |done, piece| {
            old.read_at(old_offset.saturating_add(done), piece)
        })
    }

    /// Writes `output` bytes piece by piece; `fill` makes a piece, given how many bytes were done before.
    fn pieces(
        &mut self,
        output: u64,
        buffer: &mut [u8],
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), PatchError>,
    ) -> Result<(), PatchError> {
        let mut done = 0_u64;
        while done < output {
            let left = usize::try_from(output.saturating_sub(done)).unwrap_or(PIECE);
            let length = left.min(PIECE);
            let piece = buffer.get_mut(..length).unwrap_or_default();
            fill(done, piece)?;
            self.append(piece)?;
            done = done.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

fn lacking(left: usize, found: u64) -> FrameFault {
    FrameFault::Length {
        field: "copies of a frame",
        expected: u64::try_from(left).unwrap_or(u64::MAX),
        found,
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
