//! The packed blocks of a squashfs image (version 4): those of files, of fragments, and of the tables. Every number
//! is taken for what it may be, a lie: blocks outside of the image are left out, and so is what follows a table that
//! makes no sense.

use std::collections::BTreeMap;

use crate::blocks::{BlockCodec, Unpacker};
use crate::diff::container::find::Found;

/// Most bytes that a block of a table unpacks to.
const TABLE_BLOCK: usize = 8192;
/// Bit of a file's block that is stored as it is.
const STORED_BLOCK: u32 = 1 << 24;
/// Bit of a table's block that is stored as it is.
const STORED_TABLE: u16 = 1 << 15;
const NOT_THERE: u64 = u64::MAX;

/// All of them; `None` if `image` is not squashfs, or of a kind that is not taken apart.
pub(super) fn blocks(image: &[u8]) -> Option<Vec<Found>> {
    if !image.starts_with(b"hsqs") || u16_at(image, 28)? != 4 {
        return None;
    }
    let codec = match u16_at(image, 20)? {
        1 => BlockCodec::Zlib,
        4 => BlockCodec::Xz,
        6 => BlockCodec::Zstd,
        _ => return None,
    };
    let block_size = usize::try_from(u32_at(image, 12)?).ok()?;
    let mut finder = Finder {
        image,
        codec,
        block_size,
        unpacker: Unpacker::default(),
        found: BTreeMap::new(),
    };
    finder.tables();
    let block = |(offset, (packed, most)): (usize, (usize, usize))| Found {
        offset,
        packed,
        most,
        codec,
    };
    Some(finder.found.into_iter().map(block).collect())
}

struct Finder<'a> {
    image: &'a [u8],
    codec: BlockCodec,
    block_size: usize,
    unpacker: Unpacker,
    /// By offset: packed length, and most bytes that it unpacks to. Equal files share blocks.
    found: BTreeMap<usize, (usize, usize)>,
}

impl Finder<'_> {
    fn tables(&mut self) {
        let at = |field| u64_at(self.image, field).filter(|at| *at != NOT_THERE);
        let (ids, xattrs) = (at(48), at(56));
        let (inodes, directories) = (at(64), at(72));
        let (fragments, exports) = (at(80), at(88));
        let count = |field| u32_at(self.image, field).map_or(0, u64::from);
        let inode_count = count(4);
        let fragment_count = count(16);
        let id_count = u16_at(self.image, 26).map_or(0, u64::from);
        let (Some(inodes), Some(directories)) = (inodes, directories) else {
            return;
        };
        // Tables behind a list of where their blocks are.
        let fragment_list = self.list(fragments, fragment_count.saturating_mul(16));
        let fragment_table = self.listed(&fragment_list);
        let export_list = self.list(exports, inode_count.saturating_mul(8));
        let _ = self.listed(&export_list);
        let id_list = self.list(ids, id_count.saturating_mul(4));
        let _ = self.listed(&id_list);
        // The directories end where the first of these begins.
        let xattr_start = xattrs.and_then(|at| u64_at(self.image, usize::try_from(at).ok()?));
        let next = [&fragment_list, &export_list, &id_list]
            .into_iter()
            .filter_map(|list| list.first().copied())
            .chain(xattr_start)
            .filter(|start| *start > directories)
            .min();
        let inode_table = self.chain(inodes, directories);
        if let Some(end) = next {
            let _ = self.chain(directories, end);
        }
        if let (Some(start), Some(end)) = (xattr_start, xattrs) {
            let _ = self.chain(start, end);
        }
        self.fragments(&fragment_table);
        let _ = self.files(&inode_table);
    }

    /// The block positions of a table of `bytes` bytes, whose list stands at `at`.
    fn list(&self, at: Option<u64>, bytes: u64) -> Vec<u64> {
        let blocks = usize::try_from(bytes.div_ceil(8192)).unwrap_or(usize::MAX);
        let start = at.and_then(|at| usize::try_from(at).ok());
        let list = start.and_then(|start| self.image.get(start..));
        let (numbers, _) = list.unwrap_or_default().as_chunks::<8>();
        numbers
            .iter()
            .take(blocks)
            .map(|number| u64::from_le_bytes(*number))
            .collect()
    }

    fn listed(&mut self, list: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for at in list {
            let _ = self.table_block(*at, &mut bytes);
        }
        bytes
    }

    /// Table blocks that follow each other, unpacked.
    fn chain(&mut self, mut at: u64, end: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while at < end {
            match self.table_block(at, &mut bytes) {
                Some(behind) => at = behind,
                None => break,
            }
        }
        bytes
    }

    /// Appends the content of the table block whose head is at `at`; where the next head is.
    fn table_block(&mut self, at: u64, to: &mut Vec<u8>) -> Option<u64> {
        let head = usize::try_from(at).ok()?;
        let size = u16_at(self.image, head)?;
        let packed = usize::from(size & !STORED_TABLE);
        let offset = head.checked_add(2)?;
        let bytes = self.image.get(offset..offset.checked_add(packed)?)?;
        if size & STORED_TABLE != 0 {
            to.extend_from_slice(bytes);
        } else {
            let mut content = vec![0; TABLE_BLOCK];
            let length = self.unpacker.fill(self.codec, bytes, &mut content)?;
            to.extend_from_slice(content.get(..length)?);
            self.found.insert(offset, (packed, TABLE_BLOCK));
        }
        at.checked_add(2)?.checked_add(u64::try_from(packed).ok()?)
    }

    fn fragments(&mut self, table: &[u8]) {
        let (entries, _) = table.as_chunks::<16>();
        for entry in entries {
            if let (Some(start), Some(size)) = (u64_at(entry, 0), u32_at(entry, 8)) {
                let _ = self.data_block(start, size);
            }
        }
    }

    /// A block of a file; where the next one is.
    fn data_block(&mut self, start: u64, size: u32) -> Option<u64> {
        let packed = size & !STORED_BLOCK;
        if size & STORED_BLOCK == 0 && packed > 0 {
            let offset = usize::try_from(start).ok()?;
            let packed = usize::try_from(packed).ok()?;
            self.found.insert(offset, (packed, self.block_size));
        }
        start.checked_add(packed.into())
    }

    /// Walks through all inodes; stops at the first that makes no sense.
    fn files(&mut self, table: &[u8]) -> Option<()> {
        let mut rest = table;
        while !rest.is_empty() {
            let length = self.inode(rest)?;
            rest = rest.get(length..)?;
        }
        Some(())
    }

    /// Notes the blocks of the inode that `at` begins with; its length.
    fn inode(&mut self, at: &[u8]) -> Option<usize> {
        let word = |offset| u32_at(at, offset);
        let length = |offset| usize::try_from(word(offset)?).ok();
        match u16_at(at, 0)? {
            1 => Some(32),
            2 => {
                let (start, size) = (word(16)?.into(), word(28)?.into());
                self.file(at.get(32..)?, start, size, word(20)?)?
                    .checked_add(32)
            }
            3 => length(20)?.checked_add(24),
            4 | 5 | 13 | 14 => Some(24),
            6 | 7 => Some(20),
            8 => {
                let mut end = 40_usize;
                for _ in 0..u16_at(at, 32)? {
                    let name = length(end.checked_add(8)?)?;
                    end = end.checked_add(name)?.checked_add(13)?;
                }
                Some(end)
            }
            9 => {
                let (start, size) = (u64_at(at, 16)?, u64_at(at, 24)?);
                self.file(at.get(56..)?, start, size, word(44)?)?
                    .checked_add(56)
            }
            10 => length(20)?.checked_add(28),
            11 | 12 => Some(28),
            _ => None,
        }
    }

    /// The blocks of a file, whose sizes `sizes` begins with; how many bytes these are.
    fn file(&mut self, sizes: &[u8], start: u64, size: u64, fragment: u32) -> Option<usize> {
        let block_size = u64::try_from(self.block_size).ok()?;
        let whole = size.checked_div(block_size)?;
        let cut = fragment == u32::MAX && !size.is_multiple_of(block_size);
        let count = usize::try_from(whole.checked_add(cut.into())?).ok()?;
        let bytes = count.checked_mul(4)?;
        let (sizes, _) = sizes.get(..bytes)?.as_chunks::<4>();
        let mut at = start;
        for size in sizes {
            at = self.data_block(at, u32::from_le_bytes(*size))?;
        }
        Some(bytes)
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}
