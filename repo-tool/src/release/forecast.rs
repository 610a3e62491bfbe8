//! What devices will download, known before anybody signs.

use metadata_schema::digest::Sha256Digest;
use serde::Serialize;

/// What a release costs to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The product.
    pub product: String,
    /// The channel.
    pub channel: String,
    /// Version of the firmware.
    pub version: String,
    /// Its anti-rollback number.
    pub security_version: u64,
    /// By image.
    pub images: Vec<ImageForecast>,
}

/// What one image costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageForecast {
    /// Its slot class.
    pub slot: String,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its length.
    pub bytes: u64,
    /// Length of the full payload.
    pub full_bytes: u64,
    /// By version that a device comes from.
    pub deltas: Vec<DeltaForecast>,
}

/// What a device downloads that comes from one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeltaForecast {
    /// The version.
    pub from_version: String,
    /// Digest of that version's image.
    pub from_image: Sha256Digest,
    /// Bytes to download: of the delta, or of the full payload if there is none.
    pub bytes: u64,
    /// Why there is no delta.
    pub skipped: Option<Skipped>,
}

/// Why there is no delta from a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Skipped {
    /// It would not be smaller than the full payload.
    NotSmaller,
    /// The old image is not in the folder of images.
    ImageNotAtHand,
    /// The old image in the folder of images is not what it was.
    ImageDamaged,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotSmaller => "a delta would not be smaller",
            Self::ImageNotAtHand => "the old image is not at hand",
            Self::ImageDamaged => "the old image is damaged",
        })
    }
}
