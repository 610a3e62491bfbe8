//! Earlier releases of a product, read from the versions of its role that were published.

use device_pki::durable;
use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::release::ReleaseManifest;
use metadata_schema::roles::Targets;

use crate::assemble::metadata_name;
use crate::error::Result;
use crate::published::read_role;
use crate::release::is_manifest;
use crate::repository::{Repository, State};

/// How many published versions of the role are looked at.
const MAX_VERSIONS: u64 = 500;

/// A release that devices may run.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub(crate) manifest: ReleaseManifest,
}

impl Repository {
    /// The releases of a product that were published, of all channels, the highest version first, each version once.
    pub(crate) fn history(&self, role: &RoleName, state: &State) -> Result<Vec<Earlier>> {
        let mut found: Vec<Earlier> = Vec::new();
        let latest = state.published_version(role).map_or(0, Version::number);
        for number in (1..=latest)
            .rev()
            .take(usize::try_from(MAX_VERSIONS).unwrap_or(usize::MAX))
        {
            let Some(version) = Version::new(number) else {
                continue;
            };
            let path = self.layout.metadata().join(metadata_name(role, version));
            // Old versions may have been tidied away; then nobody wants a delta from them.
            if !path.is_file() {
                continue;
            }
            let targets: Targets = read_role(role, &path, Limits::default().targets_length)?;
            for (path, file) in targets.targets.iter().filter(|(path, _)| is_manifest(path)) {
                let Ok(manifest) = self.manifest(role, path, file) else {
                    continue;
                };
                if !found
                    .iter()
                    .any(|earlier| earlier.manifest.version == manifest.version)
                {
                    found.push(Earlier { manifest });
                }
            }
        }
        found.sort_by(|a, b| b.manifest.version.cmp(&a.manifest.version));
        Ok(found)
    }

    /// Keeps a raw image to make deltas from later.
    pub(crate) fn keep_image(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let path = self.layout.image(digest);
        if path.is_file() {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        Ok(durable::write(&path, bytes, durable::PUBLIC)?)
    }
}
