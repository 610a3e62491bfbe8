//! Certification requests (PKCS#10, RFC 2986): only the public key is taken from one.
//!
//! Subject, alternative names and extensions come from the CA's own profiles; what a request says about them is never
//! even read. Its signature proves that whoever made it holds the key.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::error::{Error, Result};
use crate::key::KeyPair;
use crate::{pem_text, signed};

/// Largest request that is read.
pub const MAX_LENGTH: usize = 16 * 1024;

/// A public key that somebody wants certified.
#[derive(Clone, Debug)]
pub struct SubjectKey(SubjectPublicKeyInfo);

impl SubjectKey {
    /// The key of a certification request in PEM, if the request is signed by it.
    ///
    /// # Errors
    /// If the request is malformed, or its signature is wrong.
    pub fn from_request_pem(what: &str, text: &[u8]) -> Result<Self> {
        let der = only(what, text, "CERTIFICATE REQUEST")?;
        Self::from_request_der(what, &der)
    }

    /// The key of a certification request in DER, if the request is signed by it.
    ///
    /// # Errors
    /// If the request is malformed, or its signature is wrong.
    pub fn from_request_der(what: &str, der: &[u8]) -> Result<Self> {
        let bad = |reason: String| Error::malformed(what, "a certification request", reason);
        if der.len() > MAX_LENGTH {
            return Err(bad(format!("{} bytes, at most {MAX_LENGTH}", der.len())));
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|e| bad(e.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("bytes after it".to_owned()));
        }
        let key = request.certification_request_info.subject_pki.raw;
        signed::verify(der, key).map_err(|_| Error::RequestSignature)?;
        Self::from_der(what, key)
    }

    /// A key in PEM. Nothing proves that whoever brings it holds it.
    ///
    /// # Errors
    /// If it is no key of an algorithm that we know.
    pub fn from_public_key_pem(what: &str, text: &[u8]) -> Result<Self> {
        Self::from_der(what, &only(what, text, "PUBLIC KEY")?)
    }

    /// A SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// If it is no key of an algorithm that we know.
    pub fn from_der(what: &str, der: &[u8]) -> Result<Self> {
        SubjectPublicKeyInfo::from_der(der)
            .map(Self)
            .map_err(|e| Error::malformed(what, "a public key for Ed25519, P-256 or P-384", e))
    }

    /// The public key of a pair that we hold ourselves.
    ///
    /// # Errors
    /// Never for a pair that was read or made by this crate.
    pub fn of(pair: &KeyPair) -> Result<Self> {
        Self::from_der("key pair", &pair.public_key_der())
    }

    /// The key: DER SubjectPublicKeyInfo.
    pub fn der(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(&self.0)
    }

    pub(crate) fn is_ed25519(&self) -> bool {
        rcgen::PublicKeyData::algorithm(&self.0) == &rcgen::PKCS_ED25519
    }

    pub(crate) fn rcgen(&self) -> &SubjectPublicKeyInfo {
        &self.0
    }
}

fn only(what: &str, text: &[u8], label: &'static str) -> Result<Vec<u8>> {
    let expected = "one PEM block";
    if text.len() > 2 * MAX_LENGTH {
        return Err(Error::malformed(
            what,
            expected,
            format!("{} bytes", text.len()),
        ));
    }
    match <[_; 1]>::try_from(pem_text::contents(what, text, label)?) {
        Ok([der]) => Ok(der),
        Err(several) => Err(Error::malformed(
            what,
            expected,
            format!("{} blocks", several.len()),
        )),
    }
}
