//! What devices are offered.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::RoleName;
use metadata_schema::release::{MAX_LENGTH, ReleaseManifest};
use metadata_schema::roles::Targets;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::archive::Archive;
use crate::describe::SmallFiles as _;
use crate::error::Result;
use crate::release::is_manifest;
use crate::schema::words::{Sha256, Time};

/// What one channel of a product offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Offer {
    /// The product.
    pub product: String,
    /// The channel.
    pub channel: String,
    /// Version of the firmware.
    pub version: String,
    /// Its anti-rollback number.
    pub security_version: u64,
    /// Hardware revisions that it fits.
    pub hardware: Vec<String>,
    /// When the release was made.
    #[schemars(with = "Time")]
    pub released: Timestamp,
    /// Whether nobody installs it for the time being.
    pub paused: bool,
    /// The share of the fleet that may install it now, in per cent.
    pub share: u8,
    /// The next wave, if there is one.
    pub next_wave: Option<NextWave>,
    /// Its images, by slot class.
    pub images: Vec<ImageOffer>,
}

/// When more devices may install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextWave {
    /// From when on.
    #[schemars(with = "Time")]
    pub start: Timestamp,
    /// Which share of the fleet, in per cent.
    pub share: u8,
}

/// One image of what is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImageOffer {
    /// The slot class.
    pub slot: String,
    /// Length in bytes as it stands in the slot.
    pub bytes: u64,
    /// SHA-256 of the image.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// Length of the payload that needs nothing.
    pub full_bytes: u64,
    /// Lengths of the deltas, the smallest first.
    pub delta_bytes: Vec<u64>,
}

impl Archive {
    /// What every channel of every product offers at `now`, sorted.
    ///
    /// # Errors
    /// If metadata or a manifest cannot be read.
    pub fn offers(&self, now: Timestamp) -> Result<Vec<Offer>> {
        let state = self.state(None)?;
        let mut offers = Vec::new();
        self.offers_of(&RoleName::targets(), &state.targets, now, &mut offers)?;
        for name in state.snapshot.meta.keys() {
            let stem = name.strip_suffix(".json").unwrap_or(name);
            if stem == "targets" {
                continue;
            }
            let role = RoleName::delegated(stem)?;
            if let Some(targets) = self.delegated(&state, &role)? {
                self.offers_of(&role, &targets, now, &mut offers)?;
            }
        }
        offers.sort_by(|a, b| (&a.product, &a.channel).cmp(&(&b.product, &b.channel)));
        Ok(offers)
    }

    fn offers_of(
        &self,
        role: &RoleName,
        targets: &Targets,
        now: Timestamp,
        offers: &mut Vec<Offer>,
    ) -> Result<()> {
        for (path, file) in targets.targets.iter().filter(|(path, _)| is_manifest(path)) {
            if let Some(bytes) = self.small(role, path, file, MAX_LENGTH)? {
                let manifest = ReleaseManifest::read(role, &bytes)?;
                offers.push(Offer::of(&manifest, now));
            }
        }
        Ok(())
    }
}

impl Offer {
    fn of(manifest: &ReleaseManifest, now: Timestamp) -> Self {
        let waves = &manifest.rollout.waves;
        let started = waves.iter().filter(|wave| wave.start <= now);
        let share = if manifest.rollout.paused {
            0
        } else if waves.is_empty() {
            100
        } else {
            started.map(|wave| wave.percent).max().unwrap_or(0)
        };
        let coming = waves.iter().filter(|wave| wave.start > now);
        let images = manifest.images.iter().map(|(slot, image)| {
            let deltas = image.deltas.values();
            let mut delta_bytes: Vec<u64> = deltas.map(|delta| delta.length).collect();
            delta_bytes.sort_unstable();
            ImageOffer {
                slot: slot.to_string(),
                bytes: image.length,
                sha256: image.sha256,
                full_bytes: image.full.length,
                delta_bytes,
            }
        });
        Self {
            product: manifest.product.to_string(),
            channel: manifest.channel.to_string(),
            version: manifest.version.to_string(),
            security_version: manifest.security_version,
            hardware: manifest.hardware.iter().map(ToString::to_string).collect(),
            released: manifest.released,
            paused: manifest.rollout.paused,
            share,
            next_wave: coming.min_by_key(|wave| wave.start).map(|wave| NextWave {
                start: wave.start,
                share: wave.percent,
            }),
            images: images.collect(),
        }
    }
}
