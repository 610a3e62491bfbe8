//! Which bytes of a space have which addresses, and what they may be.
//!
//! Files get addresses of their own, one behind the other above the space: what one refers to is never taken for a part of
//! another. Bytes outside of files have their positions as addresses.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "host side: positions are those of the space, addresses are bounded by the spans of files"
)]

use crate::diff::addresses::elf::{self, AARCH64, Elf, X86_64};
use crate::predict::{Mode, arm64, x86};

/// A piece of a space whose addresses follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Address of the first byte, less its position.
    pub(super) bias: u64,
    /// Address of what a pointer of 0 would point to.
    pub(super) pointer: u64,
    /// The instructions that it may hold; `None` if there is nothing to predict.
    pub(super) machine: Option<Mode>,
    /// Whether it holds instructions, as a file says or as it looks.
    pub(super) code: bool,
}

/// The regions of a space, in order, without gaps.
#[derive(Debug)]
pub(super) struct Layout {
    regions: Vec<Region>,
    /// No address of anything in the space is this or above.
    end: u64,
}

/// What memory a program may take behind the end of its image, for variables that begin as zeros.
const BEHIND: u64 = 64 << 20;

/// Files begin at multiples of this address, so that a page of one is no page of another.
const APART: u64 = 1 << 16;

impl Layout {
    pub(super) fn of(space: &[u8]) -> Self {
        let mut regions = Vec::new();
        let mut at = 0;
        let mut base = round_up(wide(space.len()));
        for elf in elf::find(space) {
            let machine = match elf.machine {
                AARCH64 => Mode::Arm64,
                X86_64 => Mode::X86,
                _ => continue,
            };
            base += place(space, &elf, machine, base, &mut at, &mut regions);
        }
        raw(space, at, space.len(), &mut regions);
        Self {
            regions,
            end: base + BEHIND,
        }
    }

    /// No address of anything in the space is this or above.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether there is anything to predict.
    pub(super) fn has_code(&self) -> bool {
        self.regions.iter().any(|region| region.code)
    }

    /// The region that the byte at `at` is in.
    pub(super) fn region(&self, at: usize) -> Option<Region> {
        let index = self.regions.partition_point(|region| region.end <= at);
        self.regions.get(index).copied()
    }
}

/// Adds the regions of a file and of what is before it; how many addresses it takes.
fn place(
    space: &[u8],
    elf: &Elf,
    machine: Mode,
    base: u64,
    at: &mut usize,
    regions: &mut Vec<Region>,
) -> u64 {
    let (low, high) = elf.span();
    let pointer = base.wrapping_sub(low);
    for segment in &elf.segments {
        let within = |offset: u64| usize::try_from(offset).ok()?.checked_add(elf.start);
        let (Some(start), Some(end)) = (
            within(segment.offset),
            within(segment.offset + segment.length),
        ) else {
            break;
        };
        let end = end.min(space.len());
        // A file in a file, or one that was cut off.
        if start < *at || start >= end {
            continue;
        }
        raw(space, *at, start, regions);
        regions.push(Region {
            start,
            end,
            bias: pointer
                .wrapping_add(segment.address)
                .wrapping_sub(wide(start)),
            pointer,
            machine: Some(machine),
            code: segment.executable,
        });
        *at = end;
    }
    round_up(high - low)
}

/// Bytes outside of files: code if enough of them looks like it.
fn raw(space: &[u8], start: usize, end: usize, regions: &mut Vec<Region>) {
    if start >= end {
        return;
    }
    let bytes = space.get(start..end).unwrap_or_default();
    let machine = looks_like(bytes);
    regions.push(Region {
        start,
        end,
        bias: 0,
        pointer: match machine {
            Some(_) => wide(start).wrapping_sub(link_address(bytes)),
            None => 0,
        },
        machine,
        code: machine.is_some(),
    });
}

/// Bytes that are judged on their own.
const SAMPLE: usize = 4096;

/// What instructions these bytes hold, if a part of 1 in 32 or more does.
fn looks_like(bytes: &[u8]) -> Option<Mode> {
    let length = wide(bytes.len());
    let inside = |at: usize, target: u64| wide(at).wrapping_add(target) < length;
    let (mut arm64, mut x86, mut all) = (0_usize, 0_usize, 0_usize);
    for (index, sample) in bytes.as_chunks::<SAMPLE>().0.iter().enumerate() {
        let start = index * SAMPLE;
        let words = sample.as_chunks::<4>().0.iter().enumerate();
        let calls = words.filter(|(at, word)| {
            let word = u32::from_le_bytes(**word);
            word & 0xfc00_0000 == 0x9400_0000
                && arm64::distance(word).is_some_and(|to| inside(start + at * 4, to))
        });
        let returns = sample.as_chunks::<4>().0.iter();
        let returns = returns.filter(|word| u32::from_le_bytes(**word) == 0xd65f_03c0);
        // A call in 32 instructions or so is usual, and chance makes one in 64 look like one that does not leave the image.
        arm64 += usize::from(calls.count() >= 24 && returns.count() >= 1);
        let near = sample.windows(5).enumerate().filter(|(at, code)| {
            let distance = code.last_chunk::<4>().copied().unwrap_or_default();
            code.first() == Some(&0xe8)
                && distance != [0; 4]
                && inside(start + at + 5, crate::predict::tables::extended(distance))
        });
        x86 += usize::from(near.count() >= 16 && x86::next(sample, 0).is_some());
        all += 1;
    }
    let enough = (all / 32).max(1);
    if arm64 >= enough && arm64 >= x86 {
        Some(Mode::Arm64)
    } else if x86 >= enough {
        Some(Mode::X86)
    } else {
        None
    }
}

/// The address that pointers take the first of these bytes to have: the lowest 2 MiB that one in 64 of what looks like
/// pointers points to.
fn link_address(bytes: &[u8]) -> u64 {
    const SHIFT: u32 = 21;
    let mut slots: Vec<u64> = bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .filter(|word| (0xffff_8000_0000_0000..0xffff_ffff_ff00_0000).contains(word))
        .map(|word| word >> SHIFT)
        .collect();
    slots.sort_unstable();
    let enough = (slots.len() / 64).max(1);
    let slot = slots
        .chunk_by(|a, b| a == b)
        .find(|run| run.len() >= enough);
    slot.and_then(|run| run.first())
        .map_or(0, |slot| slot << SHIFT)
}

fn round_up(address: u64) -> u64 {
    (address + APART - 1) & !(APART - 1)
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
