//! Who we are in TLS (certificate and key), and who the peer is.

use std::path::Path;

use metadata_schema::time::Timestamp;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::certificate::Certificate;
use crate::durable;
use crate::error::{Error, Result};
use crate::key::KeyPair;
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

    /// The leaf certificate.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// The device that this identity is, if it is one.
    pub fn device(&self) -> Option<DeviceUrn> {
        self.certificate().and_then(Certificate::device)
    }

    pub(crate) fn chain_der(&self) -> Vec<CertificateDer<'static>> {
        self.chain
            .iter()
            .map(|certificate| certificate.der().clone())
            .collect()
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.pkcs8_der().to_vec()))
    }
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
