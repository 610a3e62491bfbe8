//! Deltas made in bounded memory.

use std::io::Cursor;

use firmware_delta::{Built, DiffError, LEAST_DIFF_MEMORY, diff_within};

use crate::support::{Numbers, apply, make_delta, options};

fn make(old: &[u8], mut new: &[u8], memory: u64) -> Result<(Vec<u8>, Built), DiffError> {
    let (mut payload, mut spool) = (Vec::new(), Cursor::new(Vec::new()));
    let (mut old, options) = (old, options(1 << 18));
    let built = diff_within(
        memory,
        &mut old,
        &mut new,
        &options,
        &mut spool,
        &mut payload,
        &|_| {},
    )?;
    Ok((payload, built))
}

/// 3 MiB, the middle third of it zeros.
fn image(numbers: &mut Numbers) -> Vec<u8> {
    let mut image = numbers.bytes(1 << 20);
    image.resize(2 << 20, 0);
    image.extend(numbers.bytes(1 << 20));
    image
}

#[test]
fn images_come_back_and_little_is_lost() {
    let mut numbers = Numbers(11);
    let old = image(&mut numbers);
    let mut edited = old.clone();
    (0..100).for_each(|_| edited[numbers.below(3 << 18)] ^= 0x55);
    let mut moved = old.clone();
    moved.splice(1000..1000, *b"all that follows stands elsewhere");
    let mut swapped = old[2 << 20..].to_vec();
    swapped.extend_from_slice(&old[..2 << 20]);
    let other = numbers.bytes(300_000);
    let cases: [(&str, &[u8], &[u8]); 8] = [
        ("the same", &old, &old),
        ("edited", &old, &edited),
        ("moved", &old, &moved),
        ("swapped", &old, &swapped),
        ("cut off", &old, &old[..1_333_333]),
        ("longer", &old[..1_333_333], &old),
        ("from nothing", &[], &other),
        ("to nothing", &other, &[]),
    ];
    for (what, old, new) in cases {
        let (payload, built) = make(old, new, LEAST_DIFF_MEMORY).unwrap();
        assert_eq!(built.payload.length, payload.len() as u64, "{what}");
        let (made, result) = apply(&payload, old, built.expectation(), 1 << 16);
        assert_eq!(result.unwrap().new_image(), built.new, "{what}");
        assert!(made == new, "{what}");
        let (in_memory, _) = make_delta(old, new, 1 << 18);
        let most = in_memory.len() + in_memory.len() / 50 + 2000;
        assert!(payload.len() <= most, "{what}: {} of {most}", payload.len());
        let (again, _) = make(old, new, LEAST_DIFF_MEMORY).unwrap();
        assert!(payload == again, "{what}: other bytes");
    }
}

#[test]
fn too_little_memory_is_refused() {
    let refused = make(&[1], &[2], LEAST_DIFF_MEMORY - 1).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("memory is 536870911, allowed are 536870912"),
        "{text}"
    );
}
