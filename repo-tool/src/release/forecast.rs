//! What devices will download, known before anybody signs.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{FirmwareVersion, ReleaseManifest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::release::History;
use crate::schema::words::Sha256;

/// Most lines of a fleet file.
const MAX_LINES: usize = 100_000;

/// What a release costs to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Forecast {
    /// The product.
    pub product: String,
    /// The channel.
    pub channel: String,
    /// Version of the firmware.
    pub version: String,
    /// Its anti-rollback number.
    pub security_version: u64,
    /// By image, as they were made; empty if nothing was made.
    pub images: Vec<ImageForecast>,
    /// Bytes of all full payloads together.
    pub full_bytes: u64,
    /// By version that a device comes from, all images together, the highest first.
    pub sources: Vec<SourceForecast>,
    /// The whole fleet, if it is known.
    pub fleet: Option<FleetForecast>,
}

/// What one image costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImageForecast {
    /// Its slot class.
    pub slot: String,
    /// Its digest.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// Its length.
    pub bytes: u64,
    /// Length of the full payload.
    pub full_bytes: u64,
    /// By version that a device comes from.
    pub deltas: Vec<DeltaForecast>,
}

/// What a device downloads that comes from one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeltaForecast {
    /// The version.
    pub from_version: String,
    /// Digest of that version's image.
    #[schemars(with = "Sha256")]
    pub from_image: Sha256Digest,
    /// Bytes to download: of the delta, or of the full payload if there is none.
    pub bytes: u64,
    /// Why there is no delta.
    pub skipped: Option<Skipped>,
}

/// Why there is no delta from a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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

/// What a device of one version downloads, all images together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceForecast {
    /// The version that it comes from.
    pub from_version: String,
    /// How it comes from there.
    pub way: Way,
    /// Bytes to download.
    pub bytes: u64,
}

/// How a device comes from its version to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Way {
    /// By deltas for all images.
    Delta,
    /// By deltas for some of them.
    Partly,
    /// In full.
    Full,
    /// Not directly: this version must be installed first. What that costs is not counted.
    SteppingStone(String),
    /// Not at all: it has this version, or a higher one.
    Stays,
}

/// What a release costs a whole fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FleetForecast {
    /// Devices in all.
    pub devices: u64,
    /// Bytes that all of them will download.
    pub bytes: u64,
    /// Bytes that they would download without deltas.
    pub full_bytes: u64,
    /// Devices that download in full.
    pub in_full: u64,
    /// Devices that must install another version first.
    pub stepping: u64,
    /// By version, the highest first.
    pub rows: Vec<FleetRow>,
}

/// The devices of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FleetRow {
    /// How many they are.
    pub devices: u64,
    /// What each of them downloads.
    pub each: SourceForecast,
    /// Bytes that all of them download.
    pub bytes: u64,
}

impl Forecast {
    /// What `manifest` costs devices that run what is in `history`.
    pub(crate) fn new(manifest: &ReleaseManifest, history: &History) -> Self {
        let releases = history.releases();
        let lower = releases
            .iter()
            .filter(|earlier| earlier.version < manifest.version);
        Self {
            product: manifest.product.to_string(),
            channel: manifest.channel.to_string(),
            version: manifest.version.to_string(),
            security_version: manifest.security_version,
            images: Vec::new(),
            full_bytes: full_bytes(manifest),
            sources: lower
                .map(|earlier| source(manifest, &earlier.version, Some(earlier)))
                .collect(),
            fleet: None,
        }
    }

    pub(crate) fn with_images(self, images: Vec<ImageForecast>) -> Self {
        Self { images, ..self }
    }

    /// With what it costs a fleet: how many devices run which version.
    pub(crate) fn for_fleet(
        mut self,
        manifest: &ReleaseManifest,
        history: &History,
        fleet: &[(FirmwareVersion, u64)],
    ) -> Self {
        let mut sum = FleetForecast {
            devices: 0,
            bytes: 0,
            full_bytes: 0,
            in_full: 0,
            stepping: 0,
            rows: Vec::new(),
        };
        let full = full_bytes(manifest);
        let releases = history.releases();
        for (version, devices) in fleet {
            let known = releases
                .iter()
                .find(|known| known.version == *version)
                .copied();
            let each = source(manifest, version, known);
            let bytes = each.bytes.saturating_mul(*devices);
            sum.devices = sum.devices.saturating_add(*devices);
            sum.bytes = sum.bytes.saturating_add(bytes);
            match each.way {
                Way::Stays => {}
                _ => sum.full_bytes = sum.full_bytes.saturating_add(full.saturating_mul(*devices)),
            }
            match each.way {
                Way::Full => sum.in_full = sum.in_full.saturating_add(*devices),
                Way::SteppingStone(_) => sum.stepping = sum.stepping.saturating_add(*devices),
                _ => {}
            }
            let devices = *devices;
            sum.rows.push(FleetRow {
                devices,
                each,
                bytes,
            });
        }
        self.fleet = Some(sum);
        self
    }
}

/// What a device of `version` downloads; `known` is what it runs, if that is known.
fn source(
    manifest: &ReleaseManifest,
    version: &FirmwareVersion,
    known: Option<&ReleaseManifest>,
) -> SourceForecast {
    let from_version = version.to_string();
    if *version >= manifest.version {
        return SourceForecast {
            from_version,
            way: Way::Stays,
            bytes: 0,
        };
    }
    let (mut bytes, mut deltas) = (0_u64, 0_usize);
    for (slot, image) in &manifest.images {
        let start = known.and_then(|known| known.images.get(slot));
        let delta = start.and_then(|start| image.deltas.get(&start.sha256));
        deltas = deltas.saturating_add(usize::from(delta.is_some()));
        bytes = bytes.saturating_add(delta.unwrap_or(&image.full).length);
    }
    let requires = manifest.requires.as_ref();
    let way = match requires.filter(|requires| version < *requires) {
        Some(requires) => Way::SteppingStone(requires.to_string()),
        None if deltas == manifest.images.len() => Way::Delta,
        None if deltas > 0 => Way::Partly,
        None => Way::Full,
    };
    SourceForecast {
        from_version,
        way,
        bytes,
    }
}

fn full_bytes(manifest: &ReleaseManifest) -> u64 {
    let full = manifest.images.values().map(|image| image.full.length);
    full.fold(0, u64::saturating_add)
}

/// Reads a fleet file: lines `version,count`, in any order, versions more than once if need be; a first line of words is
/// passed over, and so are empty lines and those that begin with `#`. The highest version comes first.
///
/// # Errors
/// The line that is none of these.
pub fn read_fleet(text: &str) -> Result<Vec<(FirmwareVersion, u64)>> {
    let mut fleet: Vec<(FirmwareVersion, u64)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || (index == 0 && line == "version,count") {
            continue;
        }
        let number = index.saturating_add(1);
        let parsed = line.split_once(',').and_then(|(version, count)| {
            let version: FirmwareVersion = version.trim().parse().ok()?;
            Some((version, count.trim().parse::<u64>().ok()?))
        });
        let (version, count) =
            parsed
                .filter(|_| index < MAX_LINES)
                .ok_or_else(|| Error::Argument {
                    what: "fleet",
                    found: format!(
                        "line {number}: {}",
                        line.chars().take(80).collect::<String>()
                    ),
                    expected: "lines such as 1.2.0,5000",
                })?;
        match fleet.iter_mut().find(|(other, _)| *other == version) {
            Some((_, devices)) => *devices = devices.saturating_add(count),
            None => fleet.push((version, count)),
        }
    }
    fleet.sort_by(|a, b| b.0.cmp(&a.0));
    Ok(fleet)
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
