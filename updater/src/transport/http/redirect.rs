//! Where a redirect may lead.
//!
//! Never from `https` to `http`. Metadata stays with the origin that is configured: it is what says that there is nothing new,
//! so who may say so is not to be moved about. Targets may stand on another origin, such as a server for large files: each is
//! held against digests that were signed, and TLS there asks for a certificate of the same PKI.

use reqwest::{Response, StatusCode, Url};

use super::super::Part;
use super::base::without_user;
use crate::error::TransportError;

/// Where `answer` to a request for `current` leads; none if it is not a redirect.
///
/// # Errors
/// If it may not lead there.
pub(super) fn next(
    part: Part,
    current: &Url,
    answer: &Response,
) -> Result<Option<Url>, TransportError> {
    let followed = matches!(
        answer.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !followed {
        return Ok(None);
    }
    let location = answer.headers().get(reqwest::header::LOCATION);
    let location = location
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let refused = |why: &str| TransportError::Redirect {
        url: current.to_string(),
        to: without_user(location).chars().take(200).collect(),
        why: why.to_owned(),
    };
    if location.is_empty() {
        return Err(refused("it does not say whereto"));
    }
    let mut next = current
        .join(location)
        .map_err(|e| refused(&e.to_string()))?;
    next.set_fragment(None);
    allowed(part, current, &next).map_err(refused)?;
    Ok(Some(next))
}

/// Whether a redirect from `current` to `next` may be followed.
fn allowed(part: Part, current: &Url, next: &Url) -> Result<(), &'static str> {
    if next.scheme() != current.scheme() && next.scheme() != "https" {
        return Err("only https may follow https");
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err("it has a user's name");
    }
    let origin = |url: &Url| {
        (
            url.scheme().to_owned(),
            url.host_str().unwrap_or_default().to_owned(),
            url.port_or_known_default(),
        )
    };
    if part == Part::Metadata && origin(current) != origin(next) {
        return Err(
            "metadata has to come from the server that is configured; only targets may be elsewhere",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_redirects_may_lead() {
        let here = "https://h/metadata/timestamp.json";
        // From, to, of metadata, of targets.
        let cases = [
            (here, "https://h/other", true, true),
            (here, "https://h:443/other", true, true),
            (here, "https://h:8443/other", false, true),
            (here, "https://cdn/other", false, true),
            (here, "http://h/other", false, false),
            (here, "ftp://h/other", false, false),
            (here, "https://u:p@h/other", false, false),
            ("http://h/a", "http://h/b", true, true),
            ("http://h/a", "https://h/b", false, true),
        ];
        for (from, to, metadata, targets) in cases {
            let (from, to) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
            assert_eq!(
                allowed(Part::Metadata, &from, &to).is_ok(),
                metadata,
                "{from} {to}"
            );
            assert_eq!(
                allowed(Part::Targets, &from, &to).is_ok(),
                targets,
                "{from} {to}"
            );
        }
    }
}
