//! Errors as clients see them: problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::Error;

/// A refusal, with its reason for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    /// A problem of this status; `detail` says what is wrong with this request.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Error> for Problem {
    /// A fault of ours: the log has the reason, the client has not.
    fn from(error: Error) -> Self {
        tracing::error!(reason = %error, source = ?std::error::Error::source(&error), "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed; try again later",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let json = HeaderValue::from_static("application/problem+json");
        (
            self.status,
            [(header::CONTENT_TYPE, json)],
            body.to_string(),
        )
            .into_response()
    }
}
