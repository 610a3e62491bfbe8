//! apply(diff(old, new), old) = new, for images of every sort.

use std::sync::Mutex;

use firmware_delta::format::{Codecs, PayloadKind, StreamKind};
use firmware_delta::{DiffError, DiffOptions, DiffStage, FrameSummary, StreamCodec, diff, inspect};
use proptest::prelude::*;

use crate::support::{Numbers, apply, make_delta, make_full, options, small_pair};

/// How a new image comes out of an old one.
#[derive(Debug, Clone, Copy)]
enum Change {
    Same,
    Unrelated,
    Edited,
    Shuffled,
    Repeated,
    Moved,
    Emptied,
    OneByte,
    Zeros,
}

const CHANGES: [Change; 9] = [
    Change::Same,
    Change::Unrelated,
    Change::Edited,
    Change::Shuffled,
    Change::Repeated,
    Change::Moved,
    Change::Emptied,
    Change::OneByte,
    Change::Zeros,
];

fn changed(old: &[u8], change: Change, numbers: &mut Numbers) -> Vec<u8> {
    let mut new = old.to_vec();
    match change {
        Change::Same => {}
        Change::Unrelated => new = numbers.bytes(old.len()),
        Change::Edited => {
            for _ in 0..old.len() / 100 {
                let at = numbers.below(new.len());
                new[at] = numbers.next() as u8;
            }
        }
        Change::Shuffled => {
            let mut blocks: Vec<_> = old.chunks(777).collect();
            for at in 0..blocks.len() {
                let other = numbers.below(blocks.len());
                blocks.swap(at, other);
            }
            new = blocks.concat();
        }
        Change::Repeated => new = old.repeat(3),
        Change::Moved => {
            let at = numbers.below(new.len() + 1);
            let more = numbers.below(5000);
            let more = numbers.bytes(more);
            new.splice(at..at, more);
        }
        Change::Emptied => new.clear(),
        Change::OneByte => new = vec![numbers.next() as u8],
        Change::Zeros => new.extend(vec![0; numbers.below(40_000)]),
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_image_comes_back(
        seed in 1_u64..u64::MAX,
        length in prop_oneof![Just(0_usize), Just(1), 2_usize..64, 64_usize..60_000],
        alphabet in prop_oneof![Just(1_u8), Just(2), Just(16), Just(255)],
        change in prop::sample::select(CHANGES.to_vec()),
        frame_output in prop_oneof![Just(4096_u32), 4096_u32..20_000, Just(1 << 20)],
        chunk in prop_oneof![Just(1_usize), 1_usize..300, Just(1 << 20)],
    ) {
        let mut numbers = Numbers(seed);
        let mut old = numbers.bytes(length);
        old.iter_mut().for_each(|byte| *byte %= alphabet);
        let new = changed(&old, change, &mut numbers);
        let (payload, built) = make_delta(&old, &new, frame_output);
        let (made, result) = apply(&payload, &old, built.expectation(), chunk);
        prop_assert_eq!(result.unwrap().new_image(), built.new);
        prop_assert!(made == new);
        let summary = inspect(&mut payload.as_slice()).unwrap();
        prop_assert_eq!(summary.head, built.head);
        prop_assert_eq!(summary.frames.iter().map(FrameSummary::output).sum::<u64>(), built.new.length);

        let (payload, built) = make_full(&new, frame_output);
        let (made, result) = apply(&payload, &[], built.expectation(), chunk);
        prop_assert_eq!(result.unwrap().new_image(), built.new);
        prop_assert!(made == new);
    }
}

#[test]
fn runs_cost_a_few_bytes_and_no_time() {
    let mut numbers = Numbers(3);
    let mut old = numbers.bytes(300_000);
    old.extend(vec![0; 3_000_000]);
    old.extend(numbers.bytes(300_000));
    let mut new = old.clone();
    new.splice(150_000..150_000, [0; 1_000_000]);
    let (payload, built) = make_delta(&old, &new, 1 << 16);
    assert!(payload.len() < 2000, "{}", payload.len());
    assert_eq!(apply(&payload, &old, built.expectation(), 1 << 16).0, new);

    let (payload, built) = make_delta(&old, &old, 1 << 16);
    let summary = inspect(&mut payload.as_slice()).unwrap();
    assert!(matches!(
        summary.frames.as_slice(),
        [FrameSummary::Copy { old_offset: 0, .. }]
    ));
    // Link, kind, a length of four bytes, an offset of one.
    assert_eq!(payload.len(), 192 + 36 + 1 + 4 + 1);
    assert_eq!(apply(&payload, &old, built.expectation(), 1000).0, old);

    let zeros = vec![0; 5_000_000];
    let (payload, _) = make_full(&zeros, 1 << 16);
    assert_eq!(payload.len(), 192 + 36 + 1 + 4);
}

#[test]
fn threads_do_not_change_the_payload() {
    let mut numbers = Numbers(11);
    let old = numbers.bytes(9_000_000);
    let new = changed(&old, Change::Shuffled, &mut numbers);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            (
                make_delta(&old, &new, 1 << 18).0,
                make_full(&new[..2_000_000], 1 << 18).0,
            )
        })
    };
    assert!(with(1) == with(5));
}

#[test]
fn a_delta_of_a_small_change_is_small() {
    let (old, new) = small_pair();
    let (payload, built) = make_delta(&old, &new, 4096);
    assert_eq!(
        built.frames,
        inspect(&mut payload.as_slice()).unwrap().frames.len() as u64
    );
    assert!(payload.len() < 1500, "{}", payload.len());
    let summary = inspect(&mut payload.as_slice()).unwrap();
    assert_eq!(summary.kind(), PayloadKind::Delta);
    let streams: u64 = StreamKind::ALL
        .into_iter()
        .map(|kind| summary.stream(kind).encoded)
        .sum();
    assert_eq!(streams + summary.overhead(), payload.len() as u64);
}

#[test]
fn lzma2_is_smaller_and_comes_back() {
    let mut numbers = Numbers(4);
    let mut sum = 0_u32;
    let mut word = |_| {
        sum = sum.wrapping_add((numbers.next() % 900) as u32);
        sum.to_le_bytes()
    };
    let words: Vec<u8> = (0..20_000).flat_map(&mut word).collect();
    let mut lengths = Vec::new();
    for codec in [StreamCodec::Zstd, StreamCodec::Lzma2] {
        let mut options = DiffOptions::default();
        options.codec = codec;
        let mut payload = Vec::new();
        let built = diff(&words[..9000], &words, &options, &mut payload, &|_| {}).unwrap();
        assert!(apply(&payload, &words[..9000], built.expectation(), 5000).0 == words);
        let header = inspect(&mut payload.as_slice()).unwrap().header;
        assert_eq!(
            header.codecs.has(Codecs::LZMA2),
            codec == StreamCodec::Lzma2
        );
        lengths.push(payload.len());
    }
    assert!(lengths[1] < lengths[0], "{lengths:?}");
}

#[test]
fn progress_reaches_the_end_of_every_stage() {
    let (old, new) = small_pair();
    let seen = Mutex::new(Vec::new());
    let note = |progress| seen.lock().unwrap().push(progress);
    diff(&old, &new, &options(4096), &mut Vec::new(), &note).unwrap();
    let seen = seen.into_inner().unwrap();
    for stage in [
        DiffStage::Unpack,
        DiffStage::Index,
        DiffStage::Match,
        DiffStage::Compress,
        DiffStage::Write,
    ] {
        assert!(
            seen.iter()
                .any(|at| at.stage == stage && at.done == at.total),
            "{stage:?}"
        );
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let mut small = DiffOptions::default();
    small.frame_output = 4095;
    let mut high = DiffOptions::default();
    high.level = 23;
    for options in [small, high] {
        let error = diff(b"", b"", &options, &mut Vec::new(), &|_| {}).unwrap_err();
        assert!(matches!(error, DiffError::Option { .. }));
        assert!(!error.hint().is_empty());
    }
}
