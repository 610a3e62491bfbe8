//! The revocation lists in force, asked one certificate at a time.
//!
//! A list's signature is checked once for each key that claims to have signed it, not at every handshake: with 100,000
//! entries that is most of the work.

use std::collections::HashMap;
use std::sync::Mutex;

use metadata_schema::time::Timestamp;

use crate::certificate::Certificate;
use crate::crl::Crl;
use crate::serial_number::SerialNumber;

/// What the lists say about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// A current list of its issuer does not have it.
    Good,
    /// It was revoked at this time.
    Revoked(Timestamp),
    /// There is no list that its issuer signed.
    Unknown,
    /// The issuer's list is the right one, but a newer one was due at this time.
    Stale(Timestamp),
}

/// Revocation lists of any number of issuers.
#[derive(Debug, Default)]
pub struct Revocations {
    lists: Vec<Crl>,
    /// By list and key, whether the key signed the list.
    signed: Mutex<HashMap<(usize, Vec<u8>), bool>>,
}

impl Revocations {
    /// Lists in force. Lists of one issuer may be several: the highest number counts.
    pub fn new(mut lists: Vec<Crl>) -> Self {
        lists.sort_by_key(|list| std::cmp::Reverse(list.number()));
        Self {
            lists,
            signed: Mutex::default(),
        }
    }

    /// Whether there is no list at all.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The lists, those with high numbers first.
    pub fn lists(&self) -> &[Crl] {
        &self.lists
    }

    /// What an issuer says about a certificate of its own. `fresh_at` asks for a list that is not overdue at that time.
    ///
    /// The issuer has to be known as such: that it leads to the trust anchor is not asked here.
    pub fn status(
        &self,
        issuer: &Certificate,
        serial: &SerialNumber,
        fresh_at: Option<Timestamp>,
    ) -> Status {
        let list = self.lists.iter().enumerate().find(|(index, list)| {
            list.raw_issuer() == issuer.raw_subject()
                && issuer.may_sign_crls()
                && self.is_signed(*index, list, issuer.public_key_der())
        });
        let Some((_, list)) = list else {
            return Status::Unknown;
        };
        match (list.revoked(serial), fresh_at) {
            (Some(since), _) => Status::Revoked(since),
            (None, Some(now)) if now > list.next_update() => Status::Stale(list.next_update()),
            (None, _) => Status::Good,
        }
    }

    fn is_signed(&self, index: usize, list: &Crl, issuer_key: &[u8]) -> bool {
        // A thread that panicked while it held the lock leaves a whole map behind: entries are inserted at once.
        let mut known = self
            .signed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (index, issuer_key.to_vec());
        *known
            .entry(key)
            .or_insert_with(|| list.signed_by(issuer_key).is_ok())
    }
}
