//! Payloads whose every digest is right and whose content lies. Errors, never panics, and nothing of the
//! lying frame is written.

use firmware_delta::{FrameFault, ImageId, PatchError, inspect};

use crate::forge::{Forge, Stream, control, copy, stored, streams, varint, zero};

const OLD: &[u8] = b"0123456789";

/// One frame that makes `5678xy` of the old image, from its three streams.
fn frame(entries: &[u8], add: &[u8], extra: &[u8]) -> Vec<u8> {
    let output = (add.len() + extra.len()) as u64;
    streams(output, [stored(entries), stored(add), stored(extra)])
}

fn honest() -> Forge {
    let body = frame(&control(&[(4, 2, 5)]), &[0; 4], b"xy");
    Forge::new(
        Some(OLD),
        b"5678xy\0\x003456",
        vec![body, zero(2), copy(4, 3)],
    )
}

#[test]
fn the_forge_can_be_honest() {
    let (made, result) = honest().apply();
    result.unwrap();
    assert_eq!(made, b"5678xy\0\x003456");
    let (payload, expected) = honest().payload();
    assert_eq!(
        inspect(&mut payload.as_slice()).unwrap().head,
        expected.head
    );
}

#[test]
fn lying_control_streams() {
    let max = u64::MAX;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("copy behind the end", control(&[(4, 2, 7)])),
        ("copy before the start", control(&[(4, 2, -1)])),
        ("offset at the end of 64 bits", control(&[(4, 2, i64::MAX)])),
        ("offset below 0 by far", control(&[(4, 2, i64::MIN)])),
        ("copy longer than 64 bits allow", control(&[(max, 2, 5)])),
        ("extra longer than 64 bits allow", control(&[(4, max, 5)])),
        (
            "copies whose sum overflows",
            control(&[(max, 0, 0), (max, 2, 0)]),
        ),
        ("too much copied", control(&[(5, 2, 5)])),
        ("too little copied", control(&[(3, 2, 5)])),
        ("too much literal", control(&[(4, 3, 5)])),
        ("too little literal", control(&[(4, 1, 5)])),
        ("an entry of nothing", control(&[(4, 2, 5), (0, 0, 0)])),
        ("no entries", control(&[])),
        ("empty", vec![]),
        ("more entries than numbers", varint(max)),
        ("a number of eleven bytes", vec![0xff; 11]),
        (
            "a number in a long form",
            [&[0x81, 0x00][..], &control(&[(4, 2, 5)])[1..]].concat(),
        ),
        ("bytes left over", [control(&[(4, 2, 5)]), vec![0]].concat()),
        ("cut off", control(&[(4, 2, 5)])[..3].to_vec()),
    ];
    for (name, entries) in cases {
        let mut forge = honest();
        forge.bodies[0] = frame(&entries, &[0; 4], b"xy");
        let (made, result) = forge.apply();
        match result {
            Err(PatchError::Frame { frame: 0, .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
        assert!(made.is_empty(), "{name}");
        // Inspection sees the stream's rules, though not the streams that it does not put together.
        let (payload, _) = forge.payload();
        let _either = inspect(&mut payload.as_slice());
    }
}

#[test]
fn lying_frames() {
    let good = || frame(&control(&[(4, 2, 5)]), &[0; 4], b"xy");
    // Kind, output; codec and length of the recipe, modes, control, add and extra streams; then these.
    let with = |at: usize, bytes: &[u8]| {
        let mut body = good();
        body.splice(at..=at, bytes.iter().copied());
        body
    };
    let max = varint(u64::MAX);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("unknown kind", with(0, &[4])),
        ("no output", zero(0)),
        ("more output than is left", zero(13)),
        ("output of 64 bits", zero(u64::MAX)),
        ("less output than its streams have", with(1, &[5])),
        ("streams of 64 bits", with(1, &max)),
        ("copy behind the end", copy(6, 5)),
        ("copy at the end of 64 bits", copy(6, u64::MAX)),
        ("copy frame cut off", vec![1, 6]),
        ("nothing behind the link", vec![]),
        ("only a kind", vec![2]),
        ("unknown codec", with(6, &[3, 4, 5])),
        ("codec far out", with(6, &[255, 4, 5])),
        ("stored stream too long", with(7, &varint(1 << 31))),
        ("stored stream too short", with(7, &[1])),
        ("compressed to more than it is", with(6, &[1, 4])),
        ("huge recipe", [&[2, 6, 1, 1][..], &max].concat()),
        (
            "huge control stream",
            with(6, &[&[1, 1][..], &max].concat()),
        ),
        ("huge modes", with(4, &[&[1, 1][..], &max].concat())),
        ("huge add stream", with(8, &[&[1, 1][..], &max].concat())),
        ("huge extra stream", with(10, &[&[1, 1][..], &max].concat())),
        ("bytes left over", [good(), vec![0]].concat()),
    ];
    for (name, body) in cases {
        let mut forge = honest();
        forge.bodies[0] = body;
        let (made, result) = forge.apply();
        let error = result.unwrap_err();
        // A frame shorter than a frame can be is refused with what announces it.
        let announced = matches!(error, PatchError::Frame { frame: 0, .. });
        assert!(announced, "{name}: {error:?}");
        assert!(made.is_empty(), "{name}");
        let (payload, _) = forge.payload();
        assert!(inspect(&mut payload.as_slice()).is_err(), "{name}");
    }
}

#[test]
fn a_bomb_costs_no_more_than_its_frame() {
    let bomb = zstd::bulk::compress(&vec![0; 100 << 20], 19).unwrap();
    let length = bomb.len() as u32;
    for decoded_length in [6, 4096, 100 << 20] {
        let stream = Stream {
            codec: 1,
            encoded_length: length,
            decoded_length,
            bytes: bomb.clone(),
        };
        let output = 6;
        let mut forge = honest();
        forge.frame_output = 1 << 16;
        forge.bodies[0] = streams(
            output,
            [stored(&control(&[(0, 6, 0)])), stored(&[]), stream.clone()],
        );
        let (made, result) = forge.apply();
        assert!(made.is_empty());
        assert!(
            matches!(result, Err(PatchError::Frame { frame: 0, .. })),
            "{result:?}"
        );
        // As the control stream, whose length only its frame's output bounds.
        forge.bodies[0] = streams(output, [stream, stored(&[0; 4]), stored(b"xy")]);
        let (made, result) = forge.apply();
        assert!(made.is_empty());
        assert!(
            matches!(result, Err(PatchError::Frame { frame: 0, .. })),
            "{result:?}"
        );
    }
}

#[test]
fn streams_that_do_not_decompress() {
    let packed = zstd::bulk::compress(&[7; 400], 3).unwrap();
    let cases: Vec<(&str, Vec<u8>, u32)> = vec![
        ("not zstd", vec![1; 40], 400),
        ("cut off", packed[..packed.len() - 1].to_vec(), 400),
        ("less than declared", packed.clone(), 401),
        ("more than declared", packed.clone(), 399),
        ("nothing", vec![], 400),
    ];
    for (name, bytes, decoded_length) in cases {
        let encoded_length = bytes.len() as u32;
        let stream = Stream {
            codec: 1,
            encoded_length,
            decoded_length,
            bytes,
        };
        let output = decoded_length.into();
        let entries = control(&[(0, output, 0)]);
        let body = streams(output, [stored(&entries), stored(&[]), stream]);
        let forge = Forge::new(None, &vec![7; output as usize], vec![body]);
        let (made, result) = forge.apply();
        let fault = match result {
            Err(PatchError::Frame { fault, .. }) => fault,
            other => panic!("{name}: {other:?}"),
        };
        assert!(
            matches!(fault, FrameFault::Decode { .. }),
            "{name}: {fault}"
        );
        assert!(made.is_empty(), "{name}");
    }
}

#[test]
fn a_full_payload_cannot_copy() {
    let forge = Forge::new(None, b"0123", vec![copy(4, 0)]);
    let outside = |result| {
        matches!(
            result,
            Err(PatchError::Frame {
                fault: FrameFault::Outside { old_length: 0, .. },
                ..
            })
        )
    };
    assert!(outside(forge.apply().1));
    let body = frame(&control(&[(4, 0, 0)]), b"0123", b"");
    let forge = Forge::new(None, b"0123", vec![body]);
    assert!(outside(forge.apply().1));
}

#[test]
fn counts_and_lengths_have_to_end_together() {
    type Change = fn(&mut Forge);
    let cases: Vec<(&str, Change)> = vec![
        ("more frames declared", |forge| forge.frames = Some(4)),
        ("fewer frames declared", |forge| forge.frames = Some(2)),
        ("frames of 64 bits", |forge| forge.frames = Some(u64::MAX)),
        ("longer payload declared", |forge| {
            forge.payload_length = Some(100_000);
        }),
        ("shorter payload declared", |forge| {
            forge.payload_length = Some(193);
        }),
        ("payload of 64 bits", |forge| {
            forge.payload_length = Some(u64::MAX);
        }),
        ("longer image declared", |forge| forge.new.length += 1),
        ("shorter image declared", |forge| forge.new.length -= 1),
        ("image of 64 bits", |forge| forge.new.length = u64::MAX),
        ("another image declared", |forge| {
            forge.new = ImageId::of(b"5678xy\0\x003457");
        }),
        ("a frame missing", |forge| drop(forge.bodies.pop())),
        ("a frame too many", |forge| forge.bodies.push(zero(1))),
    ];
    for (name, change) in cases {
        let mut forge = honest();
        change(&mut forge);
        if name == "image of 64 bits" {
            let (payload, _) = forge.payload();
            assert!(inspect(&mut payload.as_slice()).is_err(), "{name}");
            continue;
        }
        let (_, result) = forge.apply();
        assert!(result.is_err(), "{name}");
        assert!(!result.unwrap_err().hint().is_empty(), "{name}");
    }
}

#[test]
fn lying_headers() {
    let two = 2_u16.to_le_bytes().to_vec();
    let four = 4_u16.to_le_bytes().to_vec();
    let cases: Vec<(&str, usize, Vec<u8>)> = vec![
        ("magic", 0, vec![0]),
        ("version above", 8, four),
        ("version below", 8, vec![1, 0]),
        ("version 0", 8, vec![0, 0]),
        ("kind", 10, vec![2]),
        ("reserved", 11, vec![1]),
        ("prediction model", 12, two.clone()),
        ("container recipe", 14, two),
        ("a map that is not there", 12, vec![1, 0]),
        ("flags", 16, vec![0, 0, 0, 1]),
        ("codecs", 20, vec![0, 8]),
        ("recipes without packers", 14, vec![1, 0]),
        ("packers without recipes", 20, vec![3, 1, 0, 0]),
        ("zlib of an edition without use", 160, vec![1, 0]),
        ("frame output 0", 24, vec![0; 4]),
        ("frame output above", 24, vec![0xff; 4]),
        ("no frames", 28, vec![0; 8]),
        ("old length", 44, vec![0xff; 8]),
        ("first frame too long", 124, vec![0xff; 4]),
        ("first frame missing", 124, vec![0; 36]),
        ("reserved tail", 191, vec![1]),
    ];
    for (name, at, bytes) in cases {
        let mut forge = honest();
        forge.patches.push((at, bytes));
        let (made, result) = forge.apply();
        let error = result.unwrap_err();
        assert!(made.is_empty(), "{name}: {error}");
        match (name, error) {
            ("magic", PatchError::NotAPayload { .. }) => {}
            (
                "version above",
                PatchError::UnsupportedVersion {
                    part: "format",
                    needed: 4,
                    known: 3,
                },
            ) => {}
            (
                "prediction model" | "container recipe",
                PatchError::UnsupportedVersion {
                    part,
                    needed: 2,
                    known: 1,
                },
            ) if part == name => {}
            (
                "codecs",
                PatchError::UnsupportedCodecs {
                    needed: 0x800,
                    known: 0x707,
                },
            ) => {}
            (
                "packers without recipes" | "zlib of an edition without use",
                PatchError::OtherLibrary {
                    library: "zlib", ..
                },
            ) => {}
            ("old length", PatchError::HeaderField { .. } | PatchError::WrongImage { .. }) => {}
            (
                "a map that is not there",
                PatchError::Frame {
                    frame: 0,
                    fault: FrameFault::Map { is_map: false },
                },
            ) => {}
            (_, PatchError::HeaderField { .. }) => {}
            (_, other) => panic!("{name}: {other}"),
        }
    }
}
