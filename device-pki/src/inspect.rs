//! What a certificate, chain, revocation list or key is, in words.

use crate::certificate::Certificate;
use crate::crl::Crl;
use crate::error::{Error, Result};
use crate::identity;
use crate::pem_text;

/// Most revoked certificates that are listed one by one.
const LISTED: usize = 20;

/// Describes the content of a file, line by line. No secret of a key is among them.
///
/// # Errors
/// If it is nothing that we know.
pub fn inspect(what: &str, bytes: &[u8]) -> Result<Vec<String>> {
    if !bytes.starts_with(b"-----BEGIN") {
        if !bytes.starts_with(&[0x30]) {
            let reason = "it begins like neither";
            return Err(Error::malformed(
                what,
                "PEM or a revocation list in DER",
                reason,
            ));
        }
        return Ok(list(&Crl::from_der(what, bytes)?));
    }
    match pem_text::first_label(what, bytes)?.as_str() {
        "X509 CRL" => Ok(list(&Crl::from_pem_or_der(what, bytes)?)),
        "ENCRYPTED PRIVATE KEY" => Ok(vec!["Private key, encrypted with a passphrase".to_owned()]),
        "PRIVATE KEY" => {
            // The identity of an enrolled device has its chain in the same file.
            let (key, chain) = identity::split(bytes).unwrap_or((bytes, &[]));
            let key = crate::KeyPair::from_pem(what, key, None)?;
            let key = format!("Private key for {}, not encrypted", key.algorithm());
            let chain = Certificate::chain_from_pem(what, chain)?;
            let chain = chain.iter().flat_map(certificate);
            Ok(std::iter::once(key).chain(chain).collect())
        }
        _ => {
            let chain = Certificate::chain_from_pem(what, bytes)?;
            Ok(chain.iter().flat_map(certificate).collect())
        }
    }
}

/// The chain in a file, leaf first, whether its key stands before it or not; none if there is no certificate in it.
///
/// # Errors
/// If it is malformed.
pub fn chain(what: &str, bytes: &[u8]) -> Result<Vec<Certificate>> {
    match identity::split(bytes) {
        Some((_, chain)) => Certificate::chain_from_pem(what, chain),
        None => Ok(Vec::new()),
    }
}

fn certificate(certificate: &Certificate) -> Vec<String> {
    let joined = |items: &[String]| items.join(", ");
    let mut lines = vec![
        format!("Certificate of {}", certificate.subject()),
        format!("  is         {}", kind(certificate)),
        format!("  issued by  {}", certificate.issuer()),
        format!("  serial     {}", certificate.serial()),
        format!(
            "  valid      {} to {}",
            certificate.not_before(),
            certificate.not_after()
        ),
    ];
    if let Ok(key) = certificate.subject_key() {
        lines.push(format!("  key        {}", key.algorithm()));
    }
    let purposes = certificate.purposes();
    if !purposes.is_empty() {
        lines.push(format!("  purposes   {}", joined(&purposes)));
    }
    if let Some(roles) = certificate.roles() {
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        lines.push(format!("  may sign   {}", joined(&roles)));
    }
    let addresses = certificate.addresses().iter().map(ToString::to_string);
    let names: Vec<String> = [certificate.uris(), certificate.dns_names()]
        .concat()
        .into_iter()
        .chain(addresses)
        .collect();
    if !names.is_empty() {
        lines.push(format!("  names      {}", joined(&names)));
    }
    if let Some(id) = certificate.subject_key_id() {
        lines.push(format!("  key id     {id}"));
    }
    lines
}

fn kind(certificate: &Certificate) -> String {
    let has = |purpose: &str| certificate.purposes().iter().any(|found| found == purpose);
    if certificate.is_ca() {
        let below = match certificate.path_length() {
            None => "any number of CAs below it".to_owned(),
            Some(0) => "no CA below it".to_owned(),
            Some(length) => format!("at most {length} CAs below it, one above the other"),
        };
        return format!("a CA, {below}");
    }
    let known = if has("codeSigning") && certificate.roles().is_some() {
        "a person who signs firmware"
    } else if has("serverAuth") && has("API server") && certificate.uris().is_empty() {
        "an API server"
    } else if has("serverAuth") && has("clientAuth") && certificate.device().is_some() {
        "a device"
    } else if has("factory identity") && certificate.device().is_some() {
        "a device as the factory made it: it enrols, and opens no other connection"
    } else if has("clientAuth") && has("operator") {
        "an operator of API servers"
    } else {
        "none of our profiles: it will be refused everywhere"
    };
    known.to_owned()
}

fn list(list: &Crl) -> Vec<String> {
    let mut lines = vec![
        format!("Revocation list of {}", list.issuer()),
        format!("  number     {}", list.number()),
        format!("  issued     {}", list.this_update()),
        format!("  next due   {}", list.next_update()),
        format!("  key id     {}", list.issuer_ski()),
        format!("  revoked    {} certificates", list.len()),
    ];
    for (serial, since) in list.entries().take(LISTED) {
        lines.push(format!("    {serial} since {since}"));
    }
    lines
}
