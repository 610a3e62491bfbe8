//! Certification requests (PKCS#10, RFC 2986): only the public key is taken from one.
//!
//! Subject, alternative names and extensions come from the CA's own profiles; what a request says about them is never
//! even read. Its signature proves that whoever made it holds the key. A request that is made here says the least that there
//! is to say: a common name, for people at the other end, and the key.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use rustls_pki_types::alg_id;

use crate::der::{self, SEQUENCE, UTF8_STRING};
use crate::error::{Error, Result};
use crate::key::{KeyAlgorithm, KeyPair};
use crate::subject_key::SubjectKey;
use crate::{pem_text, signed};

/// Largest request that is read.
pub const MAX_LENGTH: usize = 16 * 1024;

const SET: u8 = 0x31;
/// Attributes, `[0]` constructed: there are none.
const NO_ATTRIBUTES: [u8; 2] = [0xa0, 0];
/// version 0
const VERSION: [u8; 3] = [0x02, 0x01, 0x00];
/// id-at-commonName
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

/// A request for a key, in DER, signed by it.
///
/// ```
/// use device_pki::{KeyAlgorithm, KeyPair, SubjectKey, SystemEntropy, csr};
/// let key = KeyPair::generate(KeyAlgorithm::P256, &mut SystemEntropy)?;
/// let request = csr::request("SN-0001", &key)?;
/// assert_eq!(SubjectKey::from_request_der("request", &request)?.der(), key.public_key_der());
/// # Ok::<(), device_pki::Error>(())
/// ```
///
/// # Errors
/// If the key refuses to sign, or is for ML-DSA, with which nobody enrols.
pub fn request(common_name: &str, key: &KeyPair) -> Result<Vec<u8>> {
    let algorithm = match key.algorithm() {
        KeyAlgorithm::Ed25519 => alg_id::ED25519,
        KeyAlgorithm::P256 => alg_id::ECDSA_SHA256,
        KeyAlgorithm::P384 => alg_id::ECDSA_SHA384,
        KeyAlgorithm::MlDsa65 => {
            return Err(Error::Algorithm {
                purpose: "a certification request",
                expected: "Ed25519, P-256 or P-384",
                found: key.algorithm().to_string(),
            });
        }
    };
    let name = der::write(UTF8_STRING, common_name.as_bytes());
    let name = der::write(SEQUENCE, &[&COMMON_NAME[..], &name].concat());
    let subject = der::write(SEQUENCE, &der::write(SET, &name));
    let info = [
        &VERSION[..],
        &subject,
        &key.public_key_der(),
        &NO_ATTRIBUTES,
    ];
    let info = der::write(SEQUENCE, &info.concat());
    let signature = rcgen::SigningKey::sign(key, &info).map_err(|source| Error::Issue {
        subject: common_name.to_owned(),
        source,
    })?;
    let algorithm = der::write(SEQUENCE, algorithm.as_ref());
    let signature = der::write(der::BIT_STRING, &[&[0], &signature[..]].concat());
    Ok(der::write(SEQUENCE, &[info, algorithm, signature].concat()))
}

impl SubjectKey {
    /// The key of a certification request in PEM, if the request is signed by it.
    ///
    /// # Errors
    /// If the request is malformed, or its signature is wrong.
    pub fn from_request_pem(what: &str, text: &[u8]) -> Result<Self> {
        let der = pem_text::only(what, text, "CERTIFICATE REQUEST")?;
        Self::from_request_der(what, &der)
    }

    /// The key of a certification request as EST sends it, in base64 (RFC 7030, section 4.2.1); PEM is taken as well.
    ///
    /// # Errors
    /// If the request is malformed, or its signature is wrong.
    pub fn from_request_base64(what: &str, text: &[u8]) -> Result<Self> {
        if text.starts_with(b"-----BEGIN") {
            return Self::from_request_pem(what, text);
        }
        Self::from_request_der(what, &crate::cms::from_base64(what, text)?)
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
