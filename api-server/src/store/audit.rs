//! The audit log: what was allowed, issued and revoked, each entry chained to the one before by its hash.
//!
//! The database takes entries in and refuses to change or remove them; whoever writes to its file past it breaks the chain,
//! and who cuts the end off is found out by a hash that was noted elsewhere: `api-server audit` prints the last one.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::time::Timestamp;
use serde::Serialize;

/// The hash before the first entry.
pub const BEGINNING: [u8; 32] = [0; 32];

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened, such as `issued`.
    pub event: String,
    /// The device that it is about, or nothing.
    pub device: String,
    /// More about it: for a certificate its serial number and key.
    pub detail: String,
    /// Hash of this entry and, by way of the one before, of all.
    #[serde(serialize_with = "in_hex")]
    pub hash: [u8; 32],
}

impl Entry {
    /// The entry after one with the hash `previous`.
    pub fn after(
        previous: &[u8; 32],
        number: u64,
        at: Timestamp,
        event: &str,
        device: &str,
        detail: &str,
    ) -> Self {
        let mut entry = Self {
            number,
            at,
            event: event.to_owned(),
            device: device.to_owned(),
            detail: detail.to_owned(),
            hash: BEGINNING,
        };
        entry.hash = entry.expected(previous);
        entry
    }

    /// The hash that it has to have after one with the hash `previous`: SHA-256 of that hash, number and time (big-endian, 8
    /// bytes each), and of each text its length (8 bytes) and its bytes.
    pub fn expected(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut all = previous.to_vec();
        all.extend(self.number.to_be_bytes());
        all.extend(self.at.unix_seconds().to_be_bytes());
        for text in [&self.event, &self.device, &self.detail] {
            all.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            all.extend_from_slice(text.as_bytes());
        }
        *Sha256Digest::of(&all).as_bytes()
    }
}

fn in_hex<S: serde::Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Sha256Digest::from_bytes(*hash).to_string())
}

/// Follows the chain.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    number: u64,
    hash: [u8; 32],
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            number: 0,
            hash: BEGINNING,
        }
    }
}

impl Chain {
    /// Whether an entry is the next one; then it is the last.
    pub fn follows(&mut self, entry: &Entry) -> bool {
        let next = self.number.saturating_add(1);
        let follows = entry.number == next && entry.hash == entry.expected(&self.hash);
        if follows {
            (self.number, self.hash) = (next, entry.hash);
        }
        follows
    }

    /// Number and hash of the last entry that followed.
    pub fn head(&self) -> (u64, [u8; 32]) {
        (self.number, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_entry_breaks_the_chain() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let first = Entry::after(&BEGINNING, 1, at, "issued", "SN-1", "a");
        let second = Entry::after(&first.hash, 2, at, "revoked", "SN-1", "b");
        let whole = |entries: &[&Entry]| {
            let mut chain = Chain::default();
            entries.iter().all(|entry| chain.follows(entry))
        };
        assert!(whole(&[&first, &second]));
        assert!(!whole(&[&second]) && !whole(&[&second, &first]));
        for change in [
            |e: &mut Entry| e.device = "SN-2".to_owned(),
            |e: &mut Entry| e.event.push('x'),
            |e: &mut Entry| (e.event, e.device) = ("issuedS".to_owned(), "N-1".to_owned()),
            |e: &mut Entry| e.at = e.at.plus_seconds(1),
        ] {
            let mut changed = first.clone();
            change(&mut changed);
            assert!(!whole(&[&changed, &second]));
            changed.hash = changed.expected(&BEGINNING);
            assert!(!whole(&[&changed, &second]));
        }
    }
}
