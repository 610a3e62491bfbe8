//! Releases: images in, manifest and payloads out, staged in the product's role.

mod channels;
mod forecast;
mod history;
mod images;
mod offer;
mod on_disk;
mod payloads;
mod request;

use std::collections::BTreeMap;

use metadata_schema::json::Object;
use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::release::{
    Channel, FirmwareVersion, HardwareId, Image, MAX_LENGTH, Product, ReleaseManifest, SlotClass,
    manifest_path,
};
use metadata_schema::roles::{TargetFile, Targets};
use metadata_schema::time::Timestamp;

use crate::error::{Error, Result};
use crate::progress::OnProgress;
use crate::repository::Repository;
use crate::shelf::Shelf;

pub use channels::{ChannelChange, Withdrawal};
pub use forecast::{
    DeltaForecast, FleetForecast, FleetRow, Forecast, ImageForecast, Skipped, SourceForecast, Way,
    read_fleet,
};
pub(crate) use history::History;
use images::Taken;
use on_disk::OnDisk;
use payloads::Workshop;
pub use request::{ImageSource, ReleaseRequest};

impl Repository {
    /// Stages a release: its payloads, its manifest, and the next version of the product's role and of the bins that its
    /// payloads fall into. Says what a device will have to download.
    ///
    /// # Errors
    /// If version or security version fall, a version is to name two different images, or an image cannot be used.
    pub fn stage_release(
        &self,
        request: &ReleaseRequest,
        now: Timestamp,
        progress: OnProgress<'_>,
    ) -> Result<Forecast> {
        let _lock = self.lock()?;
        let state = self.state()?;
        let role = crate::products::role_of(&request.product)?;
        let mut shelf = Shelf::open(&state, &role)?;
        let offered = self.manifests(&role, shelf.product()?)?;
        let history = self.history(&role, &state)?;
        let path = manifest_path(&request.product, &request.channel)?;
        let before = offered.get(path.as_str());
        request.check(before, &history)?;
        let before = before.or_else(|| history.of(&request.channel).next());
        let hardware = hardware(request, before)?;

        let images: Vec<_> = request.images.iter().collect();
        let taken = self.take_in(&images, progress)?;
        self.check_slots(&request.product, &hardware, &taken)?;
        let known: Vec<&ReleaseManifest> = offered.values().chain(history.manifests()).collect();
        same_version(request, &taken, &known)?;
        let workshop = Workshop {
            repository: self,
            request,
            known: &known,
            on_disk: &OnDisk::list(self, &format!("{}/", request.product)),
            progress,
        };
        let sources = request.sources(&history, self.settings.deltas)?;
        let made = workshop.make(&taken, &sources)?;
        let manifest = manifest(request, before, hardware, made.images, now);
        for (path, file) in made.files {
            shelf.insert(&path, file)?;
        }
        self.offer(&mut shelf, &offered, &path, Some(&manifest))?;
        shelf.stage(self, now)?;
        let forecast = Forecast::new(&manifest, &history);
        Ok(forecast.with_images(made.forecasts))
    }

    /// What devices will download of the release that a channel offers, or will once what is staged is published; with a
    /// fleet (how many devices run which version), also what all of it comes to.
    ///
    /// # Errors
    /// If there is no such product, or its channel offers nothing.
    pub fn forecast(
        &self,
        product: &Product,
        channel: &Channel,
        fleet: &[(FirmwareVersion, u64)],
    ) -> Result<Forecast> {
        let state = self.state()?;
        let role = crate::products::role_of(product)?;
        let shelf = Shelf::open(&state, &role)?;
        let offered = self.manifests(&role, shelf.product()?)?;
        let path = manifest_path(product, channel)?;
        let manifest = offered.get(path.as_str()).ok_or_else(|| Error::Absent {
            path: path.to_string(),
        })?;
        let history = self.history(&role, &state)?;
        let forecast = Forecast::new(manifest, &history);
        Ok(match fleet {
            [] => forecast,
            fleet => forecast.for_fleet(manifest, &history, fleet),
        })
    }

    /// The manifests that a product's role names, by target path.
    pub(crate) fn manifests(
        &self,
        role: &RoleName,
        targets: &Targets,
    ) -> Result<BTreeMap<String, ReleaseManifest>> {
        let mut manifests = BTreeMap::new();
        for (path, file) in targets.targets.iter().filter(|(path, _)| is_manifest(path)) {
            let manifest = self.manifest(role, path, file)?;
            manifests.insert(path.clone(), manifest);
        }
        Ok(manifests)
    }

    pub(crate) fn manifest(
        &self,
        role: &RoleName,
        path: &str,
        file: &TargetFile,
    ) -> Result<ReleaseManifest> {
        let bytes = self.read_target(role, &TargetPath::new(path)?, file, MAX_LENGTH)?;
        Ok(ReleaseManifest::read(role, &bytes)?)
    }
}

pub(crate) fn is_manifest(path: &str) -> bool {
    path.ends_with(".release.json")
}

fn hardware(request: &ReleaseRequest, before: Option<&ReleaseManifest>) -> Result<Vec<HardwareId>> {
    let hardware = match before {
        Some(before) if request.hardware.is_empty() => before.hardware.clone(),
        _ => request.hardware.clone(),
    };
    if hardware.is_empty() {
        return Err(Error::release("it names no hardware that it fits"));
    }
    Ok(hardware)
}

/// A version names one firmware, in whatever channel.
fn same_version(
    request: &ReleaseRequest,
    taken: &[Taken],
    known: &[&ReleaseManifest],
) -> Result<()> {
    let same = known
        .iter()
        .filter(|known| known.version == request.version);
    for manifest in same {
        for image in taken {
            let other = manifest.images.get(&image.slot);
            if let Some(other) = other.filter(|other| other.sha256 != image.sha256) {
                return Err(Error::SameVersion {
                    product: request.product.to_string(),
                    version: request.version.to_string(),
                    slot: image.slot.to_string(),
                    existing: other.sha256.to_string(),
                });
            }
        }
    }
    Ok(())
}

fn manifest(
    request: &ReleaseRequest,
    before: Option<&ReleaseManifest>,
    hardware: Vec<HardwareId>,
    images: BTreeMap<SlotClass, Image>,
    now: Timestamp,
) -> ReleaseManifest {
    // To make the same release once more must change nothing.
    let again = before.filter(|before| before.version == request.version);
    ReleaseManifest {
        product: request.product.clone(),
        channel: request.channel.clone(),
        version: request.version.clone(),
        security_version: request
            .security_version
            .or(before.map(|before| before.security_version))
            .unwrap_or(0),
        hardware,
        requires: request.requires.clone(),
        released: again.map_or(now, |before| before.released),
        images,
        rollout: request.rollout.clone(),
        notes: request.notes.clone(),
        withdrawn: before
            .map(|before| before.withdrawn.clone())
            .unwrap_or_default(),
        custom: request.custom.clone(),
        extra: Object::new(),
    }
}
