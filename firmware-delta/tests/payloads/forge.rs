//! Makes payloads by hand, with a right chain and whatever content: what a publisher's broken or evil tool could
//! sign. Written from `docs/FORMATS-payload.md`, not from the crate's own emitter.

use firmware_delta::{Expectation, ImageId, PatchError};
use sha2::{Digest, Sha256};

use crate::support::apply;

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A payload in the making. `Forge::new` is a correct one as long as nothing is changed.
pub(crate) struct Forge {
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) new: ImageId,
    pub(crate) frame_output: u32,
    pub(crate) codecs: u32,
    /// Frames without their links.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// Number of frames to declare, if not the true one.
    pub(crate) frames: Option<u64>,
    /// Length to declare, if not the true one.
    pub(crate) payload_length: Option<u64>,
    /// Bytes to put into the header before its digest is made: offset, value.
    pub(crate) patches: Vec<(usize, Vec<u8>)>,
}

impl Forge {
    pub(crate) fn new(old: Option<&[u8]>, new: &[u8], bodies: Vec<Vec<u8>>) -> Self {
        Self {
            old: old.map(<[u8]>::to_vec),
            new: ImageId::of(new),
            frame_output: 4096,
            codecs: 3,
            bodies,
            frames: None,
            payload_length: None,
            patches: Vec::new(),
        }
    }

    pub(crate) fn payload(&self) -> (Vec<u8>, Expectation) {
        let mut frames = Vec::new();
        let mut link = [0; 36];
        for body in self.bodies.iter().rev() {
            let frame = [&link[..], body].concat();
            link[..4].copy_from_slice(&(frame.len() as u32).to_le_bytes());
            link[4..].copy_from_slice(&sha256(&frame));
            frames.push(frame);
        }
        frames.reverse();
        let length = 192 + frames.iter().map(Vec::len).sum::<usize>() as u64;
        let old = self.old.as_deref().map(ImageId::of);
        let declared_old = old.unwrap_or(ImageId {
            length: 0,
            sha256: [0; 32],
        });
        let mut header = Vec::new();
        header.extend(b"\x89FWPAY\r\n\x03\x00");
        header.extend([u8::from(self.old.is_some()), 0]);
        header.extend([0; 8]);
        header.extend(self.codecs.to_le_bytes());
        header.extend(self.frame_output.to_le_bytes());
        header.extend(self.frames.unwrap_or(frames.len() as u64).to_le_bytes());
        header.extend(self.payload_length.unwrap_or(length).to_le_bytes());
        for image in [declared_old, self.new] {
            header.extend(image.length.to_le_bytes());
            header.extend(image.sha256);
        }
        header.extend(link);
        header.resize(192, 0);
        for (at, bytes) in &self.patches {
            header[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        let expected = Expectation {
            head: sha256(&header),
            new: self.new,
            old,
        };
        (
            std::iter::once(header).chain(frames).flatten().collect(),
            expected,
        )
    }

    /// Applies it: what was written, and how it ended.
    pub(crate) fn apply(&self) -> (Vec<u8>, Result<(), PatchError>) {
        let (payload, expected) = self.payload();
        let (made, result) = apply(&payload, self.old.as_deref().unwrap_or(b""), expected, 777);
        (made, result.map(|_| ()))
    }
}

pub(crate) fn zero(output: u64) -> Vec<u8> {
    [vec![0], varint(output)].concat()
}

pub(crate) fn copy(output: u64, old_offset: u64) -> Vec<u8> {
    [vec![1], varint(output), varint(old_offset)].concat()
}

/// A stream as it is put into a frame.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) codec: u8,
    pub(crate) encoded_length: u32,
    pub(crate) decoded_length: u32,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn stored(bytes: &[u8]) -> Stream {
    let length = bytes.len() as u32;
    Stream {
        codec: 0,
        encoded_length: length,
        decoded_length: length,
        bytes: bytes.to_vec(),
    }
}

/// A frame without a recipe and modes.
pub(crate) fn streams(output: u64, [control, add, extra]: [Stream; 3]) -> Vec<u8> {
    whole_frame(output, &[stored(&[]), stored(&[]), control, add, extra])
}

/// A frame without modes.
pub(crate) fn recipe_frame(output: u64, streams: &[Stream; 4]) -> Vec<u8> {
    let [recipe, control, add, extra] = streams.clone();
    whole_frame(output, &[recipe, stored(&[]), control, add, extra])
}

/// A map of addresses.
pub(crate) fn map(map: &[u8]) -> Vec<u8> {
    [&[3, 0, 0][..], &varint(map.len() as u64), map].concat()
}

/// A signed number.
pub(crate) fn signed(value: i64) -> Vec<u8> {
    varint(((value as u64) << 1) ^ (value >> 63) as u64)
}

pub(crate) fn whole_frame(output: u64, streams: &[Stream; 5]) -> Vec<u8> {
    let mut body = [vec![2], varint(output)].concat();
    for stream in streams {
        body.push(stream.codec);
        body.extend(varint(stream.encoded_length.into()));
        if stream.codec != 0 {
            body.extend(varint(stream.decoded_length.into()));
        }
    }
    streams.iter().for_each(|stream| body.extend(&stream.bytes));
    body
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A control stream of entries (copy, extra, distance).
pub(crate) fn control(entries: &[(u64, u64, i64)]) -> Vec<u8> {
    let mut bytes = varint(entries.len() as u64);
    entries
        .iter()
        .for_each(|entry| bytes.extend(varint(entry.0)));
    entries
        .iter()
        .for_each(|entry| bytes.extend(varint(entry.1)));
    entries
        .iter()
        .for_each(|entry| bytes.extend(signed(entry.2)));
    bytes
}
