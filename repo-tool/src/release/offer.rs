//! What a channel offers: the one place where manifests enter and leave a product's role.

use std::collections::{BTreeMap, BTreeSet};

use metadata_schema::name::TargetPath;
use metadata_schema::release::{MAX_LENGTH, ReleaseManifest};

use crate::assemble::{length_of, target_file};
use crate::error::{Error, Result};
use crate::repository::Repository;
use crate::shelf::Shelf;

impl Repository {
    /// Lets the channel at `path` offer this, or nothing. `offered` is what all channels offer so far. Payloads that no
    /// manifest names any more leave the metadata; their files stay for devices that are on their way.
    pub(crate) fn offer(
        &self,
        shelf: &mut Shelf<'_>,
        offered: &BTreeMap<String, ReleaseManifest>,
        path: &TargetPath,
        manifest: Option<&ReleaseManifest>,
    ) -> Result<()> {
        let mut after: BTreeMap<&str, &ReleaseManifest> = offered
            .iter()
            .map(|(path, manifest)| (path.as_str(), manifest))
            .collect();
        match manifest {
            Some(manifest) => {
                let bytes = manifest.to_bytes();
                if length_of(&bytes) > MAX_LENGTH {
                    let why = format!("its manifest is longer than {MAX_LENGTH} bytes");
                    return Err(Error::release(why));
                }
                // What is signed must be readable: by the rules of whoever reads it.
                ReleaseManifest::read(shelf.name(), &bytes)?;
                self.stage_target(path, &bytes)?;
                shelf.insert(path, target_file(&bytes))?;
                after.insert(path.as_str(), manifest);
            }
            None => {
                shelf.remove(path)?;
                after.remove(path.as_str());
            }
        }
        let still = payloads(after.into_values());
        for gone in payloads(offered.values()).difference(&still) {
            shelf.remove(gone)?;
        }
        Ok(())
    }
}

fn payloads<'m>(manifests: impl Iterator<Item = &'m ReleaseManifest>) -> BTreeSet<&'m TargetPath> {
    let images = manifests.flat_map(|manifest| manifest.images.values());
    let payloads =
        images.flat_map(|image| std::iter::once(&image.full).chain(image.deltas.values()));
    payloads.map(|payload| &payload.path).collect()
}
