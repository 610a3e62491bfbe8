//! Payloads: the whole image, and what changed since earlier ones, made on all cores.
//!
//! A payload that was made before is used again, once its bytes were read and compared: after an interruption, in another
//! channel, for another version with the same image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Write};

use device_pki::durable::{self, Replacement};
use firmware_delta::{Built, DiffError, DiffOptions, DiffProgress, DiffStage};
use metadata_schema::digest::{Hashes, Running, Sha256Digest};
use metadata_schema::name::TargetPath;
use metadata_schema::release::{Image, Payload, ReleaseManifest, SlotClass};
use metadata_schema::roles::TargetFile;

use crate::assemble::target_file_path;
use crate::error::{Error, Result};
use crate::parallel;
use crate::progress::{OnProgress, Progress};
use crate::release::images::Taken;
use crate::release::on_disk::{Makes, OnDisk};
use crate::release::{DeltaForecast, ImageForecast, ReleaseRequest, Skipped};
use crate::repository::Repository;

/// Makes the payloads of one release.
pub(crate) struct Workshop<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) request: &'a ReleaseRequest,
    /// Manifests whose payloads may do once more.
    pub(crate) known: &'a [&'a ReleaseManifest],
    pub(crate) on_disk: &'a OnDisk,
    pub(crate) progress: OnProgress<'a>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) images: BTreeMap<SlotClass, Image>,
    pub(crate) files: BTreeMap<TargetPath, TargetFile>,
    pub(crate) forecasts: Vec<ImageForecast>,
}

/// One payload to make.
struct Job<'t> {
    image: &'t Taken,
    from: Option<Sha256Digest>,
    path: TargetPath,
}

type Outcome = Result<(Payload, TargetFile), Skipped>;

impl Workshop<'_> {
    /// Makes what is not there yet: a full payload of each image, and deltas from the images of `sources`.
    pub(crate) fn make(&self, images: &[Taken], sources: &[&ReleaseManifest]) -> Result<Made> {
        let mut jobs = Vec::new();
        for image in images {
            jobs.push(self.job(image, None)?);
            let starts = sources
                .iter()
                .filter_map(|earlier| earlier.images.get(&image.slot));
            let starts: BTreeSet<Sha256Digest> = starts.map(|start| start.sha256).collect();
            for from in starts {
                jobs.push(self.job(image, Some(from))?);
            }
        }
        let outcomes = parallel::map(&jobs, |job| self.outcome(job))?;
        let mut made = Made::default();
        let mut done: BTreeMap<(SlotClass, Option<Sha256Digest>), Outcome> = BTreeMap::new();
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            done.insert((job.image.slot.clone(), job.from), outcome);
        }
        for image in images {
            self.put_together(image, sources, &mut done, &mut made)?;
        }
        Ok(made)
    }

    fn put_together(
        &self,
        image: &Taken,
        sources: &[&ReleaseManifest],
        done: &mut BTreeMap<(SlotClass, Option<Sha256Digest>), Outcome>,
        made: &mut Made,
    ) -> Result<()> {
        let slot = &image.slot;
        let Some(Ok((full, file))) = done.remove(&(slot.clone(), None)) else {
            return Err(Error::release(format!("its {slot} image has no payload")));
        };
        made.files.insert(full.path.clone(), file);
        let mut deltas = BTreeMap::new();
        let mut forecasts = Vec::new();
        for earlier in sources {
            let Some(start) = earlier.images.get(slot) else {
                continue;
            };
            let (mut bytes, mut skipped) = (full.length, None);
            match done.get(&(slot.clone(), Some(start.sha256))) {
                Some(Ok((delta, file))) if delta.length < full.length => {
                    bytes = delta.length;
                    deltas.insert(start.sha256, delta.clone());
                    made.files.insert(delta.path.clone(), file.clone());
                }
                Some(Err(why)) => skipped = Some(*why),
                _ => skipped = Some(Skipped::NotSmaller),
            }
            forecasts.push(DeltaForecast {
                from_version: earlier.version.to_string(),
                from_image: start.sha256,
                bytes,
                skipped,
            });
        }
        made.forecasts.push(ImageForecast {
            slot: slot.to_string(),
            sha256: image.sha256,
            bytes: image.length,
            full_bytes: full.length,
            deltas: forecasts,
        });
        let image = Image {
            length: image.length,
            sha256: image.sha256,
            full,
            deltas,
        };
        made.images.insert(slot.clone(), image);
        Ok(())
    }

    fn job<'t>(&self, image: &'t Taken, from: Option<Sha256Digest>) -> Result<Job<'t>> {
        let (product, version) = (&self.request.product, &self.request.version);
        let slot = &image.slot;
        let name = match from {
            None => format!("{product}/{slot}-{version}.full"),
            Some(from) => {
                let digest = from.to_string();
                let start: String = digest.chars().take(8).collect();
                format!("{product}/{slot}-{version}-from-{start}.delta")
            }
        };
        let path = TargetPath::new(&name)?;
        Ok(Job { image, from, path })
    }

    fn outcome(&self, job: &Job<'_>) -> Result<Outcome> {
        if let Some(found) = self.made_before(job) {
            return Ok(Ok(found));
        }
        let options = self.options();
        let Some(from) = job.from else {
            let kept = &job.image.kept;
            let file = File::open(kept).map_err(|e| Error::io("open", kept, e))?;
            let mut file = BufReader::with_capacity(1 << 20, file);
            let folder = kept.parent().unwrap_or(kept);
            let mut spool = tempfile::tempfile_in(folder)
                .map_err(|e| Error::io("make a file in", folder, e))?;
            let made = self.write(&job.path, |to, progress| {
                firmware_delta::full(&mut file, &options, &mut spool, to, progress)
            });
            return made.map(Ok);
        };
        let stored = self.repository.layout.image(&from.to_string());
        if !stored.is_file() {
            return Ok(Err(Skipped::ImageNotAtHand));
        }
        let limit = self.repository.settings.max_image_bytes;
        let old = durable::read_bounded(&stored, limit)?;
        if Sha256Digest::of(&old) != from {
            return Ok(Err(Skipped::ImageDamaged));
        }
        let new = durable::read_bounded(&job.image.kept, limit)?;
        let made = self.write(&job.path, |to, progress| {
            firmware_delta::diff(&old, &new, &options, to, progress)
        });
        made.map(Ok)
    }

    /// A payload that is there already: one that a manifest names for the same image, or one that has the name.
    fn made_before(&self, job: &Job<'_>) -> Option<(Payload, TargetFile)> {
        let makes = Makes {
            image: (job.image.sha256, job.image.length),
            from: job.from,
        };
        let images = self
            .known
            .iter()
            .flat_map(|manifest| manifest.images.values());
        let named = images.filter(|image| image.sha256 == job.image.sha256);
        let named = named.filter_map(|image| match &job.from {
            None => Some(&image.full),
            Some(from) => image.deltas.get(from),
        });
        let mut seen = BTreeSet::new();
        named
            .map(|payload| &payload.path)
            .chain([&job.path])
            .filter(|path| seen.insert(path.as_str().to_owned()))
            .find_map(|path| self.on_disk.find(path, makes))
    }

    fn options(&self) -> DiffOptions {
        let mut options = DiffOptions::default();
        options.level = self.repository.settings.compression_level;
        options
    }

    /// Runs a maker of payloads into a file, which gets its name when it is whole.
    fn write(
        &self,
        path: &TargetPath,
        maker: impl FnOnce(&mut dyn Write, &(dyn Fn(DiffProgress) + Sync)) -> Result<Built, DiffError>,
    ) -> Result<(Payload, TargetFile)> {
        let staged = self.repository.layout.staged_targets();
        let unfinished = staged.join(format!("{path}.new"));
        if let Some(folder) = unfinished.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        let mut to = Digested {
            file: Replacement::begin(&unfinished, durable::PUBLIC)?,
            running: Running::default(),
        };
        let tell = |now: DiffProgress| {
            (self.progress)(Progress {
                file: path.as_str(),
                stage: stage(now.stage),
                done: now.done,
                total: now.total,
            });
        };
        let built = maker(&mut to, &tell).map_err(|source| Error::Diff {
            path: path.to_string(),
            source: Box::new(source),
        })?;
        let Digested { file, running } = to;
        file.finish()?;
        let (sha256, length) = running.finish();
        let hashes = Hashes::sha256(sha256);
        let place = staged.join(target_file_path(path, &hashes));
        fs::rename(&unfinished, &place).map_err(|e| Error::io("move into place", &place, e))?;
        let payload = Payload {
            path: path.clone(),
            length,
            head: Sha256Digest::from_bytes(built.head),
        };
        Ok((payload, TargetFile::new(length, hashes)))
    }
}

fn stage(stage: DiffStage) -> &'static str {
    match stage {
        DiffStage::Unpack => "unpacking",
        DiffStage::Index => "indexing",
        DiffStage::Match => "comparing",
        DiffStage::Compress => "compressing",
        _ => "writing",
    }
}

/// A file that is written and digested at once.
struct Digested {
    file: Replacement,
    running: Running,
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.push(bytes).map_err(io::Error::other)?;
        self.running.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
