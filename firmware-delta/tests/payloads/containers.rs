//! Images of compressed blocks: compared unpacked, made again bit for bit. `tests/data` has two versions of a small file
//! system, by mksquashfs 4.5.1 with blocks of 4 KiB.

use firmware_delta::format::Codecs;
use firmware_delta::{Built, DiffOptions, FrameFault, FrameSummary, PatchError, diff, inspect};

use crate::forge::{Forge, control, recipe_frame, stored, varint};
use crate::support::{Numbers, apply, options};

const PAIRS: [(&str, &[u8], &[u8], Codecs); 3] = [
    (
        "gzip",
        include_bytes!("../data/squashfs-gzip-old.img"),
        include_bytes!("../data/squashfs-gzip-new.img"),
        Codecs::ZLIB_BLOCKS,
    ),
    (
        "xz",
        include_bytes!("../data/squashfs-xz-old.img"),
        include_bytes!("../data/squashfs-xz-new.img"),
        Codecs::XZ_BLOCKS,
    ),
    (
        "zstd",
        include_bytes!("../data/squashfs-zstd-old.img"),
        include_bytes!("../data/squashfs-zstd-new.img"),
        Codecs::ZSTD_BLOCKS,
    ),
];

/// A delta by whatever can be unpacked.
fn make_delta(old: &[u8], new: &[u8], frame_output: u32) -> (Vec<u8>, Built) {
    let mut options = options(frame_output);
    options.containers = Codecs::KNOWN;
    let mut payload = Vec::new();
    let built = diff(old, new, &options, &mut payload, &|_| {}).unwrap();
    (payload, built)
}

fn packed(payload: &[u8]) -> u64 {
    let summary = inspect(&mut { payload }).unwrap();
    let frames = summary.frames.iter().map(|frame| match frame {
        FrameSummary::Streams { segments, .. } => segments.packed,
        _ => 0,
    });
    frames.sum()
}

#[test]
fn squashfs_is_packed_again_bit_for_bit() {
    for (name, old, new, codec) in PAIRS {
        for frame_output in [8192, 20_000, 1 << 20] {
            let (payload, built) = make_delta(old, new, frame_output);
            let (made, result) = apply(&payload, old, built.expectation(), 1000);
            result.unwrap();
            assert!(made == new, "{name}");
            let header = inspect(&mut payload.as_slice()).unwrap().header;
            assert!(header.codecs.has(codec), "{name}");
            assert!(packed(&payload) > 4096, "{name}: {}", packed(&payload));
        }
        let mut options = DiffOptions::default();
        let mut sizes = [Codecs::KNOWN, Codecs::STORED].map(|containers| {
            options.containers = containers;
            let mut payload = Vec::new();
            diff(old, new, &options, &mut payload, &|_| {}).unwrap();
            payload.len()
        });
        sizes[0] *= 2;
        assert!(sizes[0] < sizes[1], "{name}: {sizes:?}");
    }
}

#[test]
fn blocks_that_do_not_fit_a_frame_are_left_packed() {
    let (_, old, new, codec) = PAIRS[0];
    let (payload, built) = make_delta(old, new, 4096);
    assert!(apply(&payload, old, built.expectation(), 100).0 == new);
    let header = inspect(&mut payload.as_slice()).unwrap().header;
    // Tables have blocks of 8 KiB; those of files just fit.
    assert!(header.codecs.has(codec));
}

#[test]
fn file_systems_that_lie_are_images_all_the_same() {
    let mut numbers = Numbers(21);
    for (name, old, new, _) in PAIRS {
        for round in 0..16 {
            let mut lying = [old.to_vec(), new.to_vec()];
            for image in &mut lying {
                for _ in 0..=round % 5 {
                    // The superblock, or anywhere.
                    let end = if round % 2 == 0 { 96 } else { image.len() };
                    let at = 4 + numbers.below(end - 4);
                    image[at] = numbers.next() as u8;
                }
                image.truncate(image.len() - numbers.below(round * 80 + 1));
            }
            let [old, new] = lying;
            let (payload, built) = make_delta(&old, &new, 8192);
            let (made, result) = apply(&payload, &old, built.expectation(), 5000);
            result.unwrap();
            assert!(made == new, "{name} {round}");
        }
    }
}

/// An old image of one zlib block between other bytes, and what it unpacks to.
fn block() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let content = b"the firmware that stands in the slot ".repeat(20);
    let mut zlib = Vec::new();
    let mut deflate = flate2::Compress::new(flate2::Compression::new(9), true);
    zlib.reserve(content.len());
    deflate
        .compress_vec(&content, &mut zlib, flate2::FlushCompress::Finish)
        .unwrap();
    let old = [&b"head"[..], &zlib, b"tail"].concat();
    (old, zlib, content)
}

/// A segment's head.
fn segment(length: usize, what: u64) -> Vec<u8> {
    varint((length as u64) << 2 | what)
}

/// A recipe of one source; `segments` follow.
fn recipe(gap: u64, packed: u64, unpacked: u64, codec: u8, segments: &[u8]) -> Vec<u8> {
    [
        varint(1),
        varint(gap),
        varint(packed),
        varint(unpacked),
        vec![codec],
        segments.to_vec(),
    ]
    .concat()
}

fn forge(recipe: &[u8], old: &[u8], new: &[u8], decoded: usize) -> Forge {
    let entries = control(&[(decoded as u64, 0, old.len() as i64)]);
    let body = recipe_frame(
        new.len() as u64,
        &[
            stored(recipe),
            stored(&entries),
            stored(&vec![0; decoded]),
            stored(&[]),
        ],
    );
    let mut forge = Forge::new(Some(old), new, vec![body]);
    forge.codecs = 0x101;
    forge.patches = vec![(14, vec![1, 0]), (160, vec![1, 0])];
    forge
}

#[test]
fn recipes_that_lie_write_nothing() {
    let (old, zlib, content) = block();
    let (z, c) = (zlib.len() as u64, content.len() as u64);
    let pack = |length: usize, packed: u64, how: &[u8]| {
        [segment(length, 3), varint(packed), how.to_vec()].concat()
    };
    let good = pack(content.len(), z, &[8, 9, 15]);
    let (made, result) = forge(&recipe(4, z, c, 8, &good), &old, &zlib, content.len()).apply();
    result.unwrap();
    assert_eq!(made, zlib);

    let with = |segments: &[u8]| recipe(4, z, c, 8, segments);
    let max = u64::MAX;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("source before the block", recipe(3, z, c, 8, &good)),
        ("source behind the image", recipe(40, z, c, 8, &good)),
        ("source at the end of 64 bits", recipe(max, z, c, 8, &good)),
        ("source cut off", recipe(4, z - 1, c, 8, &good)),
        ("source of nothing", recipe(4, 0, c, 8, &good)),
        ("source unpacks to less", recipe(4, z, c + 1, 8, &good)),
        ("source unpacks to more", recipe(4, z, c - 1, 8, &good)),
        ("source unpacks to 64 bits", recipe(4, z, max, 8, &good)),
        (
            "source unpacks to more than a frame",
            recipe(4, z, 4097, 8, &good),
        ),
        ("source of another codec", recipe(4, z, c, 9, &good)),
        ("source of xz", recipe(4, z, c, 10, &good)),
        ("source of no codec", recipe(4, z, c, 1, &good)),
        ("sources without end", [varint(max), good.clone()].concat()),
        ("sources cut off", varint(1)),
        ("another level", with(&pack(content.len(), z, &[8, 1, 15]))),
        ("level 0", with(&pack(content.len(), z, &[8, 0, 15]))),
        ("window of 2^16", with(&pack(content.len(), z, &[8, 9, 16]))),
        ("zstd of level 23", with(&pack(content.len(), z, &[9, 23]))),
        (
            "xz of preset 10",
            with(&pack(content.len(), z, &[10, 10, 8, 0])),
        ),
        (
            "xz, huge dictionary",
            with(&pack(content.len(), z, &[10, 6, 0xff, 0xff])),
        ),
        (
            "packed shorter",
            with(&pack(content.len(), z - 1, &[8, 9, 15])),
        ),
        (
            "packed to 64 bits",
            with(&pack(content.len(), max, &[8, 9, 15])),
        ),
        (
            "packed from less",
            with(&pack(content.len() - 1, z, &[8, 9, 15])),
        ),
        (
            "packed from more",
            with(&pack(content.len() + 1, z, &[8, 9, 15])),
        ),
        (
            "a segment more",
            with(&[good.clone(), segment(1, 2)].concat()),
        ),
        (
            "a segment of nothing",
            with(&[good.clone(), segment(0, 0)].concat()),
        ),
        (
            "a copy behind the end",
            with(&[segment(9, 1), varint(2 * 1000)].concat()),
        ),
        (
            "a copy before the start",
            with(&[segment(9, 1), varint(1)].concat()),
        ),
        ("no segments", with(&[])),
        ("a segment cut off", with(&[0x80])),
        (
            "zeros of 64 bits",
            with(&[segment(usize::MAX >> 2, 2), good.clone()].concat()),
        ),
    ];
    for (name, recipe) in cases {
        let forge = forge(&recipe, &old, &zlib, content.len());
        let (made, result) = forge.apply();
        assert!(
            matches!(result, Err(PatchError::Frame { frame: 0, .. })),
            "{name}: {result:?}"
        );
        assert!(made.is_empty(), "{name}");
        let (payload, _) = forge.payload();
        let _either = inspect(&mut payload.as_slice());
    }
}

#[test]
fn packers_of_another_edition_are_refused_with_the_header() {
    let (old, zlib, content) = block();
    let mut forge = forge(&[], &old, &zlib, content.len());
    forge.patches = vec![(14, vec![1, 0]), (160, vec![2, 0])];
    let (made, result) = forge.apply();
    assert!(made.is_empty());
    let error = result.unwrap_err();
    assert!(
        matches!(
            error,
            PatchError::OtherLibrary {
                library: "zlib",
                needed: 2,
                known: 1
            }
        ),
        "{error}"
    );
    assert!(error.hint().contains("full payload"));
}

#[test]
fn what_does_not_pack_to_its_length_is_named() {
    let (old, zlib, content) = block();
    let z = zlib.len() as u64;
    let segments = [segment(content.len(), 3), varint(z + 1), vec![8, 9, 15]].concat();
    let lie = recipe(4, z, content.len() as u64, 8, &segments);
    let new = [zlib.as_slice(), b"x"].concat();
    match forge(&lie, &old, &new, content.len()).apply().1 {
        Err(PatchError::Frame {
            fault:
                FrameFault::Pack {
                    segment: 0,
                    expected,
                },
            ..
        }) => assert_eq!(expected, z + 1),
        other => panic!("{other:?}"),
    }
}
