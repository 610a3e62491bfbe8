//! Turns one piece of the plan into the bytes of a frame, but for its link.

use zstd::bulk::Compressor;

use crate::codec::{STORED, ZSTD};
use crate::diff::plan::{Piece, PieceEntry};
use crate::diff::seal::Unlinked;
use crate::diff::{DiffError, DiffOptions};
use crate::format::control::{self, Entry};
use crate::format::frame::{KIND_COPY, KIND_STREAMS, KIND_ZERO};

/// One worker's compressor.
pub(super) struct Encoder {
    zstd: Compressor<'static>,
}

impl Encoder {
    pub(super) fn new(options: &DiffOptions) -> Result<Self, DiffError> {
        let zstd =
            Compressor::new(options.level).map_err(|source| DiffError::Compress { source })?;
        Ok(Self { zstd })
    }

    /// Encodes `piece`.
    pub(super) fn piece(
        &mut self,
        piece: &Piece,
        old: &[u8],
        new: &[u8],
    ) -> Result<Unlinked, DiffError> {
        let output = wide(piece.output());
        match piece {
            Piece::Zero { .. } => Ok(zero(output)),
            Piece::Copy { old_offset, .. } => {
                let mut body = head(KIND_COPY, output);
                body.extend_from_slice(&wide(*old_offset).to_le_bytes());
                Ok(Unlinked { body })
            }
            Piece::Streams {
                new_offset,
                entries,
                ..
            } => {
                let new = new.get(*new_offset..).unwrap_or_default();
                let streams = Streams::of(entries, old, new);
                // Never so with copies worth making; a reader would refuse it.
                if wide(streams.control.len()) > output {
                    return self.literal(new.get(..piece.output()).unwrap_or_default().to_vec());
                }
                self.streams(output, &streams)
            }
        }
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
            add: Vec::new(),
            extra: bytes,
        };
        self.streams(output, &streams)
    }

    fn streams(&mut self, output: u64, streams: &Streams) -> Result<Unlinked, DiffError> {
        let mut body = head(KIND_STREAMS, output);
        let mut encoded_streams = Vec::new();
        for stream in [&streams.control, &streams.add, &streams.extra] {
            let packed = self.zstd.compress(stream);
            let packed = packed.map_err(|source| DiffError::Compress { source })?;
            // Stored if compression does not pay: so a frame is never longer than its bound.
            let (codec, encoded) = if packed.len() < stream.len() {
                (ZSTD, &packed)
            } else {
                (STORED, stream)
            };
            body.push(codec);
            body.extend_from_slice(&narrow(encoded.len())?.to_le_bytes());
            body.extend_from_slice(&narrow(stream.len())?.to_le_bytes());
            encoded_streams.extend_from_slice(encoded);
        }
        body.append(&mut encoded_streams);
        Ok(Unlinked { body })
    }
}

/// A frame of `output` zeros.
pub(super) fn zero(output: u64) -> Unlinked {
    Unlinked {
        body: head(KIND_ZERO, output),
    }
}

/// The decoded streams of one frame.
struct Streams {
    control: Vec<u8>,
    add: Vec<u8>,
    extra: Vec<u8>,
}

impl Streams {
    /// `new` begins with the output of the frame.
    fn of(entries: &[PieceEntry], old: &[u8], mut new: &[u8]) -> Self {
        let mut add = Vec::new();
        let mut extra = Vec::new();
        let mut control = Vec::with_capacity(entries.len());
        for entry in entries {
            let (copied, rest) = new.split_at_checked(entry.copy).unwrap_or((new, &[]));
            let (literal, rest) = rest.split_at_checked(entry.extra).unwrap_or((rest, &[]));
            let from = old.get(entry.old_offset..).unwrap_or_default();
            add.extend(
                copied
                    .iter()
                    .zip(from)
                    .map(|(new, old)| new.wrapping_sub(*old)),
            );
            extra.extend_from_slice(literal);
            new = rest;
            control.push(Entry {
                copy: wide(entry.copy),
                extra: wide(entry.extra),
                old_offset: wide(entry.old_offset),
            });
        }
        Self {
            control: control::emit(&control),
            add,
            extra,
        }
    }
}

fn head(kind: u8, output: u64) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend_from_slice(&output.to_le_bytes());
    body
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn narrow(length: usize) -> Result<u32, DiffError> {
    u32::try_from(length).map_err(|_| DiffError::TooLong)
}
