//! What is asked for again, and when.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// Whether an answer with this status may be another one a little later.
pub(super) fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// How long the server asks to be left alone (RFC 9110, section 10.2.3): seconds, or a date, which is held against the server's
/// own `Date`, for the device's clock may be wrong.
pub(super) fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let after = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(after).ok()?;
    let now = httpdate::parse_http_date(text(DATE)?.trim()).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let cases = [
            (Some("7"), None, Some(7)),
            (Some(" 120 "), None, Some(120)),
            (Some("Sun, 06 Nov 1994 08:50:37 GMT"), Some(date), Some(60)),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), Some(date), Some(0)),
            (Some("Sun, 06 Nov 1994 08:50:37 GMT"), None, None),
            (Some("-1"), Some(date), None),
            (Some("soon"), Some(date), None),
            (Some("99999999999999999999999"), None, None),
            (None, Some(date), None),
        ];
        for (after, date, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in [(RETRY_AFTER, after), (DATE, date)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(
                asked_for(&headers),
                expected.map(Duration::from_secs),
                "{after:?}"
            );
        }
    }

    #[test]
    fn what_may_pass() {
        let passing = [408, 429, 500, 502, 503, 504];
        for status in [
            200, 206, 301, 304, 400, 401, 403, 404, 405, 408, 410, 416, 429, 451, 500, 502, 503,
            504,
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                may_pass(status),
                passing.contains(&status.as_u16()),
                "{status}"
            );
        }
    }
}
