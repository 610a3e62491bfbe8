//! Everything that metadata can be refused for.

use crate::digest::ContentError;
use crate::json::{JsonError, ShapeError};
use crate::key::KeyId;
use crate::name::{NameError, RoleName, Version};
use crate::threshold::FamilyTally;
use crate::time::Timestamp;

/// Why metadata is not believed. Each variant names the role, what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not JSON, or JSON that has no canonical form.
    #[error("{role} metadata is not acceptable JSON")]
    Json {
        /// The role that was asked for.
        role: RoleName,
        /// Where and why.
        #[source]
        source: JsonError,
    },
    /// JSON of another shape than the specification gives.
    #[error("{role} metadata has not the form that it must have")]
    Shape {
        /// The role that was asked for.
        role: RoleName,
        /// Where and why.
        #[source]
        source: ShapeError,
    },
    /// Too few signatures count.
    #[error(transparent)]
    Threshold(Box<ThresholdError>),
    /// A file is longer than it may be, or not the one that the metadata above it names.
    #[error("{role} metadata is not the file that was announced")]
    Content {
        /// The role that was asked for.
        role: RoleName,
        /// What differs.
        #[source]
        source: ContentError,
    },
    /// Another version than the one that must come here.
    #[error("{role} metadata has version {found}, expected {expected}")]
    Version {
        /// The role.
        role: RoleName,
        /// Version that the rules call for.
        expected: Version,
        /// Version that came.
        found: Version,
    },
    /// Older than what is already trusted: a rollback attack, or a mirror that lags behind.
    #[error("{role} metadata v{found} is older than the trusted v{trusted}")]
    Rollback {
        /// The role whose version fell.
        role: RoleName,
        /// Version that is trusted already.
        trusted: Version,
        /// Version that came.
        found: Version,
    },
    /// A role that the trusted snapshot listed is gone from the new one.
    #[error("{role} metadata, trusted in v{trusted}, is missing from the new snapshot")]
    Vanished {
        /// The role that is missing.
        role: RoleName,
        /// Version that is trusted already.
        trusted: Version,
    },
    /// Expired: a freeze attack, or nobody has signed for too long.
    #[error("{role} metadata v{version} expired at {expires}; the reference time is {now}")]
    Expired {
        /// The role.
        role: RoleName,
        /// Its version.
        version: Version,
        /// When it expired.
        expires: Timestamp,
        /// The reference time of this refresh.
        now: Timestamp,
    },
    /// What a bundle says of itself (`bundle.json`) is not believed.
    #[error("the bundle's own statement, bundle.json, which the timestamp role signs, is refused")]
    Bundle {
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// The time of a bundle is over.
    #[error("the bundle could be used until {expires}; the reference time is {now}")]
    BundleExpired {
        /// Until when it could be used.
        expires: Timestamp,
        /// The reference time of this refresh.
        now: Timestamp,
    },
    /// The metadata above does not list the file of this role.
    #[error("{role} metadata is not listed in the {listing}")]
    NotListed {
        /// The role that is not listed.
        role: RoleName,
        /// The role that should list it.
        listing: RoleName,
    },
    /// A search went through more delegated roles than the limit allows.
    #[error("the search for {path} visited {limit} delegated roles and did not end")]
    TooManyDelegations {
        /// The target that was looked for.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// No more versions can follow.
    #[error("{role} metadata has reached the last version there is")]
    LastVersion {
        /// The role.
        role: RoleName,
    },
    /// The metadata may not be read in this state.
    #[error("{role} metadata was supplied although it was not asked for")]
    NotAskedFor {
        /// The role.
        role: RoleName,
    },
    /// A name is not acceptable.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl MetadataError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Json { .. } | Self::Shape { .. } | Self::Content { .. } => {
                "the mirror serves a damaged or half-published repository: publish again, or check the mirror"
            }
            Self::Threshold(_) => {
                "have the role signed by enough of its current keyholders, and publish again"
            }
            Self::Version { .. } | Self::Rollback { .. } | Self::Vanished { .. } => {
                "the mirror serves an older or mixed state of the repository: check the mirror, or publish again"
            }
            Self::Expired { .. } => {
                "have the role signed again and published; if the reference time is wrong, set the clock"
            }
            Self::Bundle { .. } => {
                "copy the bundle again from where it was made, or have a new one made: `repo-tool bundle`"
            }
            Self::BundleExpired { .. } => {
                "have a new bundle made: `repo-tool bundle`; if the reference time is wrong, set the clock"
            }
            Self::NotListed { .. } => "publish the repository again: its snapshot is incomplete",
            Self::TooManyDelegations { .. } => {
                "have the delegations made flatter, or raise the limit"
            }
            Self::LastVersion { .. } | Self::NotAskedFor { .. } | Self::Name(_) => {
                "report this to the maker of the repository"
            }
        }
    }
}

/// Fewer signatures than the threshold count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdError {
    /// The role that was signed.
    pub role: RoleName,
    /// Signatures that are needed.
    pub needed: u32,
    /// Holders of the keys whose signatures count.
    pub counted: Vec<String>,
    /// Authorised keys whose signatures are there and do not count, and why.
    pub refused: Vec<(KeyId, String)>,
    /// Families of algorithms that this device asks for, and that too few holders have signed with.
    pub families: Vec<FamilyTally>,
}

impl std::error::Error for ThresholdError {}

impl std::fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            role,
            needed,
            counted,
            refused,
            families,
        } = self;
        write!(
            f,
            "{role} metadata needs {needed} signatures, {} count",
            counted.len()
        )?;
        if !counted.is_empty() {
            write!(f, " ({})", counted.join(", "))?;
        }
        for (key, why) in refused {
            write!(f, "; key {} does not: {why}", key.short())?;
        }
        for FamilyTally {
            family,
            counted,
            needed,
        } in families
        {
            write!(f, "; {needed} must be {family} signatures, {counted} are")?;
        }
        Ok(())
    }
}

impl From<ThresholdError> for MetadataError {
    fn from(error: ThresholdError) -> Self {
        Self::Threshold(Box::new(error))
    }
}
