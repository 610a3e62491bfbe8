//! The control stream of a frame: a list of entries, kept as columns because numbers of a kind compress better together.
//!
//! ```text
//! count, count * copy length, count * extra length, count * move
//! ```
//!
//! An entry copies `copy length` bytes from the old image, adds as many bytes of the add stream to
//! them, and then appends `extra length` bytes of the extra stream. `move` is the signed distance
//! from the end of the entry before it (from 0 for the first) to where its copy begins.

use crate::error::FrameFault;
use crate::format::frame::Fault;
use crate::format::varint;

/// One entry, its old offset absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) copy: u64,
    pub(crate) extra: u64,
    /// Where the copy begins. Meaningless, but carried on, if nothing is copied.
    pub(crate) old_offset: u64,
}

/// Reads the entries of a decoded control stream one by one: none of them is stored.
pub(crate) struct Entries<'a> {
    total: usize,
    copies: &'a [u8],
    extras: &'a [u8],
    moves: &'a [u8],
    left: u64,
    index: u64,
    old_end: u64,
    old_length: u64,
}

impl<'a> Entries<'a> {
    /// Finds the columns. `old_length` bounds every copy.
    pub(crate) fn parse(control: &'a [u8], old_length: u64) -> Fault<Self> {
        let mut rest = control;
        let count = number(&mut rest, control.len())?;
        let copies = rest;
        skip(&mut rest, count, control.len())?;
        let extras = rest;
        skip(&mut rest, count, control.len())?;
        let total = control.len();
        Ok(Self {
            total,
            copies,
            extras,
            moves: rest,
            left: count,
            index: 0,
            old_end: 0,
            old_length,
        })
    }

    /// The next entry, its copy proven to lie inside of the old image; `None` behind the last.
    pub(crate) fn next(&mut self) -> Fault<Option<Entry>> {
        let Some(left) = self.left.checked_sub(1) else {
            return match self.moves.len() {
                0 => Ok(None),
                found => {
                    let found = u64::try_from(found).unwrap_or(u64::MAX);
                    Err(FrameFault::LeftOver {
                        part: "control stream",
                        found,
                    })
                }
            };
        };
        self.left = left;
        let copy = number(&mut self.copies, self.total)?;
        let extra = number(&mut self.extras, self.total)?;
        let distance = varint::unfold(number(&mut self.moves, self.total)?);
        if copy == 0 && extra == 0 {
            return Err(FrameFault::EmptyEntry { entry: self.index });
        }
        let outside = |offset| FrameFault::Outside {
            offset,
            length: copy,
            old_length: self.old_length,
        };
        let old_offset = self
            .old_end
            .checked_add_signed(distance)
            .ok_or_else(|| outside(self.old_end))?;
        let end = old_offset
            .checked_add(copy)
            .ok_or_else(|| outside(old_offset))?;
        if end > self.old_length {
            return Err(outside(old_offset));
        }
        self.old_end = end;
        self.index = self.index.saturating_add(1);
        Ok(Some(Entry {
            copy,
            extra,
            old_offset,
        }))
    }
}

/// The control stream of `entries`.
#[cfg(any(feature = "diff", test))]
pub(crate) fn emit(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, u64::try_from(entries.len()).unwrap_or(u64::MAX));
    entries
        .iter()
        .for_each(|entry| varint::put(&mut bytes, entry.copy));
    entries
        .iter()
        .for_each(|entry| varint::put(&mut bytes, entry.extra));
    let mut old_end = 0_u64;
    for entry in entries {
        // Offsets are below 2^63, so their difference fits; wrapping only says so without a branch.
        let distance = entry.old_offset.wrapping_sub(old_end).cast_signed();
        varint::put(&mut bytes, varint::fold(distance));
        old_end = entry.old_offset.saturating_add(entry.copy);
    }
    bytes
}

/// `moves` reaches to the end, the other columns are bounded by it: a position to look at.
fn number(bytes: &mut &[u8], total: usize) -> Fault<u64> {
    varint::number(bytes, total, "control stream")
}

/// Steps over `count` numbers. Ends at the end of the bytes, however large `count` is.
fn skip(bytes: &mut &[u8], count: u64, total: usize) -> Fault<()> {
    for _ in 0..count {
        number(bytes, total)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back() {
        let entries = [
            Entry {
                copy: 5,
                extra: 0,
                old_offset: 90,
            },
            Entry {
                copy: 0,
                extra: 7,
                old_offset: 95,
            },
            Entry {
                copy: 95,
                extra: 1,
                old_offset: 0,
            },
        ];
        let control = emit(&entries);
        let mut back = Entries::parse(&control, 95).unwrap();
        for entry in entries {
            assert_eq!(back.next().unwrap(), Some(entry));
        }
        assert_eq!(back.next().unwrap(), None);
    }

    #[test]
    fn lies_are_refused() {
        let far = Entry {
            copy: 2,
            extra: 0,
            old_offset: 9,
        };
        let wraps = Entry {
            copy: u64::MAX,
            extra: 0,
            old_offset: 9,
        };
        let empty = Entry {
            copy: 0,
            extra: 0,
            old_offset: 0,
        };
        for entry in [far, wraps, empty] {
            let control = emit(&[entry]);
            Entries::parse(&control, 10).unwrap().next().unwrap_err();
        }
        // More entries than there are bytes for.
        let mut endless = Vec::new();
        varint::put(&mut endless, u64::MAX);
        assert!(Entries::parse(&endless, 10).is_err());
    }
}
