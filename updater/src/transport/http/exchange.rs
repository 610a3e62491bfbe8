//! One request and its answer, whole and bounded: for what is neither metadata nor a target.

use std::time::Duration;

use reqwest::Method;

use super::{Settings, builder, failure, retry, unusable};
use crate::error::TransportError;
use crate::pulse;

/// A request.
pub(crate) struct Exchange<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    /// The type of its body.
    pub(crate) content_type: &'static str,
    pub(crate) body: Option<String>,
    /// User and password.
    pub(crate) basic: Option<&'a (String, String)>,
    /// Longest answer that is read, in bytes.
    pub(crate) limit: usize,
}

/// What came.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// Asks once, over a connection of its own with these TLS settings, and follows nowhere.
pub(crate) async fn exchange(
    tls: rustls::ClientConfig,
    settings: &Settings,
    request: Exchange<'_>,
) -> Result<Answered, TransportError> {
    pulse::beat();
    let client = builder(tls, settings)?
        .https_only(true)
        .build()
        .map_err(|e| unusable(e.into()))?;
    let url = request.url;
    let limits = &settings.limits;
    let mut asked = client.request(request.method, url);
    if let Some((user, password)) = request.basic {
        asked = asked.basic_auth(user, Some(password));
    }
    if let Some(body) = request.body {
        asked = asked
            .header(reqwest::header::CONTENT_TYPE, request.content_type)
            .header("content-transfer-encoding", "base64")
            .body(body);
    }
    let late = |seconds: Duration| TransportError::TooLate {
        url: url.to_owned(),
        seconds: seconds.as_secs(),
    };
    let patience = limits.connect.saturating_add(limits.silence);
    let answer = pulse::within(patience, asked.send())
        .await
        .map_err(|_| late(patience))?
        .map_err(|e| failure::no_answer(url, &e))?;
    let status = answer.status().as_u16();
    let retry_after = retry::asked_for(answer.headers());
    let read = read(answer, url, request.limit);
    let body = pulse::within(limits.total, read)
        .await
        .map_err(|_| late(limits.total))??;
    Ok(Answered {
        status,
        retry_after,
        body,
    })
}

async fn read(
    mut answer: reqwest::Response,
    url: &str,
    limit: usize,
) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|e| failure::no_answer(url, &e))?
    {
        pulse::beat();
        if body.len().saturating_add(piece.len()) > limit {
            return Err(TransportError::TooLong {
                url: url.to_owned(),
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
                announced: None,
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
