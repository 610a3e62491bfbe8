//! Turns one piece of the plan into the bytes of a frame, but for its link.

use crate::diff::addresses::{Model, Part, choose};
use crate::diff::container::{NewSpace, OldPart, OldSpace};
use crate::diff::plan::{Piece, Placed, part_of};
use crate::diff::seal::Unlinked;
use crate::diff::streams::Compressor;
use crate::diff::{DiffError, DiffOptions};
use crate::format::Codecs;
use crate::format::control::{self, Entry};
use crate::format::frame::{KIND_COPY, KIND_MAP, KIND_STREAMS, KIND_ZERO};
use crate::format::recipe::{self, Segment, Source};
use crate::format::varint;
use crate::limits::{CONTROL_SLACK, max_recipe_bytes};
use crate::predict::{self, Cursor, Map, Runs};

/// Level at which is tried whether prediction pays.
const TRIAL: i32 = 3;

/// What frames are made from.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    /// The new image as it is.
    pub(super) image: &'a [u8],
    /// Length of the old image as it is.
    pub(super) old_length: usize,
    pub(super) old: &'a OldSpace<'a>,
    pub(super) new: &'a NewSpace<'a>,
    /// By which addresses are predicted.
    pub(super) model: Option<&'a Model>,
}

/// One worker's compressors.
pub(super) struct Encoder {
    compressor: Compressor,
    frame_output: u32,
}

impl Encoder {
    pub(super) fn new(options: &DiffOptions) -> Result<Self, DiffError> {
        Ok(Self {
            compressor: Compressor::new(options)?,
            frame_output: options.frame_output,
        })
    }

    /// Encodes `piece`: one frame, or more in the unlikely case that it has more details than a frame can hold.
    pub(super) fn piece(
        &mut self,
        piece: &Piece,
        images: Images<'_>,
    ) -> Result<Vec<Unlinked>, DiffError> {
        let output = wide(piece.output);
        match piece.segments.as_slice() {
            [Segment::Zero { .. }] => return Ok(vec![zero(output)]),
            [Segment::Copy { old_offset, .. }] => {
                let mut body = head(KIND_COPY, output);
                varint::put(&mut body, *old_offset);
                return Ok(vec![Unlinked::plain(body)]);
            }
            _ => {}
        }
        let sources: Vec<&OldPart> = piece
            .sources
            .iter()
            .filter_map(|index| images.old.parts.get(*index))
            .collect();
        let mut streams = Streams::of(piece, &sources, images);
        if let Some(model) = images.model {
            self.predict(&mut streams, model, images.new)?;
        }
        let most_control = wide(piece.decoded).saturating_add(CONTROL_SLACK.into());
        // Never so with copies worth making; a reader would refuse it.
        if wide(streams.recipe.len()) > max_recipe_bytes(self.frame_output).into()
            || wide(streams.modes.len()) > max_recipe_bytes(self.frame_output).into()
            || wide(streams.control.len()) > most_control
        {
            return self.literals(piece, images.image);
        }
        let mut frame = self.streams(output, &streams)?;
        frame.predicts = !streams.modes.is_empty();
        frame.codecs = frame.codecs.with(packers(piece, &sources));
        Ok(vec![frame])
    }

    fn literals(&mut self, piece: &Piece, image: &[u8]) -> Result<Vec<Unlinked>, DiffError> {
        let end = piece.image_offset.saturating_add(piece.output);
        let bytes = image.get(piece.image_offset..end).unwrap_or_default();
        let most = usize::try_from(self.frame_output).unwrap_or(usize::MAX);
        let frames = bytes.chunks(most.max(1));
        frames.map(|bytes| self.literal(bytes.to_vec())).collect()
    }

    /// Encodes a frame of nothing but literal bytes.
    pub(super) fn literal(&mut self, bytes: Vec<u8>) -> Result<Unlinked, DiffError> {
        let output = wide(bytes.len());
        let entry = Entry {
            copy: 0,
            extra: output,
            old_offset: 0,
        };
        let streams = Streams {
            control: control::emit(&[entry]),
            extra: bytes,
            ..Streams::default()
        };
        self.streams(output, &streams)
    }

    /// Predicts addresses in what is copied, if that makes the add stream shorter.
    fn predict(
        &mut self,
        streams: &mut Streams,
        model: &Model,
        new: &NewSpace<'_>,
    ) -> Result<(), DiffError> {
        let mut wanted = streams.copied.clone();
        for part in &streams.parts {
            let from = new.bytes.get(part.new..).unwrap_or_default();
            let to = wanted.get_mut(part.to..part.to.saturating_add(part.length));
            to.unwrap_or_default()
                .iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to = *from);
        }
        let runs = choose(model, &streams.parts, &streams.copied, &wanted);
        if runs.is_empty() {
            return Ok(());
        }
        let modes = predict::emit(&runs);
        let mut cursor = Cursor::new(Runs::new(&modes, wide(wanted.len())));
        let mut add = Vec::with_capacity(streams.add.len());
        let mut to = 0_usize;
        // As a reader does it: entry by entry.
        for entry in &streams.entries {
            let length = usize::try_from(entry.copy).unwrap_or(0);
            let end = to.saturating_add(length);
            let copied = streams.copied.get_mut(to..end).unwrap_or_default();
            // Never an error: the runs were made for this frame.
            let read = cursor.copy(copied, entry.old_offset, wide(to), &model.map);
            if read.is_err() {
                return Ok(());
            }
            let wanted = wanted.get(to..end).unwrap_or_default();
            let change = wanted.iter().zip(copied);
            add.extend(change.map(|(new, old)| new.wrapping_sub(*old)));
            to = end.saturating_add(usize::try_from(entry.extra).unwrap_or(0));
        }
        let least = |bytes: &[u8]| zstd::bulk::compress(bytes, TRIAL).map(|packed| packed.len());
        let failed = |source| DiffError::Compress { source };
        let with = least(&add).map_err(failed)?.saturating_add(modes.len());
        if with < least(&streams.add).map_err(failed)? {
            streams.add = add;
            streams.modes = modes;
        }
        Ok(())
    }

    /// Encodes the frame of a map of addresses.
    pub(super) fn map(&mut self, map: &Map) -> Result<Unlinked, DiffError> {
        let mut frame = Unlinked::plain(head(KIND_MAP, 0));
        self.append(&mut frame, &[&map.emit()])?;
        Ok(frame)
    }

    fn streams(&mut self, output: u64, streams: &Streams) -> Result<Unlinked, DiffError> {
        let mut frame = Unlinked::plain(head(KIND_STREAMS, output));
        let all = [
            streams.recipe.as_slice(),
            &streams.modes,
            &streams.control,
            &streams.add,
            &streams.extra,
        ];
        self.append(&mut frame, &all)?;
        Ok(frame)
    }

    /// Appends the heads of `streams`, and then the streams.
    fn append(&mut self, frame: &mut Unlinked, streams: &[&[u8]]) -> Result<(), DiffError> {
        let mut encoded_streams = Vec::new();
        for stream in streams {
            let packed = self.compressor.stream(stream)?;
            frame.body.push(packed.codec);
            varint::put(&mut frame.body, wide(packed.bytes.len()));
            if packed.is_compressed() {
                varint::put(&mut frame.body, wide(stream.len()));
            }
            frame.codecs = frame.codecs.with(packed.codecs());
            encoded_streams.extend_from_slice(&packed.bytes);
        }
        frame.body.append(&mut encoded_streams);
        Ok(())
    }
}

/// What a reader needs for the blocks of a frame.
fn packers(piece: &Piece, sources: &[&OldPart]) -> Codecs {
    let unpacked = sources.iter().filter_map(|part| part.block);
    let packed = piece.segments.iter().filter_map(|segment| match segment {
        Segment::Pack { packing, .. } => Some(packing.codec()),
        _ => None,
    });
    let all = unpacked.map(|(_, codec)| codec).chain(packed);
    all.fold(Codecs::STORED, |codecs, codec| codecs.with(codec.bit()))
}

/// A frame of `output` zeros.
pub(super) fn zero(output: u64) -> Unlinked {
    Unlinked::plain(head(KIND_ZERO, output))
}

/// The decoded streams of one frame.
#[derive(Default)]
struct Streams {
    recipe: Vec<u8>,
    modes: Vec<u8>,
    control: Vec<u8>,
    add: Vec<u8>,
    extra: Vec<u8>,
    /// The decoded bytes as they are in the old image, zero where nothing is copied.
    copied: Vec<u8>,
    /// What is copied, in order.
    parts: Vec<Part>,
    /// What the control stream says.
    entries: Vec<Entry>,
}

impl Streams {
    fn of(piece: &Piece, sources: &[&OldPart], images: Images<'_>) -> Self {
        let mut streams = Self::default();
        let mut control = Vec::with_capacity(piece.entries.len());
        let places = Places::of(sources, images);
        for Placed { new_offset, entry } in &piece.entries {
            let new = images.new.bytes.get(*new_offset..).unwrap_or_default();
            let (copied, rest) = new.split_at_checked(entry.copy).unwrap_or((new, &[]));
            let literal = rest.get(..entry.extra).unwrap_or_default();
            let from = images.old.bytes.get(entry.old_offset..).unwrap_or_default();
            let change = copied.iter().zip(from);
            streams
                .add
                .extend(change.map(|(new, old)| new.wrapping_sub(*old)));
            streams.extra.extend_from_slice(literal);
            if images.model.is_some() {
                let mut to = streams.copied.len();
                places.each(entry.old_offset, entry.copy, |from, old, length| {
                    streams.parts.push(Part {
                        to,
                        length,
                        from: wide(from),
                        old,
                        new: new_offset.saturating_add(old.saturating_sub(entry.old_offset)),
                    });
                    to = to.saturating_add(length);
                });
                let old = from.get(..entry.copy).unwrap_or_default();
                streams.copied.extend_from_slice(old);
                let end = streams.copied.len().saturating_add(entry.extra);
                streams.copied.resize(end, 0);
            }
            places.copy(&mut control, entry.old_offset, entry.copy);
            match control.last_mut() {
                Some(last) => last.extra = last.extra.saturating_add(wide(entry.extra)),
                None => control.push(Entry {
                    copy: 0,
                    extra: wide(entry.extra),
                    old_offset: 0,
                }),
            }
        }
        streams.control = control::emit(&control);
        streams.entries = control;
        let listed: Vec<Source> = sources.iter().filter_map(|part| source(part)).collect();
        streams.recipe = recipe::emit(&listed, &piece.segments);
        streams
    }
}

fn source(part: &OldPart) -> Option<Source> {
    let (packed, codec) = part.block?;
    Some(Source {
        offset: wide(part.offset),
        packed: u32::try_from(packed).ok()?,
        unpacked: u32::try_from(part.length).ok()?,
        codec,
    })
}

/// Where the pieces of the old space are for a frame: in the old image, or behind its end.
struct Places<'a> {
    parts: &'a [OldPart],
    /// Start in the old space and in the frame's, of every source.
    sources: Vec<(usize, usize)>,
}

impl<'a> Places<'a> {
    fn of(sources: &[&OldPart], images: Images<'a>) -> Self {
        let mut at = images.old_length;
        let place = |part: &&OldPart| {
            let start = at;
            at = at.saturating_add(part.length);
            (part.start, start)
        };
        Self {
            parts: &images.old.parts,
            sources: sources.iter().map(place).collect(),
        }
    }

    /// Calls `piece` with each part of the `length` bytes from `from` on of the old space: where it is for the frame, where in the
    /// old space, and its length.
    fn each(&self, mut from: usize, length: usize, mut piece: impl FnMut(usize, usize, usize)) {
        let end = from.saturating_add(length);
        let mut index = part_of(self.parts, from);
        while let Some(part) = self.parts.get(index).filter(|_| from < end) {
            let inside = from.saturating_sub(part.start);
            let length = part
                .length
                .saturating_sub(inside)
                .min(end.saturating_sub(from));
            let start = match part.block {
                None => part.offset,
                Some(_) => self
                    .sources
                    .binary_search_by_key(&part.start, |source| source.0)
                    .ok()
                    .and_then(|at| self.sources.get(at))
                    .map_or(0, |source| source.1),
            };
            piece(start.saturating_add(inside), from, length);
            from = part.start.saturating_add(part.length);
            index = index.saturating_add(1);
        }
    }

    /// Appends the entries that copy `length` bytes from `from` on of the old space: one for each part of it, but
    /// that parts which lie behind each other for the frame as well need only one.
    fn copy(&self, entries: &mut Vec<Entry>, from: usize, length: usize) {
        let mut fresh = true;
        self.each(from, length, |at, _, length| {
            let (old_offset, length) = (wide(at), wide(length));
            match entries.last_mut() {
                Some(last) if !fresh && last.old_offset.saturating_add(last.copy) == old_offset => {
                    last.copy = last.copy.saturating_add(length);
                }
                _ => entries.push(Entry {
                    copy: length,
                    extra: 0,
                    old_offset,
                }),
            }
            fresh = false;
        });
    }
}

fn head(kind: u8, output: u64) -> Vec<u8> {
    let mut body = vec![kind];
    varint::put(&mut body, output);
    body
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
