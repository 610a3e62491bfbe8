//! ELF files, wherever they stand in an image: which of their bytes are loaded to which addresses. Numbers are taken for what
//! they may be, lies: a file that makes no sense is left out. Fields: System V ABI, chapters 4 and 5.

/// First bytes of a 64-bit little-endian file of version 1.
const MARK: [u8; 7] = *b"\x7fELF\x02\x01\x01";
const LOAD: u32 = 1;
const EXECUTABLE: u32 = 1;
/// Longest span of addresses of one file that is believed.
const SPAN: u64 = 1 << 36;

/// Machines whose instructions are known.
pub(super) const X86_64: u16 = 62;
pub(super) const AARCH64: u16 = 183;

/// A file's loaded parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// Where it begins.
    pub(super) start: usize,
    pub(super) machine: u16,
    pub(super) segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where it begins in the file.
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) address: u64,
    pub(super) executable: bool,
}

impl Elf {
    /// The lowest address, in whole pages, and one behind the highest.
    pub(super) fn span(&self) -> (u64, u64) {
        let low = self.segments.iter().map(|segment| segment.address).min();
        let ends = self
            .segments
            .iter()
            .map(|segment| segment.address.saturating_add(segment.length));
        (low.unwrap_or(0) & !0xfff, ends.max().unwrap_or(0))
    }
}

/// All of them, in order.
pub(super) fn find(image: &[u8]) -> Vec<Elf> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr(image, from) {
        from = at.saturating_add(1);
        found.extend(image.get(at..).and_then(|file| read(file, at)));
    }
    found
}

/// Where the mark is next.
fn memchr(image: &[u8], from: usize) -> Option<usize> {
    let rest = image.get(from..)?;
    let at = rest.windows(MARK.len()).position(|bytes| bytes == MARK)?;
    from.checked_add(at)
}

fn read(file: &[u8], start: usize) -> Option<Elf> {
    let machine = u16_at(file, 18)?;
    let headers = usize::try_from(u64_at(file, 32)?).ok()?;
    let size = usize::from(u16_at(file, 54)?);
    let count = usize::from(u16_at(file, 56)?);
    if size < 56 || count > 64 {
        return None;
    }
    let mut segments = Vec::new();
    for index in 0..count {
        let at = headers.checked_add(index.checked_mul(size)?)?;
        let header = file.get(at..)?;
        let segment = Segment {
            offset: u64_at(header, 8)?,
            address: u64_at(header, 16)?,
            length: u64_at(header, 32)?,
            executable: u32_at(header, 4)? & EXECUTABLE != 0,
        };
        let inside = segment.offset.checked_add(segment.length)? <= SPAN;
        if u32_at(header, 0)? == LOAD && segment.length > 0 && inside {
            segment.address.checked_add(segment.length)?;
            segments.push(segment);
        }
    }
    segments.sort_by_key(|segment| segment.offset);
    let apart = segments.windows(2).all(|pair| match pair {
        [first, second] => first.offset.saturating_add(first.length) <= second.offset,
        _ => true,
    });
    let elf = Elf {
        start,
        machine,
        segments,
    };
    let (low, high) = elf.span();
    (apart && !elf.segments.is_empty() && high.saturating_sub(low) <= SPAN).then_some(elf)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    /// A file of two segments: what of it is loaded where, nothing else.
    fn file(machine: u16) -> Vec<u8> {
        let mut file = vec![0; 0x300];
        file[..7].copy_from_slice(&MARK);
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = 2;
        for (at, flags, offset, address) in [(64, 5, 0_u64, 0_u64), (120, 6, 0x200, 0x1_0200)] {
            file[at] = 1;
            file[at + 4] = flags;
            file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
            file[at + 16..at + 24].copy_from_slice(&address.to_le_bytes());
            let length = if offset == 0 { 0x200_u64 } else { 0x100 };
            file[at + 32..at + 40].copy_from_slice(&length.to_le_bytes());
        }
        file
    }

    #[test]
    fn files_are_found_anywhere() {
        let image = [&[1; 37], file(AARCH64).as_slice(), &MARK, &file(X86_64)].concat();
        let found = find(&image);
        let starts: Vec<_> = found.iter().map(|elf| (elf.start, elf.machine)).collect();
        assert_eq!(starts, [(37, AARCH64), (37 + 0x300 + 7, X86_64)]);
        assert_eq!(found[0].span(), (0, 0x1_0300));
        let code: Vec<_> = found[0].segments.iter().map(|s| s.executable).collect();
        assert_eq!(code, [true, false]);
    }

    #[test]
    fn nonsense_is_left_out() {
        let good = file(AARCH64);
        for at in 0..176 {
            for value in [0xff, 0x80, 1] {
                let mut bad = good.clone();
                bad[at] ^= value;
                // Whatever is found is sane.
                for elf in find(&bad) {
                    let (low, high) = elf.span();
                    assert!(high - low <= SPAN);
                }
            }
        }
        for end in 0..160 {
            assert_eq!(find(&good[..end]), [], "{end}");
        }
    }
}
