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
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 16;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK));
    let same = blocks.take_while(|(a, b)| a == b).count();
    let whole = same.saturating_mul(BLOCK);
    let rest = |bytes| <[u8]>::get(bytes, whole..).unwrap_or_default();
    let tail = rest(a)
        .iter()
        .zip(rest(b))
        .take_while(|(a, b)| a == b)
        .count();
    whole.saturating_add(tail)
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
