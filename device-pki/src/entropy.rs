//! Where random numbers come from: the operating system, or for test repositories a seed.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A source of random bytes for keys and serial numbers.
pub trait Entropy {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// If the source has none.
    fn fill(&mut self, out: &mut [u8]) -> Result<()>;
}

/// The operating system's generator: the only source for keys that protect anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        getrandom::fill(out).map_err(|e| Error::Entropy {
            reason: e.to_string(),
        })
    }
}

/// Bytes that follow from a seed, for test repositories that must come out the same every time.
///
/// Whoever knows the seed knows every key: never for real ones.
#[derive(Clone, Debug)]
pub struct SeededEntropy {
    seed: [u8; 32],
    block: u64,
}

impl SeededEntropy {
    /// A source that depends on `seed` alone.
    pub fn new(seed: &[u8]) -> Self {
        Self {
            seed: Sha256::digest(seed).into(),
            block: 0,
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        for chunk in out.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.seed)
                .chain_update(self.block.to_be_bytes());
            self.block = self.block.wrapping_add(1);
            for (to, from) in chunk.iter_mut().zip(block.finalize()) {
                *to = from;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_never_repeats_them() {
        let (mut a, mut b) = (SeededEntropy::new(b"1"), SeededEntropy::new(b"1"));
        let (mut x, mut y) = ([0; 48], [0; 48]);
        a.fill(&mut x).unwrap();
        b.fill(&mut y).unwrap();
        assert_eq!(x, y);
        a.fill(&mut x).unwrap();
        assert_ne!(x, y);
        SeededEntropy::new(b"2").fill(&mut x).unwrap();
        assert_ne!(x, y);
    }
}
