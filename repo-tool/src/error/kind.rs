//! What an error is about.

use super::Error;

/// What an error is about: programs end with one exit code for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The command cannot be meant so.
    Usage,
    /// Metadata is refused.
    Metadata,
    /// A payload or another target is refused.
    Payload,
    /// The repository's set-up, or somebody's identity, is not as it must be.
    Configuration,
    /// A place that is published to cannot be reached, or refuses.
    Network,
    /// Another process or person is at work: try again later.
    Busy,
    /// `doctor` found something to do before long.
    Warning,
    /// `doctor` found something that holds devices up now, or leaves a secret open.
    Critical,
    /// Anything else.
    Other,
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Argument { .. }
            | Self::Unclear { .. }
            | Self::NothingStaged { .. }
            | Self::Signed { .. }
            | Self::Offer { .. }
            | Self::AnotherEvent { .. }
            | Self::NotAgreed { .. }
            | Self::NotThere { .. }
            | Self::NoSuchProduct { .. }
            | Self::Exists { .. }
            | Self::Overtaken { .. }
            | Self::NothingPublished { .. }
            | Self::CannotImport { .. }
            | Self::RemoteAhead { .. }
            | Self::RemoteDiffers { .. }
            | Self::Falls { .. }
            | Self::SameVersion { .. }
            | Self::Release { .. } => Kind::Usage,
            Self::Metadata(_)
            | Self::MetadataFile { .. }
            | Self::MissingMetadata { .. }
            | Self::EndsEarly { .. }
            | Self::NotMerged { .. }
            | Self::Baseline { .. }
            | Self::Remembered { .. }
            | Self::WrongSignature { .. }
            | Self::Document { .. }
            | Self::Absent { .. } => Kind::Metadata,
            Self::Content { .. }
            | Self::RemoteContent { .. }
            | Self::Payload { .. }
            | Self::PayloadDiffers { .. }
            | Self::Missing { .. } => Kind::Payload,
            Self::Pki(device_pki::Error::Io { .. }) => Kind::Other,
            Self::Pki(_)
            | Self::Audit { .. }
            | Self::Setup { .. }
            | Self::Name(_)
            | Self::Shape(_)
            | Self::Settings { .. }
            | Self::NotARepository { .. }
            | Self::NotPublished { .. }
            | Self::LockOut { .. }
            | Self::NotBound { .. }
            | Self::OnlineKey { .. }
            | Self::Several { .. }
            | Self::NotASigner { .. } => Kind::Configuration,
            Self::Remote { .. } => Kind::Network,
            Self::Locked { .. } | Self::RemoteChanged { .. } => Kind::Busy,
            Self::NeedsAttention { critical: 0, .. } => Kind::Warning,
            Self::NeedsAttention { .. } => Kind::Critical,
            Self::Io { .. } | Self::WriteSettings { .. } | Self::Diff { .. } => Kind::Other,
        }
    }
}
