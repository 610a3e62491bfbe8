//! Why there is no answer: by TLS's word about a certificate, or for any other reason.

use std::error::Error as StdError;

use rustls::{AlertDescription, CertificateError};

use crate::error::TransportError;

/// What a failed request means.
pub(super) fn no_answer(url: &str, error: reqwest::Error) -> TransportError {
    about_certificates(url, &error).unwrap_or_else(|| TransportError::NoAnswer {
        url: url.to_owned(),
        source: error.without_url().into(),
    })
}

/// What TLS says about a certificate, if that is why.
pub(super) fn about_certificates(url: &str, error: &reqwest::Error) -> Option<TransportError> {
    let url = || url.to_owned();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(e) = cause {
        match within(e).downcast_ref() {
            Some(rustls::Error::InvalidCertificate(why)) => {
                let why = in_words(why);
                return Some(TransportError::ServerRefused { url: url(), why });
            }
            Some(rustls::Error::AlertReceived(alert)) if ABOUT_CERTIFICATES.contains(alert) => {
                let alert = format!("{alert:?}");
                return Some(TransportError::NotAccepted { url: url(), alert });
            }
            _ => {}
        }
        // HTTP/2 hands on the text of what broke its connection, and not the error.
        if e.source().is_none()
            && let Some(alert) = alert_in(&e.to_string())
        {
            return Some(TransportError::NotAccepted { url: url(), alert });
        }
        cause = e.source();
    }
    None
}

/// What I/O errors carry inside, one in the other, and do not name as their source.
fn within<'a>(mut error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    while let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    error
}

/// Alerts by which a server says what it thinks of the device's certificate (RFC 8446, section 6.2).
const ABOUT_CERTIFICATES: &[AlertDescription] = &[
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::CertificateRequired,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
];

fn alert_in(text: &str) -> Option<String> {
    ABOUT_CERTIFICATES
        .iter()
        .find(|alert| text.contains(&rustls::Error::AlertReceived(**alert).to_string()))
        .map(|alert| format!("{alert:?}"))
}

/// What is wrong with the server's certificate.
fn in_words(why: &CertificateError) -> String {
    use CertificateError as E;
    match why {
        E::Expired | E::ExpiredContext { .. } => "it has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it is not for the name in the URL".to_owned()
        }
        E::Revoked => "it was revoked".to_owned(),
        E::UnknownIssuer => "it does not lead to the trust anchor".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "it is not an API server's".to_owned()
        }
        E::Other(other) => other.0.to_string(),
        other => other.to_string(),
    }
}
