//! A revocation list as a TUF target, and whose it is.
//!
//! Devices know the CAs of those who sign, for metadata carries their chains. Lists of the other CAs, those of devices, servers,
//! factories and operators, say in their target's `custom` by whom they are issued: `{"issuer": "-----BEGIN CERTIFICATE..."}`.
//! That is believed only if the trust anchor certified the CA, and the list stands at the place of that CA.

use metadata_schema::json::Json;
use metadata_schema::roles::TargetFile;

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::crl::crl_target_path;
use crate::error::{Error, Result};
use crate::signed;

/// The member of `custom`.
const ISSUER: &str = "issuer";

/// What is written into `custom` for a list of this CA.
pub fn custom(issuer: &Certificate) -> Json {
    Json::object([(ISSUER, Json::String(issuer.pem()))])
}

/// The CA whose list is said to stand at `path`, with its subject key identifier in hex; none if the target does not say.
///
/// # Errors
/// If the anchor did not certify that CA, or its lists stand elsewhere.
pub fn issuer(
    anchor: &TrustAnchor,
    path: &str,
    file: &TargetFile,
) -> Result<Option<(String, Certificate)>> {
    let Some(Json::Object(members)) = &file.custom else {
        return Ok(None);
    };
    let Some(Json::String(pem)) = members.get(ISSUER) else {
        return Ok(None);
    };
    let issuer = Certificate::from_pem(path, pem.as_bytes())?;
    certified(anchor, &issuer)?;
    let ski = issuer.subject_key_id().unwrap_or_default();
    if crl_target_path(&ski)?.as_str() == path {
        Ok(Some((ski, issuer)))
    } else {
        Err(refused(
            &issuer,
            &format!("{path} is not the place of its lists"),
        ))
    }
}

/// Checks that the anchor certified a CA. Its dates are not asked for: what a CA revoked stays revoked when its time is over.
///
/// # Errors
/// If it did not, or this is no CA.
pub fn certified(anchor: &TrustAnchor, issuer: &Certificate) -> Result<()> {
    if !issuer.is_ca() {
        return Err(refused(issuer, "this is no CA"));
    }
    let anchor = anchor.certificate();
    signed::verify(issuer.der(), anchor.public_key_der())
        .map_err(|why| refused(issuer, &format!("the anchor did not certify its CA: {why}")))
}

fn refused(issuer: &Certificate, reason: &str) -> Error {
    Error::Crl {
        issuer: issuer.subject().to_owned(),
        reason: reason.to_owned(),
    }
}
