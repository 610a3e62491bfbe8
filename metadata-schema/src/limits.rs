//! Named bounds on what is read from outside. A refresh may be given tighter ones, never none.

/// Bounds that one refresh keeps. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest `root.json`.
    pub root_length: u64,
    /// Longest `timestamp.json`.
    pub timestamp_length: u64,
    /// Longest `snapshot.json` where the timestamp names no length.
    pub snapshot_length: u64,
    /// Longest targets metadata where the snapshot names no length.
    pub targets_length: u64,
    /// Most root versions that one walk steps through (section 5.3).
    pub root_rotations: u32,
    /// Most delegated roles that one search visits (section 5.6.7.1).
    pub delegations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_length: 512 * 1024,
            timestamp_length: 16 * 1024,
            snapshot_length: 2_000_000,
            targets_length: 5_000_000,
            root_rotations: 1024,
            delegations: 32,
        }
    }
}
