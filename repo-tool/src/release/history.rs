//! Earlier releases of a product, read from the versions of its role that were published.

use metadata_schema::limits::Limits;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::release::{Channel, FirmwareVersion, ReleaseManifest};
use metadata_schema::roles::Targets;

use crate::assemble::metadata_name;
use crate::error::Result;
use crate::published::read_role;
use crate::release::is_manifest;
use crate::repository::{Repository, State};

/// How many published versions of the role are looked at.
const MAX_VERSIONS: usize = 500;

/// What a product has offered so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Every version of every channel once, as it was offered last; the last offered first.
    manifests: Vec<ReleaseManifest>,
}

impl History {
    /// The releases that devices may run, the highest version first, each version once.
    pub(crate) fn releases(&self) -> Vec<&ReleaseManifest> {
        let mut found: Vec<&ReleaseManifest> = Vec::new();
        for manifest in &self.manifests {
            if !found.iter().any(|other| other.version == manifest.version) {
                found.push(manifest);
            }
        }
        found.sort_by(|a, b| b.version.cmp(&a.version));
        found
    }

    /// All manifests, the last offered first.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &ReleaseManifest> {
        self.manifests.iter()
    }

    /// What a channel offered, the last offered first.
    pub(crate) fn of<'h>(
        &'h self,
        channel: &'h Channel,
    ) -> impl Iterator<Item = &'h ReleaseManifest> {
        let manifests = self.manifests.iter();
        manifests.filter(move |manifest| manifest.channel == *channel)
    }

    /// A version that a channel offered.
    pub(crate) fn release(
        &self,
        channel: &Channel,
        version: &FirmwareVersion,
    ) -> Option<&ReleaseManifest> {
        let is_it = |manifest: &&ReleaseManifest| {
            manifest.channel == *channel && manifest.version == *version
        };
        self.manifests.iter().find(is_it)
    }
}

impl Repository {
    /// What a product has offered so far, as far as its metadata is still there.
    pub(crate) fn history(&self, role: &RoleName, state: &State) -> Result<History> {
        let mut history = History::default();
        let latest = state.published_version(role).map_or(0, Version::number);
        let mut seen: Vec<(String, String)> = Vec::new();
        for number in (1..=latest).rev().take(MAX_VERSIONS) {
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
                let same = (path.clone(), file.hashes.file_prefix());
                if seen.contains(&same) {
                    continue;
                }
                seen.push(same);
                let Ok(manifest) = self.manifest(role, path, file) else {
                    continue;
                };
                let known = history.release(&manifest.channel, &manifest.version);
                if known.is_none() {
                    history.manifests.push(manifest);
                }
            }
        }
        Ok(history)
    }
}
