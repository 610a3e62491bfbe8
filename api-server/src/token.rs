//! One-time tokens: what stands for a device that has no identity yet. They are kept hashed.

use axum::http::{HeaderMap, header};
use device_pki::{Entropy as _, SerialNumber, SystemEntropy, cms};
use metadata_schema::digest::Sha256Digest;

use crate::error::Result;

/// Longest credentials that are looked at, in base64.
const MAX_LENGTH: usize = 512;

/// A new token: 160 random bits in hex, without zeros at its beginning.
///
/// # Errors
/// If there are no random bytes.
pub fn new() -> Result<String> {
    let mut bytes = [0; 20];
    SystemEntropy.fill(&mut bytes)?;
    Ok(SerialNumber::new(&bytes).to_string())
}

/// Its hash in hex (SHA-256): a token has too many bits to be guessed from it.
pub fn hash(token: &str) -> String {
    Sha256Digest::of(token.as_bytes()).to_string()
}

/// Serial number and hash of the token of a request by the Basic scheme (RFC 7617).
pub(crate) fn of_request(headers: &HeaderMap) -> Option<(String, String)> {
    let credentials = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || credentials.len() > MAX_LENGTH {
        return None;
    }
    let plain = cms::from_base64("credentials", credentials.as_bytes()).ok()?;
    let plain = String::from_utf8(plain).ok()?;
    let (device, token) = plain.split_once(':')?;
    Some((device.to_owned(), hash(token)))
}
