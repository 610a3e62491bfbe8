//! Code that calls other code, moved about: addresses are predicted, and lies about them are refused.

use firmware_delta::{Applier, Built, Checkpoint, FrameFault, Limits, PatchError, diff, inspect};

use crate::forge::{Forge, control, map, signed, stored, varint, whole_frame};
use crate::support::{Numbers, apply, frame_ranges, options, verified};

/// Bytes of a function, and how many there are.
const FUNCTION: usize = 160;
const FUNCTIONS: usize = 1000;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Machine {
    Arm64,
    X86,
}

/// A program: each function some bytes of its own, seven calls of others, and a return. `grown` puts more in front of some.
fn program(machine: Machine, grown: bool) -> Vec<u8> {
    let mut numbers = Numbers(11);
    let mut starts = Vec::new();
    let mut end = 0;
    for function in 0..FUNCTIONS {
        end += if grown && function % 90 == 50 {
            16 + function / 90 * 4
        } else {
            0
        };
        starts.push(end);
        end += FUNCTION;
    }
    let mut code = Vec::new();
    for start in &starts {
        // What was put in between.
        let gap = start - code.len();
        code.extend([0x1f, 0x20, 0x03, 0xd5].iter().cycle().take(gap));
        for part in 0..8 {
            // Nothing that looks like a call or a jump.
            let own = numbers.bytes(12).into_iter().map(|byte| byte & 0x27 | 0x40);
            code.extend(own);
            let target = starts[numbers.below(FUNCTIONS)] as i64;
            let here = code.len() as i64;
            let word = match (part, machine) {
                (7, Machine::Arm64) => vec![0xc0, 0x03, 0x5f, 0xd6],
                (7, Machine::X86) => vec![0xc3, 0x90, 0x90, 0x90],
                (_, Machine::Arm64) => {
                    let words = ((target - here) / 4) as u32 & 0x03ff_ffff;
                    (0x9400_0000 | words).to_le_bytes().to_vec()
                }
                (_, Machine::X86) => {
                    let distance = (target - here - 5) as i32;
                    [&[0xe8][..], &distance.to_le_bytes()].concat()
                }
            };
            code.extend(word);
        }
        code.resize(start + FUNCTION, 0x90);
    }
    code
}

/// The same in an ELF file, behind something else.
fn file(machine: Machine, grown: bool) -> Vec<u8> {
    let code = program(machine, grown);
    let mut file = vec![0; 0x1000];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[18] = if machine == Machine::X86 { 62 } else { 183 };
    (file[32], file[54], file[56]) = (64, 56, 1);
    (file[64], file[68]) = (1, 5);
    let mut put = |at: usize, value: u64| file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(64 + 8, 0x1000);
    put(64 + 16, 0x40_1000);
    put(64 + 32, code.len() as u64);
    let before = Numbers(3).bytes(if grown { 3000 } else { 1000 });
    [before, file, code].concat()
}

fn made(old: &[u8], new: &[u8], predict: bool) -> (Vec<u8>, Built) {
    let mut options = options(1 << 16);
    options.predict = predict;
    let mut payload = Vec::new();
    let built = diff(old, new, &options, &mut payload, &|_| {}).unwrap();
    (payload, built)
}

#[test]
fn calls_of_what_moved_cost_next_to_nothing() {
    for machine in [Machine::Arm64, Machine::X86] {
        for image in [program, file] {
            let (old, new) = (image(machine, false), image(machine, true));
            let (plain, built) = made(&old, &new, false);
            assert!(!built_predicts(&plain), "{machine:?}");
            let (back, result) = apply(&plain, &old, built.expectation(), 1000);
            result.unwrap();
            assert_eq!(back, new);
            let (predicted, built) = made(&old, &new, true);
            assert!(built_predicts(&predicted), "{machine:?}");
            let (back, result) = apply(&predicted, &old, built.expectation(), 1000);
            result.unwrap();
            assert_eq!(back, new, "{machine:?}");
            let (short, long) = (predicted.len(), plain.len());
            assert!(short * 2 < long, "{machine:?}: {short} of {long}");
        }
    }
}

fn built_predicts(payload: &[u8]) -> bool {
    let summary = inspect(&mut { payload }).unwrap();
    assert_eq!(summary.map().is_some(), summary.header.predicts);
    let [_, by @ ..] = summary.predicted();
    let predicted: u64 = by.iter().sum();
    assert_eq!(predicted > 0, summary.header.predicts);
    summary.header.predicts
}

#[test]
fn a_checkpoint_brings_the_map_along() {
    let (old, new) = (
        program(Machine::Arm64, false),
        program(Machine::Arm64, true),
    );
    let (payload, built) = made(&old, &new, true);
    let expected = built.expectation();
    let ends: Vec<_> = frame_ranges(&payload)
        .iter()
        .map(|range| range.end)
        .collect();
    assert!(ends.len() > 3);
    for end in [192].iter().chain(&ends) {
        let mut slot = Vec::new();
        let old_image = verified(&old, &expected);
        let mut applier = Applier::new(expected, Limits::default(), old_image).unwrap();
        applier.push(&payload[..*end], &mut slot).unwrap();
        let stored = applier.checkpoint().unwrap().to_bytes();
        let checkpoint = Checkpoint::from_bytes(&stored).unwrap();
        let resume = |checkpoint: &Checkpoint, slot: &[u8]| {
            let old_image = verified(&old, &expected);
            Applier::resume(expected, Limits::default(), old_image, checkpoint, &mut {
                slot
            })
        };
        let mut resumed = resume(&checkpoint, &slot).unwrap();
        resumed.push(&payload[*end..], &mut slot).unwrap();
        resumed.finish().unwrap();
        assert_eq!(slot, new, "from {end}");
        // Another map, under a check digest that fits.
        if *end > 192 {
            let mut changed = stored[..stored.len() - 32].to_vec();
            *changed.last_mut().unwrap() ^= 1;
            changed.extend(crate::forge::sha256(&changed));
            let changed = Checkpoint::from_bytes(&changed).unwrap();
            let error = resume(&changed, &slot[..checkpoint.new_offset() as usize]).err();
            assert!(
                matches!(error, Some(PatchError::CheckpointDamaged { .. })),
                "{error:?}"
            );
        }
    }
}

const OLD: &[u8; 16] = b"\x04\0\0\0\x02\0\0\0abcdefgh";

/// What was from 4 on is 8 further: pieces (gap, change of the shift), and the length of the last.
fn map_of(pieces: &[(u64, i64)], length: u64) -> Vec<u8> {
    let gaps = pieces.iter().map(|piece| varint(piece.0));
    let changes = pieces.iter().map(|piece| signed(piece.1));
    let numbers: Vec<u8> = gaps.chain(changes).flatten().collect();
    [varint(pieces.len() as u64), numbers, varint(length)].concat()
}

/// A frame that copies the old image with one run of 32-bit distances.
fn frame(modes: &[u8]) -> Vec<u8> {
    let entries = control(&[(16, 0, 0)]);
    let streams = [&[], modes, &entries, &[0; 16], &[]].map(stored);
    whole_frame(16, &streams)
}

/// From the map and the modes; what the distances become is 4 + 8 from 0 on, and from 4 on 2 + 8.
fn forged(map_bytes: &[u8], modes: &[u8]) -> Forge {
    let bodies = vec![map(map_bytes), frame(modes)];
    let mut forge = Forge::new(Some(OLD), b"\x0c\0\0\0\x0a\0\0\0abcdefgh", bodies);
    forge.patches = vec![(12, vec![1, 0])];
    forge
}

/// A run of 8 bytes of mode 3, both biases 0.
fn modes() -> Vec<u8> {
    [varint(8 << 3 | 3), signed(0), signed(0)].concat()
}

#[test]
fn prediction_is_as_the_format_says() {
    let (made, result) = forged(&map_of(&[(4, 8)], 12), &modes()).apply();
    result.unwrap();
    assert_eq!(made, b"\x0c\0\0\0\x0a\0\0\0abcdefgh");
    // Biases that say the same: the old image at 100, the new one at 1000.
    let biased = [varint(8 << 3 | 3), signed(100), signed(1000)].concat();
    let (_, result) = forged(&map_of(&[(104, 908)], 12), &biased).apply();
    result.unwrap();
}

#[test]
fn lying_maps() {
    let good = map_of(&[(4, 8)], 12);
    let max = u64::MAX;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("no pieces", map_of(&[], 12)),
        ("pieces of 64 bits", varint(max)),
        (
            "more pieces than a frame may have",
            map_of(&[(1, 0); 257], 12),
        ),
        ("an address above 64 bits", map_of(&[(max, 8), (1, 8)], 12)),
        ("an end above 64 bits", map_of(&[(4, 8)], max)),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("bytes left over", [good.clone(), vec![0]].concat()),
        (
            "a number in a long form",
            [&[0x81, 0][..], &good[1..]].concat(),
        ),
        ("longer than a frame", vec![0; 4097]),
    ];
    for (name, bytes) in cases {
        refused(name, &forged(&bytes, &modes()), 0);
    }
    let mut second = forged(&good, &modes());
    second.bodies.insert(1, map(&good));
    refused("a second map", &second, 1);
    let mut undeclared = forged(&good, &modes());
    undeclared.patches.clear();
    refused("a map that is not declared", &undeclared, 0);
    let mut yields = forged(&good, &modes());
    yields.bodies[0][1] = 1;
    refused("a map that yields something", &yields, 0);
    let mut missing = forged(&good, &modes());
    missing.bodies.remove(0);
    missing.bodies[0] = frame(&modes());
    missing.bodies.push(vec![0, 1]);
    refused("no map", &missing, 0);
}

#[test]
fn lying_modes() {
    let good = map_of(&[(4, 8)], 12);
    let zeros = [signed(0), signed(0)].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "an unknown mode",
            [varint(8 << 3 | 7), zeros.clone()].concat(),
        ),
        ("an empty run", [varint(3), zeros.clone()].concat()),
        (
            "longer than the frame",
            [varint(17 << 3 | 3), zeros.clone()].concat(),
        ),
        ("of 64 bits", [varint(u64::MAX), zeros.clone()].concat()),
        (
            "together longer",
            [modes(), varint(9 << 3 | 1), zeros].concat(),
        ),
        ("cut off", modes()[..2].to_vec()),
    ];
    for (name, modes) in cases {
        refused(name, &forged(&good, &modes), 1);
    }
}

/// Any numbers will do: they wrap, and what they make is another image.
#[test]
fn odd_numbers_are_no_trouble() {
    let far = [i64::MIN, i64::MAX, -1, 1 << 40];
    for (mode, bias) in (1..=5).flat_map(|mode| far.map(|bias| (mode, bias))) {
        for shift in far {
            let biases = [bias, shift, shift, bias].map(signed).concat();
            let numbers = if mode < 4 {
                &biases[..biases.len() / 2]
            } else {
                &biases
            };
            let modes = [varint(16 << 3 | mode), numbers.to_vec()].concat();
            let (_, result) = forged(&map_of(&[(0, shift)], u64::MAX), &modes).apply();
            match result {
                Ok(()) | Err(PatchError::NewMismatch { .. } | PatchError::Frame { .. }) => {}
                Err(other) => panic!("{mode}: {other}"),
            }
        }
    }
}

fn refused(name: &str, forge: &Forge, expected: u64) {
    let (made, result) = forge.apply();
    match result {
        Err(PatchError::Frame { frame, fault }) => {
            assert_eq!(frame, expected, "{name}: {fault}");
            let of_map = matches!(fault, FrameFault::Map { .. });
            assert_eq!(
                of_map,
                name.starts_with("a second map")
                    || name == "no map"
                    || name == "a map that is not declared",
                "{name}"
            );
        }
        other => panic!("{name}: {other:?}"),
    }
    assert!(made.is_empty(), "{name}");
    let (payload, _) = forge.payload();
    assert!(inspect(&mut payload.as_slice()).is_err(), "{name}");
}
