//! Stopping at any frame and going on: the same image, and nothing done twice.

use firmware_delta::{Applier, CHECKPOINT_LEN, Checkpoint, Limits, PatchError};

use crate::support::{frame_ranges, make_delta, make_full, small_pair, verified};

#[test]
fn goes_on_from_every_frame_and_repeats_nothing() {
    let (old, new) = small_pair();
    let (payload, built) = make_delta(&old, &new, 4096);
    let expected = built.expectation();
    let ends: Vec<_> = std::iter::once(192)
        .chain(frame_ranges(&payload).iter().map(|range| range.end))
        .collect();
    for (frame, end) in ends.iter().enumerate() {
        // Stopped somewhere within the next frame, torn bytes behind what the checkpoint covers.
        let stop = (end + 30).min(payload.len());
        let mut slot = Vec::new();
        let old_image = verified(&old, &expected);
        let mut applier = Applier::new(expected, Limits::default(), old_image).unwrap();
        applier.push(&payload[..stop], &mut slot).unwrap();
        let checkpoint = applier.checkpoint().unwrap();
        assert_eq!(
            (checkpoint.frame(), checkpoint.payload_offset()),
            (frame as u64, *end as u64)
        );
        assert_eq!(checkpoint.new_offset(), slot.len() as u64);
        assert_eq!(checkpoint.header().unwrap().new, built.new);
        slot.extend(b"torn");

        let stored = checkpoint.to_bytes();
        let checkpoint = Checkpoint::from_bytes(&stored).unwrap();
        let old_image = verified(&old, &expected);
        let mut applier = Applier::resume(
            expected,
            Limits::default(),
            old_image,
            &checkpoint,
            &mut slot.as_slice(),
        )
        .unwrap();
        assert_eq!(applier.checkpoint().unwrap(), checkpoint);
        let mut rest = Vec::new();
        let progress = applier.push(&payload[*end..], &mut rest).unwrap();
        assert!(progress.complete);
        applier.finish().unwrap();
        slot.truncate(checkpoint.new_offset() as usize);
        assert_eq!([slot, rest].concat(), new, "frame {frame}");
    }
}

#[test]
fn a_slot_that_does_not_hold_what_was_written_is_noticed() {
    let (old, new) = small_pair();
    let (payload, built) = make_delta(&old, &new, 4096);
    let expected = built.expectation();
    let mut slot = Vec::new();
    let mut applier = Applier::new(expected, Limits::default(), verified(&old, &expected)).unwrap();
    applier
        .push(&payload[..frame_ranges(&payload)[2].end], &mut slot)
        .unwrap();
    let checkpoint = applier.checkpoint().unwrap();
    let mut changed = slot.clone();
    changed[0] ^= 1;
    let zeros = vec![0; slot.len()];
    for wrong in [&changed[..], &slot[..slot.len() - 1], &zeros, &[]] {
        let old_image = verified(&old, &expected);
        let error = Applier::resume(expected, Limits::default(), old_image, &checkpoint, &mut {
            wrong
        })
        .err()
        .unwrap();
        assert!(
            matches!(error, PatchError::PrefixMismatch { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_checkpoint_of_another_payload_is_refused() {
    let (payload, built) = make_full(&[1; 9000], 4096);
    let (_, other) = make_full(&[2; 9000], 4096);
    let mut slot = Vec::new();
    let expected = built.expectation();
    let mut applier = Applier::new(expected, Limits::default(), verified(b"", &expected)).unwrap();
    applier.push(&payload[..192], &mut slot).unwrap();
    let checkpoint = applier.checkpoint().unwrap();
    let expected = other.expectation();
    let old_image = verified(b"", &expected);
    let error = Applier::resume(
        expected,
        Limits::default(),
        old_image,
        &checkpoint,
        &mut slot.as_slice(),
    )
    .err()
    .unwrap();
    assert!(
        matches!(error, PatchError::CheckpointForeign { .. }),
        "{error}"
    );
}

#[test]
fn damaged_checkpoints_are_refused() {
    let (payload, built) = make_full(&[1; 9000], 4096);
    let expected = built.expectation();
    let mut applier = Applier::new(expected, Limits::default(), verified(b"", &expected)).unwrap();
    assert!(applier.checkpoint().is_none());
    applier.push(&payload[..200], &mut Vec::new()).unwrap();
    let stored = applier.checkpoint().unwrap().to_bytes();
    assert_eq!((stored.len(), CHECKPOINT_LEN), (324, 324));
    for bit in 0..stored.len() * 8 {
        let mut changed = stored.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = Checkpoint::from_bytes(&changed).unwrap_err();
        assert!(
            matches!(error, PatchError::CheckpointDamaged { .. }),
            "bit {bit}"
        );
    }
    for end in 0..stored.len() {
        assert!(Checkpoint::from_bytes(&stored[..end]).is_err());
    }
}
