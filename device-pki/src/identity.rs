//! Who we are in TLS (certificate and key), and who the peer is.

use std::path::Path;

use metadata_schema::time::Timestamp;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::durable;
use crate::entropy::SystemEntropy;
use crate::error::{Error, Result};
use crate::key::{KeyPair, Protection};
use crate::name::DeviceUrn;
use crate::serial_number::SerialNumber;

/// Longest chain file that is read.
const LIMIT: u64 = 128 * 1024;

/// An own certificate, its chain without the root, and the private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<Certificate>,
    key: KeyPair,
}

impl Identity {
    /// Takes a chain, leaf first, and the leaf's key.
    ///
    /// # Errors
    /// If the chain is empty, or the key is not the leaf's.
    pub fn new(chain: Vec<Certificate>, key: KeyPair) -> Result<Self> {
        let Some(leaf) = chain.first() else {
            return Err(Error::malformed(
                "identity",
                "a certificate chain",
                "it is empty",
            ));
        };
        if leaf.public_key_der() != key.public_key_der() {
            return Err(Error::KeyMismatch {
                subject: leaf.subject().to_owned(),
            });
        }
        Ok(Self { chain, key })
    }

    /// Reads a chain (PEM, leaf first) and an unencrypted key.
    ///
    /// # Errors
    /// If they cannot be read or do not belong together.
    pub fn load(chain: &Path, key: &Path) -> Result<Self> {
        let text = durable::read_bounded(chain, LIMIT)?;
        let certificates = Certificate::chain_from_pem(&chain.display().to_string(), &text)?;
        Self::new(certificates, KeyPair::load(key, None)?)
    }

    /// Reads one file in which the unencrypted key stands before the chain: see [`Identity::bundle`].
    ///
    /// # Errors
    /// If it cannot be read, or key and chain do not belong together.
    pub fn load_bundle(path: &Path) -> Result<Self> {
        let text = Zeroizing::new(durable::read_bounded(path, LIMIT)?);
        let what = path.display().to_string();
        let (key, chain) = split(&text)
            .ok_or_else(|| Error::malformed(&what, "a key and its chain", "one is missing"))?;
        let chain = Certificate::chain_from_pem(&what, chain)?;
        Self::new(chain, KeyPair::from_pem(&what, key, None)?)
    }

    /// Key, not encrypted, and chain as one PEM text: they can only be replaced together. OpenSSL, curl and nginx take such
    /// a file for the certificate and for the key.
    ///
    /// # Errors
    /// None for a key that was read or made by this crate.
    pub fn bundle(&self) -> Result<Zeroizing<String>> {
        let mut text = self.key.to_pem(Protection::FileMode, &mut SystemEntropy)?;
        for certificate in &self.chain {
            text.push_str(&certificate.pem());
        }
        Ok(text)
    }

    /// All certificates, the leaf first.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The leaf certificate.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// The device that this identity is, if it is one.
    pub fn device(&self) -> Option<DeviceUrn> {
        self.certificate().and_then(Certificate::device)
    }

    /// All certificates in DER, the leaf first.
    pub fn chain_der(&self) -> Vec<CertificateDer<'static>> {
        self.chain
            .iter()
            .map(|certificate| certificate.der().clone())
            .collect()
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.pkcs8_der().to_vec()))
    }
}

/// Where the chain begins in a text of key and chain.
pub(crate) fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let at = text.windows(BEGIN.len()).position(|part| part == BEGIN)?;
    text.split_at_checked(at)
}

/// The device at the other end of a connection, as its verified certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    urn: DeviceUrn,
    certificate_serial: SerialNumber,
    issuer_ski: Option<String>,
    not_after: Timestamp,
}

impl DeviceIdentity {
    /// The peer of a connection whose handshake is done, over a configuration of [`crate::tls`] that asks for a device.
    ///
    /// # Errors
    /// If the peer showed no certificate, or one that does not name exactly one device.
    pub fn of(connection: &rustls::CommonState) -> Result<Self> {
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or_else(|| Error::Tls {
            reason: "the peer has no certificate".to_owned(),
        })?;
        Self::from_verified(&Certificate::from_der("peer certificate", leaf)?)
    }

    pub(crate) fn from_verified(leaf: &Certificate) -> Result<Self> {
        let urn = leaf.device().ok_or_else(|| Error::Peer {
            expected: "a device, named by exactly one URN".to_owned(),
            found: leaf.subject().to_owned(),
        })?;
        Ok(Self {
            urn,
            certificate_serial: leaf.serial().clone(),
            issuer_ski: leaf.authority_key_id(),
            not_after: leaf.not_after(),
        })
    }

    /// The device's URN.
    pub fn urn(&self) -> &DeviceUrn {
        &self.urn
    }

    /// The device's serial number, the last part of its URN.
    pub fn serial(&self) -> &str {
        self.urn.serial()
    }

    /// The serial number of its certificate.
    pub fn certificate_serial(&self) -> &SerialNumber {
        &self.certificate_serial
    }

    /// The subject key identifier of the CA that issued its certificate, in hex.
    pub fn issuer_ski(&self) -> Option<&str> {
        self.issuer_ski.as_deref()
    }

    /// When its certificate expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}
