//! Certificate revocation lists (RFC 5280, section 5): complete ones, signed by the CA that issued the certificates.

use std::collections::HashMap;

use metadata_schema::name::TargetPath;
use metadata_schema::time::Timestamp;
use rustls_pki_types::CertificateRevocationListDer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::serial_number::SerialNumber;
use crate::{pem_text, signed};

/// Largest list that is read: some 400,000 entries.
pub const MAX_LENGTH: usize = 16 * 1024 * 1024;

/// The name of the delegated role whose targets are the lists.
pub const ROLE: &str = "pki";

/// A list, read but not yet compared with its issuer: see [`Crl::verify`].
#[derive(Clone, Debug)]
pub struct Crl {
    der: CertificateRevocationListDer<'static>,
    issuer: Vec<u8>,
    issuer_text: String,
    issuer_ski: String,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    revoked: HashMap<SerialNumber, Timestamp>,
}

/// The TUF target under which the list of an issuer is published, `pki/<subject key identifier in hex>.crl`, in DER.
///
/// # Errors
/// If the identifier is not hex digits.
pub fn crl_target_path(issuer_ski: &str) -> Result<TargetPath> {
    let refuse = || Error::Name {
        what: "subject key identifier",
        found: issuer_ski.chars().take(80).collect(),
        why: "is not 2 to 128 hex digits",
    };
    let digits = issuer_ski
        .chars()
        .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    if !(2..=128).contains(&issuer_ski.len()) || !digits {
        return Err(refuse());
    }
    TargetPath::new(&format!("{ROLE}/{issuer_ski}.crl")).map_err(|_| refuse())
}

impl Crl {
    /// Reads a list in DER.
    ///
    /// Lists that need more understanding than a complete list does (deltas, indirect ones, partitions) mark that with
    /// critical extensions, and are refused (RFC 5280, section 5.2).
    ///
    /// # Errors
    /// If it is malformed, has no number, no next update or no authority key identifier.
    pub fn from_der(what: &str, der: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::malformed(what, "a certificate revocation list", reason);
        if der.len() > MAX_LENGTH {
            return Err(bad(format!("{} bytes, at most {MAX_LENGTH}", der.len())));
        }
        let (rest, parsed) =
            CertificateRevocationList::from_der(der).map_err(|e| bad(e.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("bytes after it".to_owned()));
        }
        let list = &parsed.tbs_cert_list;
        let entry_extensions = list
            .revoked_certificates
            .iter()
            .flat_map(|entry| entry.extensions());
        if parsed
            .extensions()
            .iter()
            .chain(entry_extensions)
            .any(|extension| extension.critical)
        {
            return Err(bad(
                "it has a critical extension, as only partial lists do".to_owned()
            ));
        }
        let number = parsed
            .crl_number()
            .ok_or_else(|| bad("it has no number".to_owned()))?;
        let issuer_ski = parsed
            .extensions()
            .iter()
            .find_map(|e| match e.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref(),
                _ => None,
            });
        let issuer_ski =
            issuer_ski.ok_or_else(|| bad("it does not name its issuer's key".to_owned()))?;
        let next_update = list
            .next_update
            .ok_or_else(|| bad("it has no next update".to_owned()))?;
        let time = |t: x509_parser::time::ASN1Time| Timestamp::from_unix_seconds(t.timestamp());
        let revoked = list.revoked_certificates.iter();
        Ok(Self {
            der: CertificateRevocationListDer::from(der.to_vec()),
            issuer: list.issuer.as_raw().to_vec(),
            issuer_text: list
                .issuer
                .to_string()
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect(),
            issuer_ski: hex::encode(issuer_ski.0),
            number: u64::try_from(number)
                .map_err(|_| bad("its number is above 2^64".to_owned()))?,
            this_update: time(list.this_update),
            next_update: time(next_update),
            revoked: revoked
                .map(|entry| {
                    (
                        SerialNumber::new(entry.raw_serial()),
                        time(entry.revocation_date),
                    )
                })
                .collect(),
        })
    }

    /// Reads a list from a file, in PEM or DER.
    ///
    /// # Errors
    /// As [`Crl::from_der`], and if the file cannot be read.
    pub fn load(path: &std::path::Path) -> Result<Self> {
        let limit = MAX_LENGTH.saturating_mul(2).try_into().unwrap_or(u64::MAX);
        let bytes = crate::durable::read_bounded(path, limit)?;
        Self::from_pem_or_der(&path.display().to_string(), &bytes)
    }

    /// Reads a list in PEM or DER.
    ///
    /// # Errors
    /// As [`Crl::from_der`].
    pub fn from_pem_or_der(what: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(b"-----BEGIN") {
            match pem_text::contents(what, bytes, "X509 CRL")?.as_slice() {
                [only] => Self::from_der(what, only),
                _ => Err(Error::malformed(
                    what,
                    "one certificate revocation list",
                    "several blocks",
                )),
            }
        } else {
            Self::from_der(what, bytes)
        }
    }

    /// Checks that `issuer` signed this list and may sign lists.
    ///
    /// # Errors
    /// If it is another CA's, or the signature is wrong.
    pub fn verify(&self, issuer: &Certificate) -> Result<()> {
        let refuse = |reason: &str| Error::Crl {
            issuer: self.issuer_text.clone(),
            reason: reason.to_owned(),
        };
        if self.issuer != issuer.raw_subject() {
            return Err(refuse(&format!("expected one of {}", issuer.subject())));
        }
        if !issuer.may_sign_crls() {
            return Err(refuse("its issuer may not sign lists"));
        }
        self.signed_by(issuer.public_key_der()).map_err(refuse)
    }

    pub(crate) fn signed_by(&self, public_key: &[u8]) -> Result<(), &'static str> {
        signed::verify(&self.der, public_key)
    }

    pub(crate) fn raw_issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The issuer, as text.
    pub fn issuer(&self) -> &str {
        &self.issuer_text
    }

    /// The issuer's subject key identifier in hex, as the list claims it.
    pub fn issuer_ski(&self) -> &str {
        &self.issuer_ski
    }

    /// The list's number: a later list of an issuer has a higher one (RFC 5280, section 5.2.3).
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was issued.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// By when the next one comes.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// Since when a certificate is revoked; none if it is not on the list.
    pub fn revoked(&self, serial: &SerialNumber) -> Option<Timestamp> {
        self.revoked.get(serial).copied()
    }

    /// All entries, in the order of their serial numbers.
    pub fn entries(&self) -> impl Iterator<Item = (&SerialNumber, Timestamp)> {
        let mut entries: Vec<_> = self
            .revoked
            .iter()
            .map(|(serial, since)| (serial, *since))
            .collect();
        entries.sort_unstable();
        entries.into_iter()
    }

    /// How many certificates are on the list.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether no certificate is on the list.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// The list in DER: what is published.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_path_takes_only_hex() {
        assert_eq!(crl_target_path("00ff").unwrap().as_str(), "pki/00ff.crl");
        for bad in ["", "0", "../x", "00FF", "00/1", &"0".repeat(129)] {
            assert!(crl_target_path(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            drop(Crl::from_pem_or_der("x", &bytes));
        }
    }
}
