//! Asking by EST (RFC 7030) over HTTPS.

use std::path::Path;

use device_pki::{Certificate, Identity, KeyPair, Trust, cms, csr, durable, tls};
use reqwest::Method;

use super::keep::{Ca, Way};
use crate::config::EnrolmentConfig;
use crate::error::{EnrolmentError, Error};
use crate::transport::http::{Exchange, Settings, exchange};

/// Longest answer, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// Longest file with a token, in bytes.
const MAX_TOKEN: u64 = 1024;

/// A server that certifies this device.
#[derive(Debug)]
pub struct Est<'a> {
    /// Where and how.
    pub config: &'a EnrolmentConfig,
    /// Where devices with certificates are.
    pub renew: String,
    /// Whom to believe.
    pub trust: &'a Trust,
    /// The way there.
    pub settings: &'a Settings,
    /// What the device calls itself in a request: for people at the other end.
    pub name: String,
}

/// Serial number and token out of the token's file, `SERIAL:TOKEN`.
pub(crate) fn token(path: &Path) -> Result<(String, String), Error> {
    let bytes = durable::read_bounded(path, MAX_TOKEN).map_err(Error::Identity)?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let parts = text.trim().split_once(':');
    parts
        .map(|(serial, token)| (serial.to_owned(), token.to_owned()))
        .ok_or_else(|| {
            Error::Enrolment(EnrolmentError::Token {
                path: path.to_owned(),
            })
        })
}

impl Est<'_> {
    fn tls(&self, identity: Option<&Identity>) -> Result<rustls::ClientConfig, Error> {
        match identity {
            Some(identity) => tls::device_client(identity, self.trust),
            None => tls::nameless_client(self.trust),
        }
        .map_err(Error::Identity)
    }

    async fn ask(
        &self,
        identity: Option<&Identity>,
        basic: Option<&(String, String)>,
        base: &str,
        operation: &str,
        body: Option<String>,
    ) -> Result<Vec<u8>, Error> {
        let url = format!("{}/.well-known/est/{operation}", base.trim_end_matches('/'));
        let request = Exchange {
            method: if body.is_some() {
                Method::POST
            } else {
                Method::GET
            },
            url: &url,
            content_type: "application/pkcs10",
            body,
            basic,
            limit: MAX_ANSWER,
        };
        let answer = exchange(self.tls(identity)?, self.settings, request).await?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(Error::Enrolment(EnrolmentError::Answer {
            url,
            status: answer.status,
            detail: detail(&answer.body),
            retry_after: answer.retry_after,
        }))
    }

    fn bag(&self, url: &str, answer: &[u8]) -> Result<Vec<Certificate>, Error> {
        cms::from_base64(url, answer)
            .and_then(|der| cms::read_certs_only(url, &der))
            .map_err(|source| Error::Enrolment(EnrolmentError::Certificate { source }))
    }
}

impl Ca for Est<'_> {
    async fn certify(
        &mut self,
        way: Way<'_>,
        key: &KeyPair,
    ) -> Result<(Certificate, Vec<Certificate>), Error> {
        let factory;
        let (mut basic, mut identity) = (None, None);
        let (base, operation) = match way {
            Way::Renewal(current) => {
                identity = Some(current);
                (self.renew.as_str(), "simplereenroll")
            }
            Way::First => {
                if let Some(idevid) = &self.config.idevid {
                    factory = Identity::load(&idevid.certificate, &idevid.key)
                        .map_err(Error::Identity)?;
                    identity = Some(&factory);
                } else if let Some(path) = &self.config.token {
                    basic = Some(token(path)?);
                }
                (self.config.est.as_str(), "simpleenroll")
            }
        };
        let issuers = self.ask(identity, basic.as_ref(), base, "cacerts", None);
        let issuers = self.bag("cacerts", &issuers.await?)?;
        let request = csr::request(&self.name, key).map_err(Error::Identity)?;
        let body = Some(cms::base64(&request));
        let answer = self.ask(identity, basic.as_ref(), base, operation, body);
        let mut bag = self.bag(operation, &answer.await?)?;
        // The issued certificate alone (RFC 7030, section 4.2.3); servers that send its issuers along do no harm.
        bag.retain(|certificate| !certificate.is_ca());
        match <[Certificate; 1]>::try_from(bag) {
            Ok([leaf]) => Ok((leaf, issuers)),
            Err(several) => Err(Error::Enrolment(EnrolmentError::Count {
                found: several.len(),
            })),
        }
    }

    async fn works(&mut self, identity: &Identity) -> Result<(), Error> {
        let asked = self.ask(Some(identity), None, &self.renew, "cacerts", None);
        asked.await.map(drop)
    }
}

/// What a refusal says (RFC 9457), or the beginning of its text.
fn detail(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = problem
        .as_ref()
        .and_then(|problem| problem.get("detail")?.as_str())
        .map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(200).collect()
}
