//! Reads fixed-size little-endian fields from the front of a slice.

use crate::error::FrameFault;
use crate::format::frame::Fault;
use crate::format::varint;

/// What is left of a slice, front to back.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, field: &'static str, length: usize) -> Fault<&'a [u8]> {
        let Some((front, rest)) = self.0.split_at_checked(length) else {
            return Err(short(field, length, self.0.len()));
        };
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Fault<[u8; N]> {
        let Some((front, rest)) = self.0.split_first_chunk::<N>() else {
            return Err(short(field, N, self.0.len()));
        };
        self.0 = rest;
        Ok(*front)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Fault<u8> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Fault<u16> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Fault<u32> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// A number of the control stream's form.
    pub(crate) fn number(&mut self, field: &'static str) -> Fault<u64> {
        let left = self.0.len();
        varint::take(&mut self.0).ok_or_else(|| short(field, 1, left.min(1)))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Fault<u64> {
        self.array(field).map(u64::from_le_bytes)
    }
}

fn short(field: &'static str, expected: usize, found: usize) -> FrameFault {
    let wide = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    FrameFault::Short {
        field,
        expected: wide(expected),
        found: wide(found),
    }
}
