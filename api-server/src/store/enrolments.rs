//! What the server remembers of enrolment: which devices may, with what they proved it, and every certificate it issued.

use device_pki::{Certificate, DeviceIdentity, SerialNumber};
use metadata_schema::time::Timestamp;
use serde::Serialize;

use super::audit::Entry;
use crate::error::Result;

/// Most certificates that a device is issued within 24 hours.
pub const PER_DAY: u32 = 10;
/// How long a token is good, in seconds: 24 hours.
pub const TOKEN_LIFE: i64 = 86_400;

/// By what a client proved which device it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// The identity that the factory gave it, over mutual TLS.
    Factory,
    /// A one-time token, by its hash in hex.
    Token(String),
    /// The certificate in use, over mutual TLS: by its serial number.
    Current(SerialNumber),
}

impl Proof {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Factory => "factory identity",
            Self::Token(_) => "token",
            Self::Current(_) => "current certificate",
        }
    }
}

/// A request for a certificate.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The device's serial number, as it was proved.
    pub device: String,
    /// How.
    pub proof: Proof,
    /// The public key to certify: DER SubjectPublicKeyInfo.
    pub key: Vec<u8>,
    /// The time.
    pub now: Timestamp,
    /// Whether a person has to approve of a first enrolment.
    pub manual: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// A certificate was issued, now or to the same key before; it is durable, and so is its entry in the audit log.
    Issued(Box<Certificate>),
    /// A person has to approve of it.
    Waiting,
    /// No.
    Refused(Refusal),
}

/// Why no certificate is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The device is not on the list of those that may enrol.
    NotListed,
    /// The device was taken off that list.
    Blocked,
    /// The token is not known, of another device, used for another key, or too old.
    Token,
    /// The key was certified before and may not be again: a renewal is with a new key.
    UsedKey,
    /// The certificate that was shown is not one in force of this device.
    NotCurrent,
    /// Too many certificates within a day.
    TooMany,
    /// The CA issues nothing for the time being.
    Disabled,
}

impl Refusal {
    /// The reason, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NotListed => "this device is not on the list of those that may enrol",
            Self::Blocked => "this device may not enrol any more",
            Self::Token => "the token is not good for this device",
            Self::UsedKey => "this key was certified before: make a new one",
            Self::NotCurrent => "the certificate that was shown is not in force any more",
            Self::TooMany => "too many certificates for this device today",
            Self::Disabled => "the CA issues no certificates for the time being",
        }
    }
}

/// A device on the list, and its certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its serial number.
    pub device: String,
    /// Whether it may enrol.
    pub allowed: bool,
    /// Whether a request of it waits for approval.
    pub waiting: bool,
    /// Until when its newest certificate that is not revoked is valid.
    pub valid_until: Option<Timestamp>,
}

/// A device's certificate that was issued here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuedRow {
    /// Its serial number in hex.
    pub certificate: String,
    /// The device's.
    pub device: String,
    /// Valid until.
    pub not_after: Timestamp,
    /// Since when it is revoked, if it is.
    pub revoked: Option<Timestamp>,
}

/// What goes on a CA's revocation list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Number of the last list.
    pub number: u64,
    /// Serial numbers, and since when.
    pub entries: Vec<(SerialNumber, Timestamp)>,
}

/// Remembers enrolment. What returns is durable, and every change has its entry in the audit log in the same transaction.
pub trait Enrolments: Send + Sync {
    /// Decides about a request, and has `sign` make the certificate if there is to be a new one. If anything fails, nothing was
    /// issued: the certificate is dropped here.
    ///
    /// # Errors
    /// If `sign` fails, or the store.
    fn enrol(&self, ask: &Ask, sign: &dyn Fn() -> Result<Certificate>) -> Result<Verdict>;

    /// Notes that a certificate was used in a handshake: those that the same device was issued before are superseded, and go
    /// onto the revocation list. Returns how many.
    ///
    /// # Errors
    /// If the store fails.
    fn used(&self, device: &DeviceIdentity, now: Timestamp) -> Result<usize>;

    /// Puts devices onto the list of those that may enrol; returns how many were not allowed before.
    ///
    /// # Errors
    /// If a serial number is not acceptable, or differs from a listed one only by upper and lower case; if the store fails.
    fn allow(&self, devices: &[String], by: &str, now: Timestamp) -> Result<usize>;

    /// Revokes all certificates of a device, and lets it enrol no more until it is allowed again; returns the serial numbers.
    ///
    /// # Errors
    /// If the device is not known, or the store fails.
    fn revoke(&self, device: &str, by: &str, now: Timestamp) -> Result<Vec<String>>;

    /// Approves of the request of a device that waits; says whether there was one.
    ///
    /// # Errors
    /// If the store fails.
    fn approve(&self, device: &str, by: &str, now: Timestamp) -> Result<bool>;

    /// Keeps the hash (SHA-256 in hex) of a new token for a device that may enrol, which is good for [`TOKEN_LIFE`].
    ///
    /// # Errors
    /// If the device is not on the list, or the store fails.
    fn token(&self, device: &str, hash: &str, by: &str, now: Timestamp) -> Result<()>;

    /// Has the CA issue certificates, or none; says whether that changed anything.
    ///
    /// # Errors
    /// If the store fails.
    fn enable(&self, enabled: bool, by: &str, now: Timestamp) -> Result<bool>;

    /// Whether the CA issues certificates.
    ///
    /// # Errors
    /// If the store fails.
    fn enabled(&self) -> Result<bool>;

    /// The devices on the list.
    ///
    /// # Errors
    /// If the store fails.
    fn listed(&self) -> Result<Vec<Listed>>;

    /// The certificates of a device, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    fn issued(&self, device: &str) -> Result<Vec<IssuedRow>>;

    /// Takes over what other lists of the CA revoke; returns how many were new.
    ///
    /// # Errors
    /// If the store fails.
    fn import(&self, entries: &[(SerialNumber, Timestamp)], now: Timestamp) -> Result<usize>;

    /// What is revoked. Certificates that were issued here and expired before `expired_before` are left out.
    ///
    /// # Errors
    /// If the store fails.
    fn revoked(&self, expired_before: Timestamp) -> Result<Revoked>;

    /// Takes the number of a new revocation list, higher than any before and than `above`.
    ///
    /// # Errors
    /// If the store fails.
    fn take_list_number(&self, above: u64) -> Result<u64>;

    /// Walks over the audit log from its beginning.
    ///
    /// # Errors
    /// If the store fails, or what `each` returns.
    fn audit(&self, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()>;
}
