//! The configuration, and the first trust.

use std::path::PathBuf;

use metadata_schema::name::Version;
use metadata_schema::time::Timestamp;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: device_pki::Error,
    },
    /// A file does not say what it should.
    #[error("{path} is not a valid configuration: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
}

/// A device that trusts nothing yet cannot begin to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// There is nothing that the first root could be held against.
    #[error("the first root metadata cannot come over the network without a trust anchor")]
    NoAnchor,
    /// The repository does not have the version that the firmware names.
    #[error("root metadata v{version}, which a blank device begins with, is not on the server")]
    NoRoot {
        /// The version.
        version: Version,
    },
    /// A CA that certified signers has no list.
    #[error(
        "no revocation list of {issuer} is published, and who begins, or begins again, needs a current one of every CA that certified signers"
    )]
    NoRevocationList {
        /// The CA.
        issuer: String,
    },
    /// A list is overdue.
    #[error(
        "the revocation list of {issuer} was due to be replaced at {next_update}; it is {now} or later, and who begins, or begins again, needs a current one"
    )]
    StaleRevocationList {
        /// The CA.
        issuer: String,
        /// When the next list was due.
        next_update: Timestamp,
        /// The latest time that the clock or anything verified speaks of.
        now: Timestamp,
    },
    /// The device has begun before.
    #[error("this device has had trusted metadata since {since} and does not begin anew by itself")]
    NotBlank {
        /// Since when.
        since: Timestamp,
    },
}
