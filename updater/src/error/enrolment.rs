//! Getting a certificate.

use std::path::PathBuf;
use std::time::Duration;

/// The device gets no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// There is nothing to enrol with.
    #[error(
        "this device has no certificate, and neither an identity from the factory nor a token to get one"
    )]
    NoWay,
    /// It has not got one yet.
    #[error("this device has no certificate yet")]
    NotYet,
    /// The certificate is another device's.
    #[error("the server issued a certificate that is not for the device {expected}")]
    OtherDevice {
        /// This device's serial number.
        expected: String,
    },
    /// The token's file is no such file.
    #[error("{path} holds no token: expected SERIAL:TOKEN")]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The server says no, or not yet.
    #[error("{url} answered with status {status}{}", said(.detail))]
    Answer {
        /// What was asked for.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// What the server says about it.
        detail: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The certificate that came is not one that this device can use.
    #[error("the certificate that the server issued is not taken")]
    Certificate {
        /// Why.
        #[source]
        source: device_pki::Error,
    },
    /// The server issued none, or several.
    #[error("the server issued {found} certificates; expected one")]
    Count {
        /// How many.
        found: usize,
    },
}

fn said(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(": {detail}")
    }
}

impl EnrolmentError {
    /// Whether asking again later may succeed where nobody does anything here.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Answer { status, .. } if matches!(status, 202 | 408 | 429 | 500..=599))
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoWay | Self::Token { .. } => {
                "give [identity] an idevid, or a token: `api-server devices token SERIAL` makes one"
            }
            Self::Answer { status: 202, .. } => {
                "somebody has to approve: `api-server devices approve SERIAL`"
            }
            Self::Answer { status: 401, .. } => {
                "the token is used, too old or another device's: `api-server devices token SERIAL` makes a new one"
            }
            Self::Answer { status: 403, .. } => {
                "`api-server devices allow SERIAL` puts a device onto the list of those that may enrol"
            }
            Self::Answer { .. } => "look at the server's log; check identity.est",
            Self::NotYet => "`updater once` gets one",
            Self::OtherDevice { .. } | Self::Certificate { .. } | Self::Count { .. } => {
                "check that identity.est is of the same PKI as the trust anchor"
            }
        }
    }
}
