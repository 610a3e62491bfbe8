//! Numbers of the control stream: little-endian base 128, the high bit says that more follows, always
//! in the shortest form, so that a control stream can be written in one way only.

use crate::error::FrameFault;
use crate::format::frame::Fault;

/// Most bytes that a 64-bit number takes up.
const LONGEST: usize = 10;

/// Takes a number off the front of `bytes`; `None` if it is cut off, above 64 bits or not in shortest form.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    for (index, byte) in bytes.iter().enumerate().take(LONGEST) {
        let digit = u64::from(byte & 0x7f);
        let part = digit.checked_shl(shift)?;
        if part >> shift != digit {
            return None;
        }
        value |= part;
        if byte & 0x80 == 0 {
            if digit == 0 && index != 0 {
                return None;
            }
            *bytes = bytes.get(index.checked_add(1)?..)?;
            return Some(value);
        }
        shift = shift.checked_add(7)?;
    }
    None
}

/// Takes a number off the front of `bytes`, what is left of `total` bytes of `part`.
pub(crate) fn number(bytes: &mut &[u8], total: usize, part: &'static str) -> Fault<u64> {
    let left = bytes.len();
    take(bytes).ok_or_else(|| FrameFault::Number {
        part,
        at: u64::try_from(total.saturating_sub(left)).unwrap_or(u64::MAX),
    })
}

/// Appends `value` to `to`.
#[cfg(any(feature = "diff", feature = "xz", test))]
pub(crate) fn put(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        to.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    to.push(low);
}

/// Folds a signed number so that small ones of either sign are short.
#[cfg(any(feature = "diff", test))]
pub(crate) fn fold(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// Undoes [`fold`].
pub(crate) fn unfold(value: u64) -> i64 {
    // The sign bit spread over all bits, or none: never overflows.
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            bytes.push(0xaa);
            let mut rest = bytes.as_slice();
            assert_eq!(take(&mut rest), Some(value));
            assert_eq!(rest, [0xaa]);
        }
        for value in [0, 1, -1, i64::MIN, i64::MAX] {
            assert_eq!(unfold(fold(value)), value);
        }
    }

    #[test]
    fn malformed_numbers_are_refused() {
        let cases: [(&str, &[u8]); 5] = [
            ("nothing", &[]),
            ("cut off", &[0x80]),
            ("not the shortest form", &[0x80, 0x00]),
            (
                "65 bits",
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            ),
            (
                "eleven bytes",
                &[
                    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
                ],
            ),
        ];
        for (name, bytes) in cases {
            assert_eq!(take(&mut { bytes }), None, "{name}");
        }
    }
}
