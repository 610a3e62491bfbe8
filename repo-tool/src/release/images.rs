//! Images on their way in: files, block devices or bytes, of any size, read a piece at a time.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use device_pki::durable::{self, Replacement};
use metadata_schema::digest::{Running, Sha256Digest};
use metadata_schema::release::{HardwareId, Product, SlotClass};

use crate::error::{Error, Result};
use crate::parallel;
use crate::progress::{OnProgress, Progress};
use crate::release::ImageSource;
use crate::repository::Repository;

/// How much of an image is held at once, in bytes.
const PIECE: usize = 1 << 20;

/// An image that the folder of images has.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) slot: SlotClass,
    pub(crate) sha256: Sha256Digest,
    pub(crate) length: u64,
    /// Where it is kept, for this release's payloads and for deltas from it later.
    pub(crate) kept: PathBuf,
}

impl Repository {
    /// Reads the images of a release, all at once, and keeps them.
    pub(crate) fn take_in(
        &self,
        images: &[(&SlotClass, &ImageSource)],
        progress: OnProgress<'_>,
    ) -> Result<Vec<Taken>> {
        parallel::map(images, |(slot, source)| {
            self.take_in_one(slot, source, progress)
        })
    }

    fn take_in_one(
        &self,
        slot: &SlotClass,
        source: &ImageSource,
        progress: OnProgress<'_>,
    ) -> Result<Taken> {
        let digested = read(
            slot,
            source,
            self.settings.max_image_bytes,
            progress,
            |_| Ok(()),
        )?;
        let (sha256, length) = digested;
        let kept = self.layout.image(&sha256.to_string());
        let at_hand = kept.metadata().is_ok_and(|kept| kept.len() == length);
        if !at_hand {
            if let Some(folder) = kept.parent() {
                durable::create_dir_durable(folder, 0o755)?;
            }
            let mut file = Replacement::begin(&kept, durable::PUBLIC)?;
            let limit = self.settings.max_image_bytes;
            let again = read(slot, source, limit, progress, |piece| Ok(file.push(piece)?))?;
            if again != digested {
                let why = format!("its {slot} image changed while it was read");
                return Err(Error::release(why));
            }
            file.finish()?;
        }
        Ok(Taken {
            slot: slot.clone(),
            sha256,
            length,
            kept,
        })
    }

    /// Refuses images that exceed the slots which `repo.toml` declares for the hardware.
    pub(crate) fn check_slots(
        &self,
        product: &Product,
        hardware: &[HardwareId],
        images: &[Taken],
    ) -> Result<()> {
        let Some(declared) = self.settings.slots.get(product) else {
            return Ok(());
        };
        for revision in hardware {
            let Some(slots) = declared.get(revision) else {
                continue;
            };
            for image in images {
                let (slot, length) = (&image.slot, image.length);
                let size = slots.get(slot).copied();
                if size.is_some_and(|size| length <= size) {
                    continue;
                }
                let holds = size.map_or_else(
                    || format!("{revision} has no such slot"),
                    |size| format!("the slot of {revision} holds {size}"),
                );
                let why = format!("its {slot} image has {length} bytes, {holds}: repo.toml, slots");
                return Err(Error::release(why));
            }
        }
        Ok(())
    }
}

/// Reads an image to its end. Length and digest of what was read; each piece goes to `to`.
fn read(
    slot: &SlotClass,
    source: &ImageSource,
    limit: u64,
    progress: OnProgress<'_>,
    mut to: impl FnMut(&[u8]) -> Result<()>,
) -> Result<(Sha256Digest, u64)> {
    let (mut from, name, total): (Box<dyn Read + '_>, _, _) = match source {
        ImageSource::File(path) => {
            let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
            let total = file.metadata().map_or(0, |file| file.len());
            (Box::new(file), path.clone(), total)
        }
        ImageSource::Bytes(bytes) => (Box::new(bytes.as_slice()), slot.as_str().into(), 0),
    };
    let shown = name.display().to_string();
    let mut running = Running::default();
    let mut piece = vec![0; PIECE];
    let mut done: u64 = 0;
    loop {
        let count = from
            .read(&mut piece)
            .map_err(|e| Error::io("read", &name, e))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        running.update(bytes);
        done = done.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if done > limit {
            return Err(Error::release(format!(
                "its {slot} image has more than {limit} bytes"
            )));
        }
        to(bytes)?;
        progress(Progress {
            file: &shown,
            stage: "reading",
            done,
            total,
        });
    }
    if done == 0 {
        return Err(Error::release(format!("its {slot} image is empty")));
    }
    Ok(running.finish())
}
