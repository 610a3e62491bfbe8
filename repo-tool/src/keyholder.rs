//! People who sign: a public key and the certificate chain that says whose it is.

use std::path::Path;

use device_pki::{Certificate, durable};
use metadata_schema::gate::{Certificates, MAX_CHAIN};
use metadata_schema::json::ShapeError;
use metadata_schema::key::{KeyId, PublicKey};

use crate::error::{Error, Result};

/// Longest file of a certificate chain.
const LIMIT: u64 = 128 * 1024;

/// Somebody who may sign: the key from their certificate, and the chain that leads to the anchor.
#[derive(Clone, Debug)]
pub struct Keyholder {
    key: PublicKey,
    chain: Vec<Certificate>,
}

impl Keyholder {
    /// Reads a chain of certificates in PEM, the person's own first, without the root CA.
    ///
    /// # Errors
    /// If it is no such chain, or the person's key is of no type that we verify.
    pub fn from_pem(what: &str, text: &[u8]) -> Result<Self> {
        let chain = Certificate::chain_from_pem(what, text)?;
        let bad =
            |expected: &str, found: String| Error::from(ShapeError::new(what, expected, found));
        if chain.len() > MAX_CHAIN {
            let expected = format!("at most {MAX_CHAIN} certificates");
            return Err(bad(&expected, chain.len().to_string()));
        }
        let leaf = chain
            .first()
            .ok_or_else(|| bad("a certificate chain", "nothing".to_owned()))?;
        let key = leaf.subject_key()?.tuf_key().clone();
        Ok(Self { key, chain })
    }

    /// Reads the chain from a file.
    ///
    /// # Errors
    /// As [`Keyholder::from_pem`], and if the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_pem(
            &path.display().to_string(),
            &durable::read_bounded(path, LIMIT)?,
        )
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The chain, the person's own certificate first.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The chain as metadata carries it.
    pub fn pem_chain(&self) -> Vec<String> {
        self.chain.iter().map(Certificate::pem).collect()
    }

    /// The person's name, as the certificate says it.
    pub fn name(&self) -> String {
        self.chain
            .first()
            .map_or_else(|| self.key.id().short(), display_name)
    }
}

/// The name of the holder of a key, from the certificates that metadata carries; its short id if there is none.
pub(crate) fn holder_name(certificates: &Certificates, key: &KeyId) -> String {
    leaf(certificates, key).map_or_else(
        || format!("key {}", key.short()),
        |leaf| display_name(&leaf),
    )
}

/// The certificate of a key's holder, from what metadata carries.
pub(crate) fn certificate_of(certificates: &Certificates, key: &KeyId) -> Option<Certificate> {
    leaf(certificates, key)
}

fn leaf(certificates: &Certificates, key: &KeyId) -> Option<Certificate> {
    let pem = certificates.chain(key).first()?;
    Certificate::from_pem("certificate", pem.as_bytes()).ok()
}

fn display_name(certificate: &Certificate) -> String {
    certificate.common_name().to_owned()
}
