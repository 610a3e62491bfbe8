//! Payloads: the whole image, and what changed since earlier ones.

use std::collections::BTreeMap;

use device_pki::durable;
use firmware_delta::{Built, DiffError, DiffOptions, DiffProgress, DiffStage};
use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::TargetPath;
use metadata_schema::release::{Image, Payload, ReleaseManifest, SlotClass};
use metadata_schema::roles::{TargetFile, Targets};

use crate::assemble::{length_of, target_file};
use crate::error::{Error, Result};
use crate::progress::{OnProgress, Progress};
use crate::release::history::Earlier;
use crate::release::{
    DeltaForecast, Forecast, ImageForecast, ImageSource, ReleaseRequest, Skipped,
};
use crate::repository::Repository;

/// Makes the payloads of one release, and keeps account of them.
pub(crate) struct Workshop<'a> {
    repository: &'a Repository,
    request: &'a ReleaseRequest,
    /// The product's role as it stands.
    offered: &'a Targets,
    progress: OnProgress<'a>,
    files: BTreeMap<TargetPath, TargetFile>,
    forecasts: Vec<ImageForecast>,
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(
        repository: &'a Repository,
        request: &'a ReleaseRequest,
        offered: &'a Targets,
        progress: OnProgress<'a>,
    ) -> Self {
        let (files, forecasts) = (BTreeMap::new(), Vec::new());
        Self {
            repository,
            request,
            offered,
            progress,
            files,
            forecasts,
        }
    }

    /// The target files that were made or are used again.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&TargetPath, &TargetFile)> {
        self.files.iter()
    }

    pub(crate) fn forecast(self, manifest: &ReleaseManifest) -> Forecast {
        Forecast {
            product: manifest.product.to_string(),
            channel: manifest.channel.to_string(),
            version: manifest.version.to_string(),
            security_version: manifest.security_version,
            images: self.forecasts,
        }
    }

    /// Makes the payloads of one image. `known` are manifests in which the same version may stand already.
    pub(crate) fn image(
        &mut self,
        slot: &SlotClass,
        source: &ImageSource,
        known: &[&ReleaseManifest],
        sources: &[&Earlier],
    ) -> Result<Image> {
        let bytes = self.read(slot, source)?;
        let sha256 = Sha256Digest::of(&bytes);
        let existing = self.same_version(slot, sha256, known)?;
        self.repository.keep_image(&sha256.to_string(), &bytes)?;
        let version = &self.request.version;
        let path = self.path(&format!("{slot}-{version}.full"))?;
        let full = match existing
            .map(|image| &image.full)
            .filter(|full| full.path == path)
        {
            Some(full) if self.use_again(full) => full.clone(),
            _ => {
                let (options, progress) = (self.options(), self.progress);
                let made = make(&path, progress, |to, progress| {
                    firmware_delta::full(&mut bytes.as_slice(), &options, to, progress)
                })?;
                self.keep(path, made)?
            }
        };
        let mut deltas = BTreeMap::new();
        let mut forecasts = Vec::new();
        for earlier in sources {
            let Some(from) = earlier.manifest.images.get(slot) else {
                continue;
            };
            let mut forecast = DeltaForecast {
                from_version: earlier.manifest.version.to_string(),
                from_image: from.sha256,
                bytes: full.length,
                skipped: None,
            };
            if let Some(made) = deltas.get(&from.sha256).map(|made: &Payload| made.length) {
                // Two versions with the same image share the delta.
                forecast.bytes = made;
            } else {
                match self.delta(slot, from, &bytes, existing, full.length)? {
                    Ok(payload) => {
                        forecast.bytes = payload.length;
                        deltas.insert(from.sha256, payload);
                    }
                    Err(why) => forecast.skipped = Some(why),
                }
            }
            forecasts.push(forecast);
        }
        let length = length_of(&bytes);
        self.forecasts.push(ImageForecast {
            slot: slot.to_string(),
            sha256,
            bytes: length,
            full_bytes: full.length,
            deltas: forecasts,
        });
        Ok(Image {
            length,
            sha256,
            full,
            deltas,
        })
    }

    /// A delta from one earlier image, or why there is none.
    fn delta(
        &mut self,
        slot: &SlotClass,
        from: &Image,
        new: &[u8],
        existing: Option<&Image>,
        full_length: u64,
    ) -> Result<Result<Payload, Skipped>> {
        let digest = from.sha256.to_string();
        let start: String = digest.chars().take(8).collect();
        let path = self.path(&format!(
            "{slot}-{}-from-{start}.delta",
            self.request.version
        ))?;
        let existing = existing.and_then(|image| image.deltas.get(&from.sha256));
        if let Some(payload) = existing.filter(|payload| payload.path == path)
            && self.use_again(payload)
        {
            return Ok(Ok(payload.clone()));
        }
        let stored = self.repository.layout.image(&digest);
        if !stored.is_file() {
            return Ok(Err(Skipped::ImageNotAtHand));
        }
        let old = durable::read_bounded(&stored, self.repository.settings.max_image_bytes)?;
        if Sha256Digest::of(&old) != from.sha256 {
            return Ok(Err(Skipped::ImageDamaged));
        }
        let (options, progress) = (self.options(), self.progress);
        let made = make(&path, progress, |to, progress| {
            firmware_delta::diff(&old, new, &options, to, progress)
        })?;
        if length_of(&made.0) >= full_length {
            return Ok(Err(Skipped::NotSmaller));
        }
        self.keep(path, made).map(Ok)
    }

    fn read(&self, slot: &SlotClass, source: &ImageSource) -> Result<Vec<u8>> {
        let limit = self.repository.settings.max_image_bytes;
        let bytes = match source {
            ImageSource::File(path) => durable::read_bounded(path, limit)?,
            ImageSource::Bytes(bytes) => bytes.clone(),
        };
        if bytes.is_empty() {
            return Err(Error::release(format!("its {slot} image is empty")));
        }
        if length_of(&bytes) > limit {
            return Err(Error::release(format!(
                "its {slot} image has more than {limit} bytes"
            )));
        }
        Ok(bytes)
    }

    /// The same image of the same version, if there is one; a version names one image.
    fn same_version<'m>(
        &self,
        slot: &SlotClass,
        sha256: Sha256Digest,
        known: &[&'m ReleaseManifest],
    ) -> Result<Option<&'m Image>> {
        let same = known
            .iter()
            .filter(|manifest| manifest.version == self.request.version);
        let mut images = same
            .filter_map(|manifest| manifest.images.get(slot))
            .peekable();
        if let Some(other) = images.peek().filter(|image| image.sha256 != sha256) {
            return Err(Error::SameVersion {
                product: self.request.product.to_string(),
                version: self.request.version.to_string(),
                slot: slot.to_string(),
                existing: other.sha256.to_string(),
            });
        }
        Ok(images.next())
    }

    fn path(&self, name: &str) -> Result<TargetPath> {
        Ok(TargetPath::new(&format!(
            "{}/{name}",
            self.request.product
        ))?)
    }

    fn options(&self) -> DiffOptions {
        let mut options = DiffOptions::default();
        options.level = self.repository.settings.compression_level;
        options
    }

    /// Whether a payload that a manifest names is still at hand; then it is named once more.
    fn use_again(&mut self, payload: &Payload) -> bool {
        let file = self.offered.targets.get(payload.path.as_str());
        let at_hand = file.filter(|file| {
            self.repository
                .target(&payload.path, &file.hashes)
                .is_some()
        });
        self.files
            .extend(at_hand.map(|file| (payload.path.clone(), file.clone())));
        at_hand.is_some()
    }

    fn keep(&mut self, path: TargetPath, made: (Vec<u8>, Built)) -> Result<Payload> {
        let (bytes, built) = made;
        self.repository.stage_target(&path, &bytes)?;
        self.files.insert(path.clone(), target_file(&bytes));
        let head = Sha256Digest::from_bytes(built.head);
        Ok(Payload {
            path,
            length: length_of(&bytes),
            head,
        })
    }
}

/// Runs a maker of payloads into memory, and passes on how far it is.
fn make(
    path: &TargetPath,
    progress: OnProgress<'_>,
    maker: impl FnOnce(&mut Vec<u8>, &(dyn Fn(DiffProgress) + Sync)) -> Result<Built, DiffError>,
) -> Result<(Vec<u8>, Built)> {
    let mut bytes = Vec::new();
    let built = maker(&mut bytes, &|now: DiffProgress| {
        let stage = match now.stage {
            DiffStage::Unpack => "unpacking",
            DiffStage::Index => "indexing",
            DiffStage::Match => "comparing",
            DiffStage::Compress => "compressing",
            _ => "writing",
        };
        progress(Progress {
            file: path.as_str(),
            stage,
            done: now.done,
            total: now.total,
        });
    });
    let built = built.map_err(|source| Error::Diff {
        path: path.to_string(),
        source: Box::new(source),
    })?;
    Ok((bytes, built))
}
