//! What a CA issued and revoked: its index, `state.json`.

use std::collections::BTreeMap;
use std::path::Path;

use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::crl::Crl;
use crate::durable;
use crate::error::{Error, Result};
use crate::serial_number::SerialNumber;

/// Largest index that is read: some 200,000 certificates.
const LIMIT: u64 = 64 * 1024 * 1024;
/// Largest index after a certificate was issued. What is above is for whoever works on it by hand, and for later formats.
const ISSUE_LIMIT: u64 = LIMIT / 10 * 9;
/// What revoking adds to an entry, and somewhat more.
const REVOKED_LENGTH: u64 = 64;
const FORMAT: u32 = 1;

/// The index of a CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaState {
    format: u32,
    next_crl_number: u64,
    issued: Vec<Entry>,
    /// What this CA revoked elsewhere, of certificates that it issued there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    elsewhere: Vec<RevokedElsewhere>,
}

/// A certificate that this index does not have, and that a list of its CA has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RevokedElsewhere {
    serial: String,
    revoked_at: Timestamp,
}

/// A certificate in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Serial number in hex.
    pub serial: String,
    /// The subject's common name.
    pub name: String,
    /// The profile.
    pub profile: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Since when it is revoked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl Default for CaState {
    fn default() -> Self {
        Self {
            format: FORMAT,
            next_crl_number: 1,
            issued: Vec::new(),
            elsewhere: Vec::new(),
        }
    }
}

impl CaState {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let bytes = durable::read_bounded(path, LIMIT)?;
        let bad = |reason: String| {
            Error::malformed(path.display().to_string(), "the index of a CA", reason)
        };
        let state: Self = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        if state.format == FORMAT {
            Ok(state)
        } else {
            Err(bad(format!("format {}, expected {FORMAT}", state.format)))
        }
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let json = self.json(path)?;
        // What could not be loaded again must not take the place of what can.
        if length(&json) > LIMIT {
            return Err(index_full(path, LIMIT));
        }
        durable::write(path, &json, durable::PUBLIC)
    }

    /// Saves it with a new certificate, if there stays room to revoke all that it has: a CA whose index cannot be loaded
    /// any more could revoke nothing.
    pub(super) fn save_issued(&self, path: &Path) -> Result<()> {
        let json = self.json(path)?;
        let entries = u64::try_from(self.issued.len()).unwrap_or(u64::MAX);
        let revoked = length(&json).saturating_add(entries.saturating_mul(REVOKED_LENGTH));
        if revoked > ISSUE_LIMIT {
            return Err(index_full(path, ISSUE_LIMIT));
        }
        durable::write(path, &json, durable::PUBLIC)
    }

    fn json(&self, path: &Path) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Error::malformed(path.display().to_string(), "JSON", e))
    }

    pub(super) fn enter(&mut self, certificate: &Certificate, profile: &str) {
        self.issued.push(Entry {
            serial: certificate.serial().to_string(),
            name: certificate.common_name().to_owned(),
            profile: profile.to_owned(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            revoked_at: None,
        });
    }

    /// Takes over what another list of this CA has, and its number. Returns how many certificates were not revoked here.
    pub(super) fn take_over(&mut self, list: &Crl) -> usize {
        let mut missing: BTreeMap<String, Timestamp> = list
            .entries()
            .map(|(serial, since)| (serial.to_string(), since))
            .collect();
        let mut new = 0_usize;
        for entry in &mut self.issued {
            if let Some(since) = missing.remove(&entry.serial)
                && entry.revoked_at.is_none()
            {
                entry.revoked_at = Some(since);
                new = new.saturating_add(1);
            }
        }
        for known in &self.elsewhere {
            missing.remove(&known.serial);
        }
        new = new.saturating_add(missing.len());
        let entries = missing.into_iter();
        self.elsewhere
            .extend(entries.map(|(serial, revoked_at)| RevokedElsewhere { serial, revoked_at }));
        let above = list.number().saturating_add(1);
        self.next_crl_number = self.next_crl_number.max(above);
        new
    }

    /// Takes the number of the next revocation list: no two lists have the same.
    pub(super) fn take_crl_number(&mut self) -> u64 {
        let number = self.next_crl_number;
        self.next_crl_number = number.saturating_add(1);
        number
    }

    /// All certificates, in the order of their issue.
    pub fn issued(&self) -> &[Entry] {
        &self.issued
    }

    /// Revoked certificates. They stay on the list after they expired: a walk over old roots judges by old times.
    pub(super) fn revoked(&self) -> Result<Vec<(SerialNumber, Timestamp)>> {
        let revoked = self
            .issued
            .iter()
            .filter_map(|entry| Some((&entry.serial, entry.revoked_at?)));
        let elsewhere = self.elsewhere.iter().map(|e| (&e.serial, e.revoked_at));
        revoked
            .chain(elsewhere)
            .map(|(serial, since)| {
                let bytes = hex::decode(serial)
                    .map_err(|e| Error::malformed(serial.as_str(), "a serial number", e))?;
                Ok((SerialNumber::new(&bytes), since))
            })
            .collect()
    }

    /// Entries that a person may mean: by serial number (all of it, or eight digits and more of its beginning) or name.
    pub(super) fn find(&mut self, wanted: &str) -> Vec<&mut Entry> {
        let matches = |entry: &Entry| {
            entry.name == wanted || (wanted.len() >= 8 && entry.serial.starts_with(wanted))
        };
        self.issued
            .iter_mut()
            .filter(|entry| matches(entry))
            .collect()
    }
}

fn length(json: &[u8]) -> u64 {
    u64::try_from(json.len()).unwrap_or(u64::MAX)
}

fn index_full(path: &Path, limit: u64) -> Error {
    Error::IndexFull {
        path: path.to_owned(),
        limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revoking_one_adds_less_than_is_set_aside() {
        let time: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut state = CaState::default();
        state.issued.push(Entry {
            serial: "00".to_owned(),
            name: String::new(),
            profile: String::new(),
            not_before: time,
            not_after: time,
            revoked_at: None,
        });
        let before = state.json(Path::new("x")).unwrap();
        state.issued[0].revoked_at = Some(time);
        let after = state.json(Path::new("x")).unwrap();
        assert!(length(&after) - length(&before) <= REVOKED_LENGTH);
    }
}
