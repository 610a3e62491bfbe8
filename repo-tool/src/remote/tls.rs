//! The HTTP client: TLS by the same library and provider as everywhere here, and the certificates that this machine trusts
//! for web servers.

use std::sync::Arc;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use rustls::pki_types::CertificateDer;

use super::Place;
use crate::error::{Error, Result};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(120);

/// Who we are to a WebDAV server.
const USER: &str = "REPO_TOOL_PUSH_USER";
const PASSWORD: &str = "REPO_TOOL_PUSH_PASSWORD";
const TOKEN: &str = "REPO_TOOL_PUSH_TOKEN";

/// A client for this place.
pub(super) fn client(place: &Place) -> Result<Client> {
    let unusable = |why: Box<dyn std::error::Error + Send + Sync>| {
        super::failed(&place.to_string(), "prepare the connection to", "", why)
    };
    let mut roots = rustls::RootCertStore::empty();
    if !place.is_clear() {
        // Also `SSL_CERT_FILE` and `SSL_CERT_DIR`.
        let certificates: Vec<CertificateDer<'_>> = rustls_native_certs::load_native_certs().certs;
        roots.add_parsable_certificates(certificates);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(e.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut headers = HeaderMap::new();
    if let Place::Url(url) = place
        && matches!(url.scheme(), "http" | "https")
        && let Some(value) = authorization()?
    {
        headers.insert(AUTHORIZATION, value);
    }
    Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| unusable(e.into()))
}

/// The header that says who we are, from the environment: secrets stand neither in settings nor in arguments.
fn authorization() -> Result<Option<HeaderValue>> {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let text = match (variable(USER), variable(PASSWORD), variable(TOKEN)) {
        (_, _, Some(token)) => format!("Bearer {token}"),
        (Some(user), password, None) => {
            let pair = format!("{user}:{}", password.unwrap_or_default());
            format!("Basic {}", base64(pair.as_bytes()))
        }
        _ => return Ok(None),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| Error::Argument {
        what: "credentials in REPO_TOOL_PUSH_...",
        found: "something else".to_owned(),
        expected: "printable characters",
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from(bits >> shift & 63).unwrap_or(0);
            let digit = DIGITS.get(digit).filter(|_| index <= group.len());
            text.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    text
}

/// Hands our client to the object stores.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Client);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
