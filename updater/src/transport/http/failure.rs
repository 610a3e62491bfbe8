//! Why there is no answer: by TLS's word about a certificate or about itself, or for any other reason.

use std::error::Error as StdError;

use rustls::{AlertDescription, CertificateError};

use crate::error::TransportError;

/// What a failed request means.
pub(super) fn no_answer(url: &str, error: &reqwest::Error) -> TransportError {
    by_tls(url, error).unwrap_or_else(|| TransportError::NoAnswer {
        url: url.to_owned(),
        source: reason(error).into(),
    })
}

/// The cause that lies behind all others. Those before it only say which part of the library it has passed.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &(dyn StdError + 'static) = error;
    let mut cut = false;
    loop {
        let kind = cause.downcast_ref().map(std::io::Error::kind);
        cut |= kind == Some(std::io::ErrorKind::UnexpectedEof);
        let Some(next) = cause.source() else { break };
        cause = next;
    }
    if cut {
        return "the connection was closed before its end".to_owned();
    }
    cause.to_string()
}

/// What TLS says about a certificate or about itself, if that is why.
pub(super) fn by_tls(url: &str, error: &reqwest::Error) -> Option<TransportError> {
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
            Some(rustls::Error::InvalidMessage(_)) => {
                return Some(TransportError::NoTls { url: url() });
            }
            Some(
                e @ (rustls::Error::PeerIncompatible(_)
                | rustls::Error::AlertReceived(
                    AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
                )),
            ) => {
                let why = e.to_string();
                return Some(TransportError::OtherTls { url: url(), why });
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
