//! Instructions of x86-64 that name addresses by 32-bit distances: calls, jumps, and operands relative to the instruction pointer.
//! Instructions are not taken apart from the first on: what looks like one is taken for one. Encodings: Intel 64 and IA-32
//! Architectures Software Developer's Manual, volume 2, appendix A.

use crate::predict::Map;
use crate::predict::tables::{extended, shortened};

/// A distance: where it begins, and where the instruction ends from which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) at: usize,
    pub(crate) end: usize,
}

/// What looks like an instruction with a distance at the front of `bytes`.
pub(crate) fn field(bytes: &[u8]) -> Option<Field> {
    let plain = |at: usize| Field {
        at,
        end: at.saturating_add(4),
    };
    match *bytes {
        [0xe8 | 0xe9, ..] => Some(plain(1)),
        [0x0f, 0x80..=0x8f, ..] => Some(plain(2)),
        [0x0f, opcode, operand, ..] if is_relative(operand) => {
            Some(operand_at(3, two_byte(opcode)))
        }
        [0xc5, _, opcode, operand, ..] if is_relative(operand) => {
            Some(operand_at(4, two_byte(opcode)))
        }
        [opcode, operand, ..] if is_relative(operand) => {
            Some(operand_at(2, one_byte(opcode, operand)?))
        }
        _ => None,
    }
}

/// Whether a form can begin with these two bytes.
fn may_be(two: &[u8]) -> bool {
    match *two {
        [0xe8 | 0xe9 | 0x0f | 0xc5, ..] => true,
        [_, operand, ..] => is_relative(operand),
        _ => false,
    }
}

/// Whether an operand byte says: relative to the instruction pointer.
fn is_relative(operand: u8) -> bool {
    operand & 0xc7 == 5
}

fn operand_at(at: usize, immediate: usize) -> Field {
    Field {
        at,
        end: at.saturating_add(4).saturating_add(immediate),
    }
}

/// Bytes behind the operand, for opcodes that are common; `None` for others.
fn one_byte(opcode: u8, operand: u8) -> Option<usize> {
    match opcode {
        0x01 | 0x03 | 0x09 | 0x0b | 0x21 | 0x23 | 0x29 | 0x2b | 0x31 | 0x33 | 0x38..=0x3b => {
            Some(0)
        }
        0x63 | 0x84..=0x8b | 0x8d | 0xd1 | 0xfe | 0xff => Some(0),
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => Some(1),
        0x69 | 0x81 | 0xc7 => Some(4),
        0xf6 if operand & 0x38 == 0 => Some(1),
        0xf7 if operand & 0x38 == 0 => Some(4),
        0xf6 | 0xf7 => Some(0),
        _ => None,
    }
}

fn two_byte(opcode: u8) -> usize {
    match opcode {
        0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => 1,
        _ => 0,
    }
}

/// Where in `bytes` the next distance is that begins at `from` or behind.
pub(crate) fn next(bytes: &[u8], mut from: usize) -> Option<Field> {
    loop {
        let rest = bytes.get(from..)?;
        // Most bytes are none, which two of them tell.
        let dull = rest.windows(2).take_while(|two| !may_be(two)).count();
        from = from.saturating_add(dull);
        let rest = rest.get(dull..)?;
        if rest.len() < 5 {
            return None;
        }
        if let Some(found) = field(rest) {
            let field = Field {
                at: from.saturating_add(found.at),
                end: from.saturating_add(found.end),
            };
            if field.at.saturating_add(4) <= bytes.len() {
                return Some(field);
            }
        }
        from = from.saturating_add(1);
    }
}

/// Predicts instructions, the first byte at the addresses `old` and `new`.
pub(super) fn predict(piece: &mut [u8], old: u64, new: u64, map: &Map) {
    let mut from = 0;
    while let Some(field) = next(piece, from) {
        let behind = u64::try_from(field.end).unwrap_or(u64::MAX);
        from = field.at.saturating_add(1);
        let Some(distance) = piece
            .get_mut(field.at..)
            .and_then(<[u8]>::first_chunk_mut::<4>)
        else {
            return;
        };
        let target = old.wrapping_add(behind).wrapping_add(extended(*distance));
        let Some(target) = map.new_address(target) else {
            continue;
        };
        let changed = target.wrapping_sub(new.wrapping_add(behind));
        if let Some(changed) = shortened(changed) {
            *distance = changed;
            from = field.at.saturating_add(4);
        }
    }
}

#[cfg(all(test, feature = "diff"))]
mod tests {
    use super::*;
    use crate::predict::Piece;

    #[test]
    fn distances_follow_their_targets() {
        let piece = Piece {
            start: 0x1000,
            shift: 0x10,
        };
        let map = Map::new(vec![piece], 0x2000);
        // At address 0: call, jne, mov rax from memory, cmp of memory with a byte, a VEX load; each to 0x1000.
        let cases: [(&[u8], usize, u32); 5] = [
            (&[0xe8], 0, 0x0ffb),
            (&[0x0f, 0x85], 0, 0x0ffa),
            (&[0x48, 0x8b, 0x05], 0, 0x0ff9),
            (&[0x83, 0x3d], 1, 0x0ff9),
            (&[0xc5, 0xf8, 0x10, 0x05], 0, 0x0ff8),
        ];
        for (opcode, immediate, distance) in cases {
            let code = |distance: u32| {
                let mut code = [opcode, &distance.to_le_bytes()].concat();
                code.resize(code.len() + immediate, 0);
                code
            };
            let mut bytes = code(distance);
            predict(&mut bytes, 0, 0, &map);
            assert_eq!(bytes, code(distance + 0x10), "{opcode:x?}");
            // What the instruction stands in moved as well.
            let mut bytes = code(distance);
            predict(&mut bytes, 0, 0x10, &map);
            assert_eq!(bytes, code(distance), "{opcode:x?}");
        }
    }

    #[test]
    fn ends_are_no_trouble() {
        let map = Map::new(vec![Piece { start: 0, shift: 1 }], u64::MAX);
        for opcode in [0xe8, 0x0f, 0xc5, 0x81, 0x8b] {
            for length in 0..16 {
                let mut bytes = vec![opcode; length];
                bytes.extend([0x05, opcode]);
                predict(&mut bytes, u64::MAX, u64::MAX - 3, &map);
            }
        }
    }
}
