//! The parts of a certificate, out of what x509-parser has read, and what no certificate of ours may have.

use std::collections::BTreeSet;

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::extensions::KeyUsage;
use x509_parser::x509::X509Name;

use crate::oid;
use crate::role::{self, SignerRole};
use crate::serial_number::SerialNumber;

/// Longest serial number.
const MAX_SERIAL: usize = 20;

/// A distinguished name: its bytes, which are compared, and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) raw: Vec<u8>,
    pub(super) text: String,
    pub(super) common_name: Option<String>,
}

/// What the key may do (RFC 5280, section 4.2.1.3): anything, if the extension is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) signs_data: bool,
    pub(super) signs_certificates: bool,
    pub(super) signs_crls: bool,
}

impl Usage {
    pub(super) fn of(parsed: &X509Certificate<'_>) -> Result<Self, String> {
        let extension = parsed.key_usage().map_err(|e| e.to_string())?;
        let usage = extension.map(|extension| extension.value);
        Ok(Self {
            signs_data: usage.is_none_or(KeyUsage::digital_signature),
            signs_certificates: usage.is_none_or(KeyUsage::key_cert_sign),
            signs_crls: usage.is_none_or(KeyUsage::crl_sign),
        })
    }
}

impl Name {
    pub(super) fn of(name: &X509Name<'_>) -> Self {
        let common_name = name
            .iter_common_name()
            .next()
            .and_then(|cn| cn.as_str().ok());
        Self {
            raw: name.as_raw().to_vec(),
            text: plain(&name.to_string()),
            common_name: common_name.map(plain),
        }
    }
}

/// Text from a certificate that is safe to print: no control characters, not endless.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(200)
        .collect()
}

/// Positive and at most 20 bytes (RFC 5280, section 4.1.2.2): what lists name certificates by.
pub(super) fn serial(parsed: &X509Certificate<'_>) -> Result<SerialNumber, String> {
    let raw = parsed.raw_serial();
    let serial = SerialNumber::new(raw);
    if raw.first().is_some_and(|first| first & 0x80 != 0) || serial.as_bytes().is_empty() {
        Err("its serial number is not positive".to_owned())
    } else if serial.as_bytes().len() > MAX_SERIAL {
        Err(format!(
            "its serial number has more than {MAX_SERIAL} bytes"
        ))
    } else {
        Ok(serial)
    }
}

/// No extension stands twice (RFC 5280, section 4.2): readers would not agree on which one counts.
pub(super) fn extensions_once(parsed: &X509Certificate<'_>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let twice = parsed
        .iter_extensions()
        .find(|extension| !seen.insert(extension.oid.as_bytes()));
    twice.map_or(Ok(()), |extension| {
        Err(format!("extension {} twice", extension.oid))
    })
}

pub(super) fn purposes(parsed: &X509Certificate<'_>) -> Result<Vec<Vec<u8>>, String> {
    let extension = parsed.extended_key_usage().map_err(|e| e.to_string())?;
    let Some(usage) = extension.map(|extension| extension.value) else {
        return Ok(Vec::new());
    };
    let known = [
        (usage.server_auth, oid::SERVER_AUTH_DER),
        (usage.client_auth, oid::CLIENT_AUTH_DER),
        (usage.code_signing, oid::CODE_SIGNING_DER),
    ];
    let known = known
        .into_iter()
        .filter(|(present, _)| *present)
        .map(|(_, oid)| oid.to_vec());
    Ok(known
        .chain(usage.other.iter().map(|oid| oid.as_bytes().to_vec()))
        .collect())
}

pub(super) fn purpose_name(oid: &[u8]) -> String {
    match oid {
        oid::SERVER_AUTH_DER => "serverAuth".to_owned(),
        oid::CLIENT_AUTH_DER => "clientAuth".to_owned(),
        oid::CODE_SIGNING_DER => "codeSigning".to_owned(),
        oid::API_SERVER_DER => "API server".to_owned(),
        oid::FACTORY_IDENTITY_DER => "factory identity".to_owned(),
        oid::OPERATOR_DER => "operator".to_owned(),
        other => Oid::new(other.into()).to_id_string(),
    }
}

pub(super) fn roles(parsed: &X509Certificate<'_>) -> Result<Option<Vec<SignerRole>>, String> {
    let oid = Oid::new(oid::SIGNER_ROLES_DER.into());
    let extension = parsed
        .get_extension_unique(&oid)
        .map_err(|e| e.to_string())?;
    extension
        .map(|extension| role::decode(extension.value))
        .transpose()
        .map_err(|e| e.to_string())
}

pub(super) fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(Into::into)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(Into::into))
        .ok()
}
