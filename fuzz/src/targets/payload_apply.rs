//! Arbitrary frames under a right chain: what a broken or evil publisher's tool could sign.
//!
//! Input: a byte of flags (1 a delta, 2 small pieces, 4 large frames, 24 which old image, 32 a map in front), then for each frame a 16-bit
//! little-endian length and so many bytes of what comes behind the frame's link. Links, header and digest are made to fit, and the new image is declared as long as the
//! frames say, so that the fuzzer gets to the frames.
use std::io::Write;

use firmware_delta::format::{Codecs, HEADER_LEN, Header, Link};
use firmware_delta::{
    Applier, Checkpoint, Expectation, ImageId, Limits, VerifiedOld, inspect, verify_old,
};

/// Longest new image, to keep runs short.
const MOST: u64 = 1 << 20;

/// Counts what it is given.
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// See the module.
pub fn run(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else {
        return;
    };
    let old = match flags >> 3 & 3 {
        0 => (0..20_000_u32)
            .map(|at| (at.wrapping_mul(at) >> 5) as u8)
            .collect(),
        1 => include_bytes!("../../../firmware-delta/tests/data/squashfs-gzip-old.img").to_vec(),
        2 => include_bytes!("../../../firmware-delta/tests/data/squashfs-xz-old.img").to_vec(),
        _ => include_bytes!("../../../firmware-delta/tests/data/squashfs-zstd-old.img").to_vec(),
    };
    let delta = flags & 1 != 0;
    let bodies = bodies(rest);
    let Some(length) = output(&bodies).filter(|length| *length <= MOST) else {
        return;
    };
    let new = ImageId {
        length,
        sha256: [0; 32],
    };
    let old_id = delta.then(|| ImageId::of(&old));
    let (payload, head) = payload(&bodies, flags, old_id, new);
    let expected = Expectation {
        head,
        new,
        old: old_id,
    };
    let proof = match &old_id {
        Some(id) => verify_old(old.as_slice(), id).unwrap(),
        None => VerifiedOld::none(),
    };
    let mut sink = Counting(0);
    let mut applier = Applier::new(expected, Limits::default(), proof).unwrap();
    for chunk in payload.chunks(if flags & 2 != 0 { 100 } else { 1 << 16 }) {
        match applier.push(chunk, &mut sink) {
            Ok(progress) => assert_eq!(progress.new_offset, sink.0),
            Err(error) => {
                assert!(!error.hint().is_empty());
                break;
            }
        }
        if let Some(checkpoint) = applier.checkpoint() {
            assert_eq!(
                Checkpoint::from_bytes(&checkpoint.to_bytes()).unwrap(),
                checkpoint
            );
        }
    }
    assert!(sink.0 <= length);
    if applier.progress().is_ok_and(|progress| progress.complete) {
        assert_eq!(sink.0, length);
    }
    // Nobody knows what hashes to zeros.
    applier.finish().unwrap_err();
    let _ = inspect(&mut payload.as_slice());
}

fn bodies(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (body, behind) = behind.split_at(length);
        bodies.push(body);
        rest = behind;
    }
    bodies
}

/// Sum of the outputs that the frames declare.
fn output(bodies: &[&[u8]]) -> Option<u64> {
    bodies.iter().try_fold(0_u64, |sum, body| {
        let mut declared = 0_u64;
        for (at, byte) in body.iter().skip(1).take(9).enumerate() {
            declared |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                break;
            }
        }
        sum.checked_add(declared)
    })
}

fn payload(
    bodies: &[&[u8]],
    flags: &u8,
    old: Option<ImageId>,
    new: ImageId,
) -> (Vec<u8>, [u8; 32]) {
    let mut next = Link::END;
    let mut frames = Vec::new();
    for body in bodies.iter().rev() {
        let frame = [&next.length.to_le_bytes()[..], &next.sha256, body].concat();
        next = Link::to(&frame).unwrap();
        frames.push(frame);
    }
    frames.reverse();
    let length = HEADER_LEN + frames.iter().map(Vec::len).sum::<usize>();
    let header = Header {
        codecs: Codecs::KNOWN,
        predicts: flags & 32 != 0,
        frame_output: if flags & 4 != 0 { 1 << 20 } else { 4096 },
        frames: frames.len() as u64,
        payload_length: length as u64,
        old,
        new,
        first: next,
    };
    let header = header.to_bytes();
    let head = ImageId::of(&header).sha256;
    (
        std::iter::once(header.to_vec())
            .chain(frames)
            .flatten()
            .collect(),
        head,
    )
}
