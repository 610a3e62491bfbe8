//! Instructions of 64-bit Arm that name addresses: branches, `ADR`, literals, and `ADRP` with the additions and memory accesses that
//! use the page it makes. Encodings: Arm Architecture Reference Manual (DDI 0487), C4.1 and C6.2.

use crate::predict::Map;

/// Instructions behind an `ADRP` among which the one that completes the address is looked for.
const AHEAD: usize = 8;

/// Where the distance of a branch or literal is: its lowest bit, and how many bits there are. It counts words.
fn distance_bits(word: u32) -> Option<(u32, u32)> {
    let is = |mask: u32, value: u32| word & mask == value;
    if is(0x7c00_0000, 0x1400_0000) {
        Some((0, 26)) // B, BL
    } else if is(0xff00_0010, 0x5400_0000)
        || is(0x7e00_0000, 0x3400_0000)
        || is(0x3b00_0000, 0x1800_0000)
    {
        Some((5, 19)) // B.cond; CBZ, CBNZ; LDR of a literal
    } else if is(0x7e00_0000, 0x3600_0000) {
        Some((5, 14)) // TBZ, TBNZ
    } else {
        None
    }
}

/// The number in the lowest `bits` bits of `raw`, signed.
fn signed(raw: u32, bits: u32) -> u64 {
    let unused = 64_u32.saturating_sub(bits);
    let high = u64::from(raw).wrapping_shl(unused).cast_signed();
    high.wrapping_shr(unused).cast_unsigned()
}

/// The lowest `bits` bits of `value`, if they are all there is to it.
fn fits(value: u64, bits: u32) -> Option<u32> {
    let mask = 1_u32.wrapping_shl(bits).wrapping_sub(1);
    let [a, b, c, d, ..] = value.to_le_bytes();
    let raw = u32::from_le_bytes([a, b, c, d]) & mask;
    (signed(raw, bits) == value).then_some(raw)
}

/// How far a branch, a literal or an `ADR` reaches.
pub(crate) fn distance(word: u32) -> Option<u64> {
    if word & 0x9f00_0000 == 0x1000_0000 {
        return Some(split_distance(word));
    }
    let (low, bits) = distance_bits(word)?;
    let mask = 1_u32.wrapping_shl(bits).wrapping_sub(1);
    Some(signed(word.wrapping_shr(low) & mask, bits) << 2)
}

fn with_distance(word: u32, distance: u64) -> Option<u32> {
    if word & 0x9f00_0000 == 0x1000_0000 {
        return with_split_distance(word, distance);
    }
    let (low, bits) = distance_bits(word)?;
    if distance & 3 != 0 {
        return None;
    }
    let raw = fits((distance.cast_signed() >> 2).cast_unsigned(), bits)?;
    let mask = 1_u32.wrapping_shl(bits).wrapping_sub(1).wrapping_shl(low);
    Some(word & !mask | raw.wrapping_shl(low))
}

/// The distance of `ADR` in bytes, of `ADRP` in pages.
fn split_distance(word: u32) -> u64 {
    signed((word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3, 21)
}

fn with_split_distance(word: u32, distance: u64) -> Option<u32> {
    let raw = fits(distance, 21)?;
    Some(word & 0x9f00_001f | (raw & 3) << 29 | (raw >> 2) << 5)
}

/// The page that an `ADRP` at `at` makes.
pub(crate) fn page(word: u32, at: u64) -> Option<u64> {
    let is_page = word & 0x9f00_0000 == 0x9000_0000;
    is_page.then(|| (at & !0xfff).wrapping_add(split_distance(word) << 12))
}

/// What adds a number below a page to a register: the register, the number, and by how many bits the field that holds it is scaled.
pub(crate) struct Low {
    register: u32,
    pub(crate) value: u64,
    scale: u32,
}

pub(crate) fn low(word: u32) -> Option<Low> {
    let scale = if word & 0xffc0_0000 == 0x9100_0000 {
        0 // ADD of a number to a 64-bit register
    } else if word & 0x3b00_0000 == 0x3900_0000 {
        // A load or store with a scaled offset: its size, but for 128 bits.
        match (word >> 30, word & 0x0480_0000 == 0x0480_0000) {
            (0, true) => 4,
            (size, _) => size,
        }
    } else {
        return None;
    };
    Some(Low {
        register: word >> 5 & 31,
        value: u64::from(word >> 10 & 0xfff).wrapping_shl(scale),
        scale,
    })
}

fn with_low(word: u32, low: &Low, value: u64) -> Option<u32> {
    let value = value & 0xfff;
    let raw = value.wrapping_shr(low.scale);
    let raw = u32::try_from(raw).ok()?;
    let whole = u64::from(raw).wrapping_shl(low.scale) == value;
    whole.then_some(word & !(0xfff << 10) | raw << 10)
}

/// The instruction that completes the address of the `ADRP` before `behind`: how many words behind, and what it adds.
pub(crate) fn completion(adrp: u32, behind: &[[u8; 4]]) -> Option<(usize, Low)> {
    for (index, word) in behind.iter().take(AHEAD).enumerate() {
        let word = u32::from_le_bytes(*word);
        if let Some(low) = low(word).filter(|low| low.register == adrp & 31) {
            return Some((index, low));
        }
        // Another value for the register, or the end of what runs in a row.
        if word & 31 == adrp & 31 || is_call(word) {
            return None;
        }
    }
    None
}

/// `BL` and `BLR`, behind which no register of the caller holds a page.
fn is_call(word: u32) -> bool {
    word & 0xfc00_0000 == 0x9400_0000 || word & 0xffff_fc1f == 0xd63f_0000
}

/// The words of `piece` from the first that is aligned by address; `None` if what is aligned in the old image is not in the new one.
pub(crate) fn aligned(piece: &[u8], old: u64, new: u64) -> Option<(usize, u64, u64)> {
    let skip = old.wrapping_neg() & 3;
    let start = usize::try_from(skip).ok()?;
    let fits = (old ^ new) & 3 == 0 && start <= piece.len();
    fits.then(|| (start, old.wrapping_add(skip), new.wrapping_add(skip)))
}

/// Predicts instructions, the first at the addresses `old` and `new`.
pub(super) fn predict(piece: &mut [u8], old: u64, new: u64, map: &Map) {
    let Some((start, mut old, mut new)) = aligned(piece, old, new) else {
        return;
    };
    let rest = piece.get_mut(start..).unwrap_or_default();
    let mut words = rest.as_chunks_mut::<4>().0;
    let mut pages = Pages::default();
    while let Some((first, behind)) = words.split_first_mut() {
        let word = u32::from_le_bytes(*first);
        let changed = if let Some(page) = page(word, old) {
            let completed = completion(word, behind);
            let full = page.wrapping_add(completed.map_or(0, |(_, low)| low.value));
            pages.set(word, Some(page));
            map.new_address(full).and_then(|target| {
                let pages = (target >> 12).wrapping_sub(new >> 12);
                with_split_distance(word, signed_pages(pages))
            })
        } else if let Some(distance) = distance(word) {
            if is_call(word) {
                pages.held = 0;
            }
            map.new_address(old.wrapping_add(distance))
                .and_then(|target| with_distance(word, target.wrapping_sub(new)))
        } else {
            let low = low(word);
            let page = low.as_ref().and_then(|low| pages.of(low.register));
            if is_call(word) {
                pages.held = 0;
            }
            pages.set(word, None);
            low.zip(page).and_then(|(low, page)| {
                let target = map.new_address(page.wrapping_add(low.value))?;
                with_low(word, &low, target)
            })
        };
        if let Some(changed) = changed {
            *first = changed.to_le_bytes();
        }
        old = old.wrapping_add(4);
        new = new.wrapping_add(4);
        words = behind;
    }
}

/// A difference of page numbers, of 52 bits each, as a signed number.
fn signed_pages(pages: u64) -> u64 {
    ((pages << 12).cast_signed() >> 12).cast_unsigned()
}

/// The old page that each register holds, where its bit is set.
#[derive(Default)]
struct Pages {
    held: u32,
    pages: [u64; 32],
}

impl Pages {
    fn of(&self, register: u32) -> Option<u64> {
        let held = self.held.wrapping_shr(register) & 1 != 0;
        let index = usize::try_from(register & 31).ok()?;
        self.pages.get(index).copied().filter(|_| held)
    }

    /// What the register that `word` writes to holds from now on.
    fn set(&mut self, word: u32, page: Option<u64>) {
        let bit = 1_u32.wrapping_shl(word & 31);
        self.held &= !bit;
        let index = usize::try_from(word & 31).unwrap_or(0);
        if let (Some(page), Some(place)) = (page, self.pages.get_mut(index)) {
            self.held |= bit;
            *place = page;
        }
    }
}
#[cfg(all(test, feature = "diff"))]
mod tests {
    use super::*;
    use crate::predict::Piece;

    /// What was from 0x1_0000 on is 0x1008 further.
    fn map() -> Map {
        let piece = Piece {
            start: 0x1_0000,
            shift: 0x1008,
        };
        Map::new(vec![piece], 0x10_0000)
    }

    fn predicted(words: &[u32], old: u64, new: u64) -> Vec<u32> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        predict(&mut bytes, old, new, &map());
        let chunks = bytes.as_chunks::<4>().0;
        chunks
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect()
    }

    #[test]
    fn branches_follow_their_targets() {
        // bl, b.eq, cbz x0, tbz w0 #0, ldr x0 literal, adr x0: each from 0x8000 to 0x10000, but for tbz, which is too far.
        let cases = [
            (0x9400_2000, 0x9400_2402),
            (0x5404_0000, 0x5404_8040),
            (0xb404_0000, 0xb404_8040),
            (0x5804_0000, 0x5804_8040),
            (0x1004_0000, 0x1004_8040),
        ];
        for (old, new) in cases {
            assert_eq!(predicted(&[old], 0x8000, 0x8000), [new], "{old:x}");
            // Where the branch stands moves too.
            assert_eq!(predicted(&[old], 0x8000, 0x9008), [old], "{old:x}");
            // Not known, not aligned.
            assert_eq!(predicted(&[old], 0x20, 0x28), [old], "{old:x}");
            assert_eq!(predicted(&[old], 0x8000, 0x8002), [old], "{old:x}");
        }
        // tbz w0, #0: from 0xf000 to 0x10000; with 0x1008 more it just fits.
        assert_eq!(predicted(&[0x3600_8000], 0xf000, 0xf000), [0x3601_0040]);
        // From 0x0fffc to 0x17ff8: too far with 0x1008 more, and left alone.
        assert_eq!(predicted(&[0x3603_ffe0], 0xfffc, 0xfffc), [0x3603_ffe0]);
    }

    #[test]
    fn pages_follow_with_what_completes_them() {
        // adrp x1, 0x10000; add x1, x1, #0xff8; ldr x2, [x1, #8]
        let old = [0x9000_0001 | 2 << 5, 0x913f_e021, 0xf940_0422];
        let old = [with_split_distance(old[0], 8).unwrap(), old[1], old[2]];
        let new = predicted(&old, 0x8000, 0x8000);
        // 0x10ff8 is at 0x12000: another page, and nothing to add. x1 no longer holds a page then.
        assert_eq!(page(new[0], 0x8000), Some(0x1_2000));
        assert_eq!(new[1..], [0x9100_0021, 0xf940_0422]);
        // ldr x0, [x1, #0x10] at once: the page, and 0x18 in words of 8.
        let old = [old[0], 0xf940_0820];
        let new = predicted(&old, 0x8000, 0x8000);
        assert_eq!(page(new[0], 0x8000), Some(0x1_1000));
        assert_eq!(new[1], 0xf940_0c20);
    }
}
