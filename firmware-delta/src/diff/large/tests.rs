//! Batches that are smaller than the images.

use std::io::Cursor;

use super::*;
use crate::{Applier, Limits, verify_old};

fn noise(length: usize, mut number: u64) -> Vec<u8> {
    let bytes = std::iter::from_fn(|| {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        Some(number.to_le_bytes()[0])
    });
    bytes.take(length).collect()
}

/// The payload, having been applied.
fn made(old: &[u8], new: &[u8], unit: usize) -> Vec<u8> {
    let (mut payload, mut spool) = (Vec::new(), Cursor::new(Vec::new()));
    let (mut image, mut reader) = (old, new);
    let options = DiffOptions {
        level: 1,
        ..DiffOptions::default()
    };
    let sizes = (1 << 20, unit);
    let built = in_batches(
        sizes,
        &mut image,
        &mut reader,
        &options,
        &mut spool,
        &mut payload,
        &|_| {},
    )
    .unwrap();
    let expected = built.expectation();
    let verified = verify_old(old, &expected.old.unwrap()).unwrap();
    let mut applier = Applier::new(expected, Limits::default(), verified).unwrap();
    let mut back = Vec::new();
    applier.push(&payload, &mut back).unwrap();
    applier.finish().unwrap();
    assert!(back == new);
    payload
}

#[test]
fn what_moved_far_is_found_from_batch_to_batch() {
    let old = noise(6 << 20, 3);
    // The thirds the other way round, each moved by an odd number of bytes, and a change in each.
    let mut new = noise(77, 5);
    for third in old.chunks(2 << 20).rev() {
        new.extend_from_slice(third);
        new.extend_from_slice(b"something new");
    }
    let payload = made(&old, &new, 2 << 20);
    assert!(payload.len() < 20_000, "{}", payload.len());
}

#[test]
fn unchanged_stretches_between_changed_ones_keep_their_order() {
    let old = noise(5 << 20, 9);
    let mut new = old.clone();
    for at in [0, 2 << 20, (4 << 20) + 5] {
        new[at] ^= 1;
    }
    let payload = made(&old, &new, 2 << 20);
    assert!(payload.len() < 2000, "{}", payload.len());
    new.truncate((3 << 20) + 1);
    made(&old, &new, 64 << 10);
    made(&new, &old, 64 << 10);
}
