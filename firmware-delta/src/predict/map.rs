//! The map of addresses: a step function from where something was to where it is.
//!
//! ```text
//! count, count * gap, count * signed change of the shift, length of the last piece
//! ```

use crate::error::FrameFault;
use crate::format::frame::Fault;
use crate::format::varint;
use crate::predict::steps::Steps;

/// Bytes of frame output per piece of the map: so a map takes no more memory than a frame.
const PER_PIECE: u32 = 16;

/// Most pieces of a map with this frame output.
pub(crate) fn most_pieces(frame_output: u32) -> u32 {
    frame_output / PER_PIECE
}

/// From this old address on, up to the next piece, new addresses are `shift` further, modulo 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) shift: u64,
}

/// The pieces in order of their starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    pieces: Vec<Piece>,
    steps: Steps,
    /// Where the last one ends.
    end: u64,
}

impl Map {
    /// Reads a decoded map of at most `most` pieces.
    pub(crate) fn parse(bytes: &[u8], most: u32) -> Fault<Self> {
        let mut rest = bytes;
        let total = bytes.len();
        let count = number(&mut rest, total)?;
        // Two numbers per piece have to follow: so nothing is allocated that is not there.
        let room = u64::try_from(rest.len() / 2).unwrap_or(u64::MAX);
        let most = u64::from(most).min(room);
        if count == 0 || count > most {
            return Err(FrameFault::Length {
                field: "number of the map's pieces",
                expected: most,
                found: count,
            });
        }
        let mut pieces = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut start = 0_u64;
        for _ in 0..count {
            let gap = number(&mut rest, total)?;
            start = further(start, gap)?;
            pieces.push(Piece { start, shift: 0 });
        }
        let mut shift = 0_u64;
        for piece in &mut pieces {
            let change = varint::unfold(number(&mut rest, total)?);
            shift = shift.wrapping_add_signed(change);
            piece.shift = shift;
        }
        let end = further(start, number(&mut rest, total)?)?;
        match rest.len() {
            0 => Ok(Self::of(pieces, end)),
            found => Err(FrameFault::LeftOver {
                part: "map",
                found: u64::try_from(found).unwrap_or(u64::MAX),
            }),
        }
    }

    /// A map of pieces in order, each start once.
    #[cfg(feature = "diff")]
    pub(crate) fn new(pieces: Vec<Piece>, end: u64) -> Self {
        Self::of(pieces, end)
    }

    fn of(pieces: Vec<Piece>, end: u64) -> Self {
        let steps = Steps::of(&pieces);
        Self { pieces, steps, end }
    }

    /// The bytes that [`Self::parse`] reads.
    #[cfg(feature = "diff")]
    pub(crate) fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let count = u64::try_from(self.pieces.len()).unwrap_or(u64::MAX);
        varint::put(&mut bytes, count);
        let mut start = 0_u64;
        for piece in &self.pieces {
            varint::put(&mut bytes, piece.start.saturating_sub(start));
            start = piece.start;
        }
        let mut shift = 0_u64;
        for piece in &self.pieces {
            let change = piece.shift.wrapping_sub(shift).cast_signed();
            varint::put(&mut bytes, varint::fold(change));
            shift = piece.shift;
        }
        varint::put(&mut bytes, self.end.saturating_sub(start));
        bytes
    }

    /// How many pieces it has.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Where that which was at `old` is; `None` outside of the map.
    pub(crate) fn new_address(&self, old: u64) -> Option<u64> {
        if old >= self.end {
            return None;
        }
        let near = self.steps.near(old);
        let skipped = near.start;
        let near = self.pieces.get(near)?;
        let behind = near.partition_point(|piece| piece.start <= old);
        let piece = self
            .pieces
            .get(skipped.saturating_add(behind).checked_sub(1)?)?;
        Some(old.wrapping_add(piece.shift))
    }
}

/// An address further on. Two pieces may not begin at the same one, but for the first at 0.
fn further(from: u64, gap: u64) -> Fault<u64> {
    from.checked_add(gap).ok_or(FrameFault::Length {
        field: "address of the map",
        expected: u64::MAX.saturating_sub(from),
        found: gap,
    })
}

fn number(bytes: &mut &[u8], total: usize) -> Fault<u64> {
    varint::number(bytes, total, "map")
}

#[cfg(all(test, feature = "diff"))]
mod tests {
    use super::*;

    fn map() -> Map {
        let piece = |(start, shift): (u64, i64)| Piece {
            start,
            shift: shift.cast_unsigned(),
        };
        let pieces = [(10, 5), (20, -7), (1 << 40, 1 << 50)].map(piece);
        Map::of(pieces.to_vec(), 1 << 41)
    }

    #[test]
    fn addresses_move_with_their_piece() {
        let bytes = map().emit();
        let map = Map::parse(&bytes, 3).unwrap();
        assert_eq!(map.len(), 3);
        let cases = [
            (9, None),
            (10, Some(15)),
            (19, Some(24)),
            (20, Some(13)),
            ((1 << 40) + 1, Some((1 << 40) + (1 << 50) + 1)),
            (1 << 41, None),
            (u64::MAX, None),
        ];
        for (old, new) in cases {
            assert_eq!(map.new_address(old), new, "{old}");
        }
    }

    #[test]
    fn steps_find_what_a_search_of_all_finds() {
        let starts: [&[u64]; 5] = [
            &[0],
            &[7, 8, 9, 10, u64::MAX - 1],
            &[0, 0, 5, 1 << 20, (1 << 20) + 1, (1 << 20) + 4096, 1 << 30],
            &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
            &[1000, 2000, 3000, 4000, 5000],
        ];
        let many: Vec<u64> = (0..100)
            .map(|at: u64| if at < 97 { at * at } else { at << 50 })
            .collect();
        let starts = starts.into_iter().chain([many.as_slice()]);
        for starts in starts {
            let pieces: Vec<_> = (0..)
                .zip(starts)
                .map(|(shift, start)| Piece {
                    start: *start,
                    shift,
                })
                .collect();
            let map = Map::of(pieces.clone(), u64::MAX);
            let near = |start: &u64| [start.saturating_sub(1), *start, start.saturating_add(1)];
            for old in starts.iter().flat_map(near).filter(|old| *old < u64::MAX) {
                let last = pieces.iter().rfind(|piece| piece.start <= old);
                let expected = last.map(|piece| old.wrapping_add(piece.shift));
                assert_eq!(map.new_address(old), expected, "{old} by {starts:?}");
            }
        }
    }

    #[test]
    fn lies_are_refused() {
        let bytes = map().emit();
        assert!(Map::parse(&bytes, 2).is_err(), "too many pieces");
        for end in 0..bytes.len() {
            assert!(Map::parse(&bytes[..end], 3).is_err(), "cut at {end}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Map::parse(&longer, 3).is_err(), "left over");
        let mut endless = Vec::new();
        varint::put(&mut endless, u64::MAX);
        assert!(Map::parse(&endless, u32::MAX).is_err(), "endless");
        let mut wraps = vec![2];
        for gap in [u64::MAX, 1, 0, 0, 0] {
            varint::put(&mut wraps, gap);
        }
        assert!(Map::parse(&wraps, 3).is_err(), "wraps");
    }
}
