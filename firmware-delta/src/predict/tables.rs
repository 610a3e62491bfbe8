//! Tables of addresses: distances and pointers, aligned to their own size by address.

use crate::predict::{Bias, Map};

/// Calls `change` with each aligned word of `piece`, whose first byte has the address `from`, and with its address.
fn words<const N: usize>(piece: &mut [u8], from: u64, mut change: impl FnMut(&mut [u8; N], u64)) {
    let size = u64::try_from(N).unwrap_or(1);
    let skip = from.wrapping_neg().checked_rem(size).unwrap_or(0);
    let mut at = from.wrapping_add(skip);
    let aligned = usize::try_from(skip)
        .ok()
        .and_then(|skip| piece.get_mut(skip..));
    for word in aligned.unwrap_or_default().as_chunks_mut::<N>().0 {
        change(word, at);
        at = at.wrapping_add(size);
    }
}

/// A signed 32-bit number as a 64-bit one.
pub(crate) fn extended(word: [u8; 4]) -> u64 {
    i64::from(i32::from_le_bytes(word)).cast_unsigned()
}

/// The same back; `None` if it does not fit.
pub(crate) fn shortened(value: u64) -> Option<[u8; 4]> {
    i32::try_from(value.cast_signed())
        .ok()
        .map(i32::to_le_bytes)
}

/// Distances to where they stand.
pub(super) fn relative32(piece: &mut [u8], old: u64, new: u64, map: &Map) {
    let shift = new.wrapping_sub(old);
    words(piece, old, |word, at| {
        let target = map.new_address(at.wrapping_add(extended(*word)));
        let distance = target.map(|target| target.wrapping_sub(at.wrapping_add(shift)));
        if let Some(changed) = distance.and_then(shortened) {
            *word = changed;
        }
    });
}

/// 64-bit pointers.
pub(super) fn absolute64(piece: &mut [u8], old: u64, bias: &Bias, map: &Map) {
    words(piece, old, |word, _| {
        let old = u64::from_le_bytes(*word).wrapping_add(bias.old_pointer);
        if let Some(target) = map.new_address(old) {
            *word = target.wrapping_sub(bias.new_pointer).to_le_bytes();
        }
    });
}

/// Signed 32-bit pointers.
pub(super) fn absolute32(piece: &mut [u8], old: u64, bias: &Bias, map: &Map) {
    words(piece, old, |word, _| {
        let target = map.new_address(extended(*word).wrapping_add(bias.old_pointer));
        let pointer = target.map(|target| target.wrapping_sub(bias.new_pointer));
        if let Some(changed) = pointer.and_then(shortened) {
            *word = changed;
        }
    });
}

#[cfg(all(test, feature = "diff"))]
mod tests {
    use super::*;
    use crate::predict::Piece;

    /// What was from 0x1000 on is 0x10 further.
    fn map() -> Map {
        let piece = Piece {
            start: 0x1000,
            shift: 0x10,
        };
        Map::new(vec![piece], 0x2000)
    }

    #[test]
    fn distances_and_pointers_follow() {
        // At address 0x0ffe: two bytes before the first aligned word.
        let mut piece = [0, 0, 4, 0, 0, 0, 0, 0xf0, 0xff, 0xff];
        relative32(&mut piece, 0x0ffe, 0x0ffe + 8, &map());
        // From 0x1000 to 0x1004; now from 0x1008 to 0x1014. The other goes to where nothing is known.
        assert_eq!(piece, [0, 0, 12, 0, 0, 0, 0, 0xf0, 0xff, 0xff]);
        let bias = Bias {
            old_pointer: 0x1000_u64.wrapping_sub(0xffff_0000_0000_0000),
            new_pointer: 0x1000_u64.wrapping_sub(0xffff_0000_0000_0100),
            ..Bias::default()
        };
        let mut piece = 0xffff_0000_0000_0008_u64.to_le_bytes();
        absolute64(&mut piece, 8, &bias, &map());
        assert_eq!(u64::from_le_bytes(piece), 0xffff_0000_0000_0118);
        let bias = Bias {
            old_pointer: 0x1000,
            new_pointer: 0x1000,
            ..Bias::default()
        };
        let mut piece = 8_i32.to_le_bytes();
        absolute32(&mut piece, 8, &bias, &map());
        assert_eq!(i32::from_le_bytes(piece), 0x18);
    }
}
