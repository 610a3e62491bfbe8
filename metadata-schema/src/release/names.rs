//! Names that stand in manifests, configurations and paths: short, lower case, safe in a file name.

use std::fmt;
use std::str::FromStr;

use crate::json::{Json, ShapeError, shortened};
use crate::name::{NameError, TargetPath};

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`, the first a letter or digit.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Reads a JSON string that stands at the path `at`.
            ///
            /// # Errors
            /// If it is not such a name.
            pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
                let text = json.into_string(at)?;
                text.parse().map_err(|_| {
                    ShapeError::new(at, concat!("a ", $what, " (a-z 0-9 . _ -)"), format!("{:?}", shortened(&text)))
                })
            }
        }

        impl FromStr for $name {
            type Err = ShortNameError;

            fn from_str(text: &str) -> Result<Self, ShortNameError> {
                if is_short_name(text) { Ok(Self(text.to_owned())) } else { Err(ShortNameError { what: $what, found: shortened(text) }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for Json {
            fn from(name: $name) -> Self {
                Self::String(name.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

short_name!(
    /// A product line, such as `router-x`: also the name of its delegated role and of its folder.
    Product, "product name");
short_name!(
    /// A channel of releases, such as `stable` or `beta`.
    Channel, "channel name");
short_name!(
    /// A hardware revision, such as `rev-b`.
    HardwareId, "hardware revision");
short_name!(
    /// A class of slots that are written with one image, such as `rootfs` or `kernel`.
    SlotClass, "slot class");

/// A text is not such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a {what}: expected 1 to 64 of a-z 0-9 . _ -, the first a letter or digit"
)]
pub struct ShortNameError {
    what: &'static str,
    found: String,
}

fn is_short_name(text: &str) -> bool {
    let letter_or_digit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= 64
        && text.bytes().next().is_some_and(letter_or_digit)
        && text
            .bytes()
            .all(|b| letter_or_digit(b) || matches!(b, b'.' | b'_' | b'-'))
}

/// The path of the manifest of a product's channel: `PRODUCT/CHANNEL.release.json`.
///
/// # Errors
/// Never for names that are valid, which both are.
pub fn manifest_path(product: &Product, channel: &Channel) -> Result<TargetPath, NameError> {
    TargetPath::new(&format!("{product}/{channel}.release.json"))
}

/// The version of a firmware: semantic versioning 2.0, by whose precedence versions are compared.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct FirmwareVersion(semver::Version);

impl FirmwareVersion {
    /// 0.0.0, which no release is older than (pre-releases of it apart).
    pub const LOWEST: Self = Self(semver::Version::new(0, 0, 0));

    /// Reads a JSON string that stands at the path `at`.
    ///
    /// # Errors
    /// If it is no semantic version of 64 bytes at most.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let text = json.into_string(at)?;
        text.parse().map_err(|_| {
            ShapeError::new(
                at,
                "a version such as 1.2.3",
                format!("{:?}", shortened(&text)),
            )
        })
    }
}

impl FromStr for FirmwareVersion {
    type Err = ShortNameError;

    fn from_str(text: &str) -> Result<Self, ShortNameError> {
        let refuse = || ShortNameError {
            what: "version such as 1.2.3",
            found: shortened(text),
        };
        if text.len() > 64 {
            return Err(refuse());
        }
        semver::Version::parse(text).map(Self).map_err(|_| refuse())
    }
}

impl fmt::Display for FirmwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<FirmwareVersion> for Json {
    fn from(version: FirmwareVersion) -> Self {
        Self::String(version.to_string())
    }
}
