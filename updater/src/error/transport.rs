//! The network, or the server.

use std::time::Duration;

use crate::transport::bundle::tar::TarError;

/// The network, or the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No answer.
    #[error("no answer from {url}")]
    NoAnswer {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that is neither the file nor "not there".
    #[error(
        "{url} answered with status {status}; expected 200, or 404 if it is not there{}",
        left_alone(*.retry_after)
    )]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The answer broke off.
    #[error("the answer of {url} broke off after {received} bytes")]
    BrokeOff {
        /// What was asked for.
        url: String,
        /// Bytes that had come.
        received: u64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The device does not accept the server's certificate.
    #[error("{url}: the server's certificate is not accepted: {why}")]
    ServerRefused {
        /// What was asked for.
        url: String,
        /// Why.
        why: String,
    },
    /// The server does not accept the device's certificate.
    #[error("{url}: the server does not accept this device's certificate ({alert})")]
    NotAccepted {
        /// What was asked for.
        url: String,
        /// The TLS alert that it sent (RFC 8446, section 6.2).
        alert: String,
    },
    /// The answer trickles.
    #[error(
        "the answer of {url} comes too slowly: {received} bytes in {seconds} s, expected at least {least}"
    )]
    TooSlow {
        /// What was asked for.
        url: String,
        /// Bytes that came within the window.
        received: u64,
        /// Bytes that should have come.
        least: u64,
        /// Length of the window, in seconds.
        seconds: f32,
    },
    /// The file takes longer than any file of its length may.
    #[error("{url} did not come whole within the {seconds} s that it may take")]
    TooLate {
        /// What was asked for.
        url: String,
        /// Seconds at most.
        seconds: u64,
    },
    /// The answer is longer than it may be.
    #[error(
        "the answer of {url} is longer than the {limit} bytes that it may have{}",
        as_announced(*.announced)
    )]
    TooLong {
        /// What was asked for.
        url: String,
        /// Bytes at most.
        limit: u64,
        /// Bytes that the server announced, if that was enough to refuse it.
        announced: Option<u64>,
    },
    /// What answers is no TLS.
    #[error("{url}: what answers does not speak TLS")]
    NoTls {
        /// What was asked for.
        url: String,
    },
    /// The two have no version of TLS, or no algorithm, in common.
    #[error("{url}: the server does not agree to TLS 1.3 as this device speaks it ({why})")]
    OtherTls {
        /// What was asked for.
        url: String,
        /// What TLS says.
        why: String,
    },
    /// The answer is another file altogether.
    #[error("{url} answered with something else: expected {expected}, found {begins:?}")]
    Otherwise {
        /// What was asked for.
        url: String,
        /// What it should be.
        expected: &'static str,
        /// How it begins.
        begins: String,
    },
    /// The file is sent in another form than it has.
    #[error("{url} is sent compressed ({encoding}); expected as it is")]
    Encoded {
        /// What was asked for.
        url: String,
        /// The content coding (RFC 9110, section 8.4).
        encoding: String,
    },
    /// A part of the file that was not asked for.
    #[error("{url} answered with the part {found:?}; expected one that begins at byte {offset}")]
    WrongRange {
        /// What was asked for.
        url: String,
        /// The first byte that was asked for.
        offset: u64,
        /// The range that the answer says it has.
        found: String,
    },
    /// A redirect that is not followed.
    #[error("{url} leads to {to:?}, which is not followed: {why}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it leads.
        to: String,
        /// Why not there.
        why: String,
    },
    /// A file is no bundle, or not a whole one.
    #[error("{path} is not a bundle that can be used")]
    NoBundle {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: TarError,
    },
    /// A bundle that was opened cannot be read any more.
    #[error("{what} cannot be read any more after {received} bytes")]
    BundleGone {
        /// What was being read.
        what: String,
        /// Bytes that had come.
        received: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A URL cannot be used.
    #[error("the {what} {url:?} cannot be used: {why}")]
    Url {
        /// Which one it is.
        what: &'static str,
        /// The text, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// TLS or HTTP cannot be set up at all.
    #[error("the settings for TLS and HTTP cannot be used")]
    Unusable {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn left_alone(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| {
        format!(
            "; the server asks to be left alone for {} s",
            time.as_secs()
        )
    })
}

fn as_announced(length: Option<u64>) -> String {
    length.map_or_else(String::new, |length| format!(": it announces {length}"))
}

impl TransportError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAccepted { .. } | Self::Status { status: 401, .. } => {
                "the device's certificate was revoked, has expired, or is of another PKI: give it a new one"
            }
            Self::ServerRefused { .. } => {
                "check the server's certificate; if there is none like it, something stands between: a captive portal, or a proxy that opens TLS"
            }
            Self::Status {
                status: 300..=399, ..
            }
            | Self::Redirect { .. } => {
                "make the server answer with the file itself, or configure the URL that it leads to"
            }
            Self::TooSlow { .. } | Self::TooLate { .. } => {
                "try another network; where networks are slow, lower network.minimum_rate"
            }
            Self::TooLong { .. } => "check the mirror: it sends more than was signed",
            Self::Otherwise { .. } | Self::NoTls { .. } => {
                "check the URLs in [server]; a captive portal or a gateway may answer in the server's place"
            }
            Self::OtherTls { .. } => {
                "switch TLS 1.3 on, on the server or on what stands before it: a device speaks nothing older"
            }
            Self::Encoded { .. } => {
                "switch compression off for the repository's files on the server"
            }
            Self::Status {
                status: 408 | 429 | 500..=599,
                ..
            } => {
                "the server, or what stands before it, is in trouble: the device asks again by itself; if it lasts, look there"
            }
            Self::WrongRange { .. }
            | Self::Status {
                status: 206 | 416, ..
            } => "check the server or the cache before it: ranges are mixed up",
            Self::NoBundle { .. } => {
                "copy the bundle again, or have a new one made: `repo-tool bundle`"
            }
            Self::BundleGone { .. } => {
                "put the medium in again and repeat the command: it goes on where this one stopped"
            }
            Self::Url { .. } => "mend the configuration",
            Self::Unusable { .. } => "check the device's certificate and key",
            Self::NoAnswer { .. } | Self::Status { .. } | Self::BrokeOff { .. } => {
                "check the network, the proxy and the server; the next run goes on where this one stopped"
            }
        }
    }
}
