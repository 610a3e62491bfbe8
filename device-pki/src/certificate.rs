//! A certificate (RFC 5280), read once into what we ask of it.
//!
//! Reading proves nothing: whether a certificate may be believed is decided along its path to the trust
//! anchor, by way of rustls-webpki. The fields here serve messages, look-ups, and the rules that webpki does not know.

mod parts;

use metadata_schema::time::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::error::{Error, Result};
use crate::name::DeviceUrn;
use crate::pem_text;
use crate::role::SignerRole;
use crate::serial_number::SerialNumber;
use crate::subject_key::SubjectKey;
use parts::{Name, Usage};

/// Largest certificate that is read.
pub const MAX_LENGTH: usize = 16 * 1024;
/// Longest PEM text of a certificate: base64 and its frame.
pub const MAX_PEM_LENGTH: usize = 24 * 1024;

/// A certificate and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    serial: SerialNumber,
    subject: Name,
    issuer: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: Vec<u8>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    path_length: Option<PathLength>,
    usage: Usage,
    purposes: Vec<Vec<u8>>,
    uris: Vec<String>,
    dns_names: Vec<String>,
    addresses: Vec<std::net::IpAddr>,
    roles: Option<Vec<SignerRole>>,
}

/// How many CAs may follow a CA on a path.
type PathLength = Option<u32>;

impl Certificate {
    /// Reads DER. `what` names it in errors.
    ///
    /// # Errors
    /// If it is too large, malformed, or has an extension of ours that is malformed.
    pub fn from_der(what: &str, der: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::malformed(what, "a certificate", reason);
        if der.len() > MAX_LENGTH {
            return Err(bad(format!("{} bytes, at most {MAX_LENGTH}", der.len())));
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|e| bad(e.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("bytes after it".to_owned()));
        }
        Self::of(&parsed, der).map_err(bad)
    }

    /// Reads one PEM block.
    ///
    /// # Errors
    /// As [`Certificate::from_der`], and if there is no block, or more than one.
    pub fn from_pem(what: &str, text: &[u8]) -> Result<Self> {
        if text.len() > MAX_PEM_LENGTH {
            let reason = format!("{} bytes, at most {MAX_PEM_LENGTH}", text.len());
            return Err(Error::malformed(what, "a certificate", reason));
        }
        match Self::chain_from_pem(what, text)?.as_slice() {
            [only] => Ok(only.clone()),
            several => Err(Error::malformed(
                what,
                "one certificate",
                format!("{} certificates", several.len()),
            )),
        }
    }

    /// Reads a chain of PEM blocks, leaf first.
    ///
    /// # Errors
    /// As [`Certificate::from_der`], and if there is another kind of block.
    pub fn chain_from_pem(what: &str, text: &[u8]) -> Result<Vec<Self>> {
        let blocks = pem_text::contents(what, text, "CERTIFICATE")?;
        blocks.iter().map(|der| Self::from_der(what, der)).collect()
    }

    fn of(parsed: &X509Certificate<'_>, der: &[u8]) -> Result<Self, String> {
        parts::extensions_once(parsed)?;
        let mut uris = Vec::new();
        let mut dns_names = Vec::new();
        let mut addresses = Vec::new();
        let names = parsed
            .subject_alternative_name()
            .map_err(|e| e.to_string())?;
        for name in names
            .iter()
            .flat_map(|extension| &extension.value.general_names)
        {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => dns_names.push((*dns).to_owned()),
                GeneralName::IPAddress(bytes) => addresses.extend(parts::address(bytes)),
                _ => {}
            }
        }
        let constraints = parsed.basic_constraints().map_err(|e| e.to_string())?;
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            serial: parts::serial(parsed)?,
            subject: Name::of(parsed.subject()),
            issuer: Name::of(parsed.issuer()),
            not_before: Timestamp::from_unix_seconds(parsed.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp()),
            public_key: parsed.public_key().raw.to_vec(),
            subject_key_id: parsed
                .iter_extensions()
                .find_map(|e| match e.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                    _ => None,
                }),
            authority_key_id: parsed
                .iter_extensions()
                .find_map(|e| match e.parsed_extension() {
                    ParsedExtension::AuthorityKeyIdentifier(id) => {
                        id.key_identifier.as_ref().map(|id| id.0.to_vec())
                    }
                    _ => None,
                }),
            path_length: constraints
                .filter(|c| c.value.ca)
                .map(|c| c.value.path_len_constraint),
            usage: Usage::of(parsed)?,
            purposes: parts::purposes(parsed)?,
            uris,
            dns_names,
            addresses,
            roles: parts::roles(parsed)?,
        })
    }

    /// The certificate as DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        pem_text::encode("CERTIFICATE", &self.der)
    }

    /// The serial number.
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// The subject, as text.
    pub fn subject(&self) -> &str {
        &self.subject.text
    }

    /// The subject's common name, or else all of the subject.
    pub fn common_name(&self) -> &str {
        self.subject
            .common_name
            .as_deref()
            .unwrap_or(&self.subject.text)
    }

    /// The issuer, as text.
    pub fn issuer(&self) -> &str {
        &self.issuer.text
    }

    /// From when on it is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The public key: DER SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key
    }

    /// The public key, in the form that all keys of its type have.
    ///
    /// # Errors
    /// If it is no key of a type that we know.
    pub fn subject_key(&self) -> Result<SubjectKey> {
        SubjectKey::from_der("its public key", &self.public_key)
    }

    /// The subject key identifier in hex (RFC 5280, section 4.2.1.2).
    pub fn subject_key_id(&self) -> Option<String> {
        self.subject_key_id.as_ref().map(hex::encode)
    }

    /// The issuer's key identifier in hex (RFC 5280, section 4.2.1.1).
    pub fn authority_key_id(&self) -> Option<String> {
        self.authority_key_id.as_ref().map(hex::encode)
    }

    /// Whether it is the certificate of a CA.
    pub fn is_ca(&self) -> bool {
        self.path_length.is_some()
    }

    /// How many CAs may stand between this CA and a leaf; none if any number may, or if it is no CA.
    pub fn path_length(&self) -> Option<u32> {
        self.path_length.flatten()
    }

    /// URIs among the alternative names: persons and devices have their URN here.
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// DNS names among the alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// IP addresses among the alternative names.
    pub fn addresses(&self) -> &[std::net::IpAddr] {
        &self.addresses
    }

    /// The roles that a firmware signer may sign; none if the extension is absent.
    pub fn roles(&self) -> Option<&[SignerRole]> {
        self.roles.as_deref()
    }

    /// Extended key usages, by their names where they have one.
    pub fn purposes(&self) -> Vec<String> {
        self.purposes
            .iter()
            .map(|oid| parts::purpose_name(oid))
            .collect()
    }

    /// The one device that this certificate names: exactly one URI, which is a device's URN.
    pub fn device(&self) -> Option<DeviceUrn> {
        match self.uris.as_slice() {
            [only] => only.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn has_purpose(&self, oid: &[u8]) -> bool {
        self.purposes.iter().any(|purpose| purpose == oid)
    }

    pub(crate) fn raw_subject(&self) -> &[u8] {
        &self.subject.raw
    }

    pub(crate) fn raw_issuer(&self) -> &[u8] {
        &self.issuer.raw
    }

    pub(crate) fn may_sign_crls(&self) -> bool {
        self.usage.signs_crls
    }

    pub(crate) fn may_sign_certificates(&self) -> bool {
        self.usage.signs_certificates
    }

    pub(crate) fn may_sign_data(&self) -> bool {
        self.usage.signs_data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused_in_words() {
        for garbage in [
            &b""[..],
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"\0\xff",
        ] {
            let error = Certificate::from_pem("leaf", garbage)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("leaf is not"), "{error}");
        }
        assert!(Certificate::from_pem("leaf", &vec![b'x'; MAX_PEM_LENGTH + 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            drop(Certificate::from_der("x", &bytes));
            drop(Certificate::from_pem("x", &bytes));
        }
    }
}
