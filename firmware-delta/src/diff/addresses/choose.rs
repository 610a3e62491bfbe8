//! Which way of reading pays, piece by piece: each is tried, and what is left to mend is weighed about as a compressor would.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "host side: positions are those of the frame's decoded bytes, which bound every length"
)]

use crate::diff::addresses::Model;
use crate::predict::{Bias, Mode, Run, predict};

/// A copy in a frame.
#[derive(Debug, Clone, Copy)]
pub(in crate::diff) struct Part {
    /// Where it goes in the decoded bytes.
    pub(in crate::diff) to: usize,
    pub(in crate::diff) length: usize,
    /// Where it comes from in the space that the frame copies from.
    pub(in crate::diff) from: u64,
    /// The same in the old space, and where it goes in the new one.
    pub(in crate::diff) old: usize,
    pub(in crate::diff) new: usize,
}

/// Decoded bytes that are read in one way.
const CELL: usize = 1 << 10;

/// What changing the way costs, and what each place costs where something is left to mend, in bytes.
const CHANGE: usize = 4;
const PLACE: usize = 1;

/// A copy, or a part of one, within a cell.
#[derive(Debug, Clone, Copy)]
struct Atom {
    to: usize,
    length: usize,
    from: u64,
    machine: Mode,
    bias: Bias,
}

/// The runs of a frame: `copied` are its decoded bytes as they are in the old image, zero where nothing is copied,
/// `wanted` what they have to become.
pub(in crate::diff) fn choose(
    model: &Model,
    parts: &[Part],
    copied: &[u8],
    wanted: &[u8],
) -> Vec<Run> {
    let atoms = atoms(model, parts);
    let mut runs: Vec<Run> = Vec::new();
    let mut seen = Seen::new();
    let mut rest = atoms.as_slice();
    let mut at = 0;
    while at < copied.len() {
        let end = (at + CELL).min(copied.len());
        let count = rest.iter().take_while(|atom| atom.to < end).count();
        let (cell, behind) = rest.split_at(count);
        rest = behind;
        let run = best(model, cell, (at, end), (copied, wanted), &runs, &mut seen);
        match runs.last_mut() {
            Some(last) if last.mode == run.mode && last.bias == run.bias => {
                last.length += run.length;
            }
            Some(last) if last.mode.is_none() && run.mode.is_none() => last.length += run.length,
            _ => runs.push(run),
        }
        at = end;
    }
    while runs.last().is_some_and(|run| run.mode.is_none()) {
        runs.pop();
    }
    runs
}

/// The copies whose bytes may hold addresses, cut where regions and cells end.
fn atoms(model: &Model, parts: &[Part]) -> Vec<Atom> {
    let mut atoms = Vec::new();
    for part in parts {
        let mut done = 0;
        while done < part.length {
            let (old, new) = (part.old + done, part.new + done);
            let to = part.to + done;
            let mut length = (part.length - done).min(CELL - to % CELL);
            if let (Some(old_region), Some(new_region)) =
                (model.old.region(old), model.new.region(new))
            {
                length = length.min(old_region.end - old).min(new_region.end - new);
                let from = part.from + wide(done);
                let machine = new_region.machine;
                atoms.extend(
                    machine
                        .filter(|_| old_region.machine.is_some())
                        .map(|machine| Atom {
                            to,
                            length,
                            from,
                            machine,
                            bias: Bias {
                                old: wide(old).wrapping_add(old_region.bias).wrapping_sub(from),
                                new: wide(new)
                                    .wrapping_add(new_region.bias)
                                    .wrapping_sub(wide(to)),
                                old_pointer: old_region.pointer,
                                new_pointer: new_region.pointer,
                            },
                        }),
                );
            }
            done += length.max(1);
        }
    }
    atoms
}

/// The best way to read a cell.
fn best(
    model: &Model,
    cell: &[Atom],
    (at, end): (usize, usize),
    (copied, wanted): (&[u8], &[u8]),
    runs: &[Run],
    seen: &mut Seen,
) -> Run {
    let plain = Run {
        length: wide(end - at),
        mode: None,
        bias: Bias::default(),
    };
    let Some(atom) = cell.iter().max_by_key(|atom| atom.length) else {
        return plain;
    };
    let change = |run: &Run| match runs.last() {
        Some(last) if last.mode == run.mode && (run.mode.is_none() || last.bias == run.bias) => 0,
        None if run.mode.is_none() => 0,
        _ => CHANGE,
    };
    let rest = |bytes: &[u8]| {
        let pairs = bytes.iter().zip(&wanted[at..end]);
        pairs
            .map(|(has, wanted)| wanted.wrapping_sub(*has))
            .collect::<Vec<u8>>()
    };
    let mut covered = copied[at..end].to_vec();
    // What is not copied is no change.
    let mut copies = vec![false; end - at];
    for atom in cell {
        copies[atom.to - at..atom.to - at + atom.length].fill(true);
    }
    let mut left = rest(&covered);
    mask(&mut left, &copies);
    let mut found = (seen.cost(&left) + change(&plain), plain, left);
    if found.0 == 0 {
        return plain;
    }
    let modes = [
        atom.machine,
        Mode::Relative32,
        Mode::Absolute64,
        Mode::Absolute32,
    ];
    for mode in modes {
        let run = Run {
            mode: Some(mode),
            bias: atom.bias,
            ..plain
        };
        covered.copy_from_slice(&copied[at..end]);
        for atom in cell {
            let start = atom.to - at;
            let piece = &mut covered[start..start + atom.length];
            predict(piece, atom.from, wide(atom.to), &run, &model.map);
        }
        let mut left = rest(&covered);
        mask(&mut left, &copies);
        let cost = seen.cost(&left) + change(&run);
        if cost < found.0 {
            found = (cost, run, left);
        }
    }
    seen.add(&found.2);
    found.1
}

fn mask(left: &mut [u8], copies: &[bool]) {
    for (left, copied) in left.iter_mut().zip(copies) {
        if !copied {
            *left = 0;
        }
    }
}

/// Changes that were made lately: a compressor makes the same one again for little.
struct Seen(Vec<u32>);

impl Seen {
    const BITS: u32 = 12;

    fn new() -> Self {
        Self(vec![0; 1 << Self::BITS])
    }

    /// What `left` costs, in bytes.
    fn cost(&self, left: &[u8]) -> usize {
        let costs = changes(left).map(|change| {
            let bytes = change
                .to_le_bytes()
                .iter()
                .filter(|byte| **byte != 0)
                .count();
            let again = self.0[slot(change)] == change;
            if again { PLACE } else { PLACE + bytes }
        });
        costs.sum()
    }

    fn add(&mut self, left: &[u8]) {
        for change in changes(left) {
            self.0[slot(change)] = change;
        }
    }
}

fn slot(change: u32) -> usize {
    let hash = change.wrapping_mul(0x9e37_79b1) >> (32 - Seen::BITS);
    usize::try_from(hash).unwrap_or(0)
}

/// The bytes that are not zero, with up to three behind each.
fn changes(left: &[u8]) -> impl Iterator<Item = u32> {
    let mut rest = left;
    std::iter::from_fn(move || {
        let at = rest.iter().position(|byte| *byte != 0)?;
        let mut bytes = [0; 4];
        let length = (rest.len() - at).min(4);
        bytes[..length].copy_from_slice(&rest[at..at + length]);
        rest = &rest[at + length..];
        Some(u32::from_le_bytes(bytes))
    })
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
