//! Bytes that were changed, cut, reordered or mixed on the way: refused before they are decoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firmware_delta::{Applier, Expectation, ImageId, Limits, PatchError, VerifiedOld, verify_old};

use crate::support::{
    CountingOld, Numbers, apply, apply_from, frame_ranges, make_delta, make_full, small_pair,
};

/// What applying the first `frames` frames reads and writes.
fn honest(payload: &[u8], old: &[u8], expected: Expectation, end: usize) -> (Vec<u8>, usize) {
    let reads = Arc::new(AtomicUsize::new(0));
    let image = CountingOld {
        image: old,
        reads: Arc::clone(&reads),
    };
    let old = verify_old(image, &expected.old.unwrap()).unwrap();
    let (new, _) = apply_from(&payload[..end], old, expected, payload.len());
    (new, reads.load(Ordering::Relaxed))
}

#[test]
fn every_flipped_bit_is_refused_before_its_frame_is_touched() {
    let (old, new) = small_pair();
    let (payload, built) = make_delta(&old, &new, 4096);
    let expected = built.expectation();
    let ranges = frame_ranges(&payload);
    assert!(ranges.len() >= 4);
    let mut untouched = vec![(192, honest(&payload, &old, expected, 192))];
    untouched.extend(
        ranges
            .iter()
            .map(|range| (range.end, honest(&payload, &old, expected, range.start))),
    );
    for bit in 0..payload.len() * 8 {
        let mut changed = payload.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let reads = Arc::new(AtomicUsize::new(0));
        let image = CountingOld {
            image: &old,
            reads: Arc::clone(&reads),
        };
        let proof = verify_old(image, &expected.old.unwrap()).unwrap();
        let (made, result) = apply_from(&changed, proof, expected, 333);
        let at = untouched
            .iter()
            .position(|(end, _)| bit / 8 < *end)
            .unwrap();
        match (result.unwrap_err(), at) {
            (PatchError::HeadMismatch { .. }, 0) => {}
            (PatchError::FrameMismatch { frame, .. }, at) if frame == at as u64 - 1 => {}
            (other, _) => panic!("bit {bit} in part {at}: {other}"),
        }
        let (written, read) = &untouched[at].1;
        assert!(made == *written, "bit {bit}");
        assert_eq!(reads.load(Ordering::Relaxed), *read, "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let (old, new) = small_pair();
    let (payload, built) = make_delta(&old, &new, 4096);
    for end in 0..payload.len() {
        let (made, result) = apply(&payload[..end], &old, built.expectation(), 1000);
        match result.unwrap_err() {
            PatchError::Truncated { found, .. } => assert_eq!(found, end as u64),
            other => panic!("{end}: {other}"),
        }
        assert!(new.starts_with(&made));
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let (payload, built) = make_full(b"image", 4096);
    let longer = [payload.as_slice(), b"!"].concat();
    for chunk in [1, 1000] {
        let (_, result) = apply(&longer, b"", built.expectation(), chunk);
        assert!(matches!(result, Err(PatchError::TrailingBytes { .. })));
    }
}

#[test]
fn frames_out_of_order_are_refused() {
    let image = Numbers(5).bytes(5 * 4096);
    let (payload, built) = make_full(&image, 4096);
    let ranges = frame_ranges(&payload);
    for first in 0..ranges.len() {
        for second in first + 1..ranges.len() {
            let mut order: Vec<_> = (0..ranges.len()).collect();
            order.swap(first, second);
            let mut mixed = payload[..192].to_vec();
            order
                .iter()
                .for_each(|at| mixed.extend(&payload[ranges[*at].clone()]));
            let (made, result) = apply(&mixed, b"", built.expectation(), 1 << 20);
            let named = result.unwrap_err();
            assert!(
                matches!(named, PatchError::FrameMismatch { frame, .. } if frame == first as u64),
                "{named}"
            );
            assert_eq!(made, image[..first * 4096]);
        }
    }
}

#[test]
fn two_payloads_cannot_be_spliced() {
    let one = Numbers(5).bytes(3 * 4096);
    let other = Numbers(6).bytes(3 * 4096);
    let ((first, built), (second, _)) = (make_full(&one, 4096), make_full(&other, 4096));
    for (from, to) in frame_ranges(&first).into_iter().zip(frame_ranges(&second)) {
        let spliced = [&first[..from.start], &second[to.start..]].concat();
        let (made, result) = apply(&spliced, b"", built.expectation(), 1 << 20);
        assert!(matches!(result, Err(PatchError::FrameMismatch { .. })));
        assert!(one.starts_with(&made));
    }
    let headed = [&second[..192], &first[192..]].concat();
    let (made, result) = apply(&headed, b"", built.expectation(), 1 << 20);
    assert!(made.is_empty() && matches!(result, Err(PatchError::HeadMismatch { .. })));
}

#[test]
fn a_wrong_old_image_is_found_before_anything_is_written() {
    let (old, new) = small_pair();
    let (_, built) = make_delta(&old, &new, 4096);
    let expected = built.expectation();
    let mut changed = old.clone();
    changed[23_999] ^= 1;
    let cases: [(&str, &[u8]); 4] = [
        ("changed", &changed),
        ("cut", &old[1..]),
        ("empty", b""),
        ("new", &new),
    ];
    for (name, wrong) in cases {
        let error = verify_old(wrong, &expected.old.unwrap()).unwrap_err();
        assert!(matches!(error, PatchError::OldMismatch { .. }), "{name}");
        // The proof of another image does not help either.
        let proof = verify_old(wrong, &ImageId::of(wrong)).unwrap();
        let error = Applier::new(expected, Limits::default(), proof)
            .err()
            .unwrap();
        assert!(matches!(error, PatchError::OldMismatch { .. }), "{name}");
    }
    let error = Applier::new(expected, Limits::default(), VerifiedOld::none())
        .err()
        .unwrap();
    assert!(matches!(
        error,
        PatchError::OldNotAsExpected { given: false }
    ));
    let unasked = Expectation {
        old: None,
        ..expected
    };
    let proof = verify_old(old.as_slice(), &ImageId::of(&old)).unwrap();
    let error = Applier::new(unasked, Limits::default(), proof)
        .err()
        .unwrap();
    assert!(matches!(
        error,
        PatchError::OldNotAsExpected { given: true }
    ));
}

#[test]
fn a_header_that_promises_something_else_is_refused() {
    let (old, new) = small_pair();
    let (payload, built) = make_delta(&old, &new, 4096);
    let right = built.expectation();
    let longer = ImageId {
        length: right.new.length + 1,
        ..right.new
    };
    let other = ImageId {
        sha256: [9; 32],
        ..right.new
    };
    for wrong in [longer, other] {
        let expected = Expectation {
            new: wrong,
            ..right
        };
        let (made, result) = apply(&payload, &old, expected, 1 << 20);
        let error = result.unwrap_err();
        assert!(made.is_empty() && matches!(error, PatchError::WrongImage { image: "new", .. }));
    }
    let expected = Expectation { old: None, ..right };
    let (made, result) = apply(&payload, &old, expected, 1 << 20);
    assert!(made.is_empty() && matches!(result, Err(PatchError::WrongKind { .. })));
    let expected = Expectation {
        old: Some(ImageId::of(&new)),
        ..right
    };
    let (made, result) = apply(&payload, &new, expected, 1 << 20);
    assert!(made.is_empty() && matches!(result, Err(PatchError::WrongImage { image: "old", .. })));
}

#[test]
fn limits_of_the_receiver_are_kept() {
    let (payload, built) = make_full(&[1; 9000], 8192);
    let limits = Limits {
        frame_output: 4096,
        ..Limits::default()
    };
    let mut applier = Applier::new(built.expectation(), limits, VerifiedOld::none()).unwrap();
    let error = applier.push(&payload, &mut Vec::new()).unwrap_err();
    assert!(matches!(
        error,
        PatchError::AboveLimit {
            limit: 4096,
            found: 8192,
            ..
        }
    ));
    let limits = Limits {
        new_length: 8999,
        ..Limits::default()
    };
    let error = Applier::new(built.expectation(), limits, VerifiedOld::none())
        .err()
        .unwrap();
    assert!(matches!(
        error,
        PatchError::AboveLimit {
            limit: 8999,
            found: 9000,
            ..
        }
    ));
    assert!(!error.hint().is_empty());
}
