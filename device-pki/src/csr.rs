//! Certification requests (PKCS#10, RFC 2986): only the public key is taken from one.
//!
//! Subject, alternative names and extensions come from the CA's own profiles; what a request says about them is never
//! even read. Its signature proves that whoever made it holds the key.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::error::{Error, Result};
use crate::subject_key::SubjectKey;
use crate::{pem_text, signed};

/// Largest request that is read.
pub const MAX_LENGTH: usize = 16 * 1024;

impl SubjectKey {
    /// The key of a certification request in PEM, if the request is signed by it.
    ///
    /// # Errors
    /// If the request is malformed, or its signature is wrong.
    pub fn from_request_pem(what: &str, text: &[u8]) -> Result<Self> {
        let der = pem_text::only(what, text, "CERTIFICATE REQUEST")?;
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
        let key = Self::from_der(what, request.certification_request_info.subject_pki.raw)?;
        signed::verify_request(der, &key.der())
            .map_err(|reason| Error::RequestSignature { reason })?;
        Ok(key)
    }
}
