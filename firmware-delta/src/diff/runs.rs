//! Runs of zeros and of equal bytes, found a block at a time.

/// Whether all of `bytes` are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    leading_zeros(bytes) == bytes.len()
}

/// How many zeros `bytes` begin with.
pub(super) fn leading_zeros(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = bytes
        .chunks(BLOCK)
        .take_while(|block| block.iter().all(|byte| *byte == 0));
    let whole: usize = blocks.map(<[u8]>::len).sum();
    let rest = bytes.get(whole..).unwrap_or_default();
    whole.saturating_add(rest.iter().take_while(|byte| **byte == 0).count())
}

/// How many bytes `a` and `b` have in common at their beginning.
pub(super) fn common_prefix(mut a: &[u8], mut b: &[u8]) -> usize {
    let mut common = 0_usize;
    while let (Some((left, a_rest)), Some((right, b_rest))) =
        (a.split_first_chunk::<8>(), b.split_first_chunk::<8>())
    {
        let difference = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if difference != 0 {
            // The lowest bit that differs is in the first byte that does: little-endian.
            let bytes = usize::try_from(difference.trailing_zeros() >> 3).unwrap_or(0);
            return common.saturating_add(bytes);
        }
        common = common.saturating_add(8);
        (a, b) = (a_rest, b_rest);
    }
    let tail = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    common.saturating_add(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_they_end() {
        for length in [0, 1, 15, 16, 17, 63, 64, 65, 200] {
            let mut bytes = vec![0; length];
            bytes.extend([1, 0, 0]);
            assert_eq!(leading_zeros(&bytes), length);
            let mut other = bytes.clone();
            other[length] = 2;
            assert_eq!(common_prefix(&bytes, &other), length);
            assert_eq!(common_prefix(&bytes, &bytes), bytes.len());
        }
        assert!(is_zero(&[]));
    }
}
