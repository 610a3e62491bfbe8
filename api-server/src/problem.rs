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
        // No fault of the store's: the token is pulled, or its HSM away. RFC 9110, section 15.6.4.
        if let Error::Pki(device_pki::Error::Token(reason)) = &error {
            tracing::error!(%reason, hint = reason.hint(), "the CA's token does not sign");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the CA's key cannot be reached; try again later",
            );
        }
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

#[cfg(test)]
mod tests {
    use device_pki::token::TokenError;

    use super::*;

    #[test]
    fn a_token_that_is_away_is_a_matter_of_time() {
        let token = "ca".to_owned();
        let error = device_pki::Error::from(TokenError::PinNeeded { token });
        let problem = Problem::from(Error::from(error));
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        let other = Problem::from(Error::CutOff { step: "enrol" });
        assert_eq!(other.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
