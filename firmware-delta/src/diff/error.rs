//! Why a payload could not be made.

use std::io;

use thiserror::Error;

/// Everything that can go wrong on the host.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiffError {
    /// An option is out of its range.
    #[error("{option} is {found}, allowed are {least} to {most}")]
    Option {
        /// Which option.
        option: &'static str,
        /// Least value.
        least: i64,
        /// Greatest value.
        most: i64,
        /// The value given.
        found: i64,
    },
    /// The image could not be read.
    #[error("cannot read the new image at offset {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The old image could not be read.
    #[error("cannot read the old image at offset {offset}")]
    ReadOld {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The payload could not be written.
    #[error("cannot write the payload")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Where frames wait could not be written or read.
    #[error("cannot keep frames until the last one is known")]
    Spool {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A stream could not be compressed.
    #[error("cannot compress a frame")]
    Compress {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The suffix array of the old image could not be made.
    #[error("cannot index the old image of {length} bytes: {reason}")]
    Index {
        /// Length of the old image.
        length: u64,
        /// What the library says.
        reason: &'static str,
    },
    /// The image is longer than the format can say.
    #[error("image is longer than 2^63 - 1 bytes")]
    TooLong,
}

impl DiffError {
    /// What can be done about it, in one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Option { .. } => "choose a value within the range",
            Self::Read { .. } | Self::ReadOld { .. } => "check that the image can be read",
            Self::Write { .. } | Self::Spool { .. } => {
                "check the space where the payload is written"
            }
            Self::Compress { .. } | Self::Index { .. } => {
                "build on a machine with more memory, or publish a full payload"
            }
            Self::TooLong => "split the image into partitions",
        }
    }

    /// The error of a set-up that several frames share.
    pub(super) fn again(&self) -> Self {
        let source = io::Error::other(self.to_string());
        Self::Compress { source }
    }
}
