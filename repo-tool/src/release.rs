//! Releases: images in, manifest and payloads out, staged in the product's role.

mod forecast;
mod history;
mod payloads;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use metadata_schema::name::{RoleName, TargetPath};
use metadata_schema::release::{
    Channel, FirmwareVersion, HardwareId, MAX_LENGTH, Product, ReleaseManifest, Rollout, SlotClass,
    manifest_path,
};
use metadata_schema::roles::{DelegatedRole, TargetFile, Targets};
use metadata_schema::time::Timestamp;

use crate::assemble::target_file;
use crate::error::{Error, Result};
use crate::progress::OnProgress;
use crate::repository::{Repository, State};
use crate::staged::stage;

pub use forecast::{DeltaForecast, Forecast, ImageForecast, Skipped};
use history::Earlier;
use payloads::Workshop;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A file.
    File(PathBuf),
    /// Bytes at hand.
    Bytes(Vec<u8>),
}

/// A release to make.
#[derive(Clone, Debug)]
pub struct ReleaseRequest {
    /// The product.
    pub product: Product,
    /// The channel that offers it.
    pub channel: Channel,
    /// Version of the firmware.
    pub version: FirmwareVersion,
    /// Anti-rollback number; as in the release before if none is given.
    pub security_version: Option<u64>,
    /// Hardware revisions that it fits; as in the release before if none is given.
    pub hardware: Vec<HardwareId>,
    /// Images by slot class.
    pub images: BTreeMap<SlotClass, ImageSource>,
    /// The least version that may update to this one directly.
    pub requires: Option<FirmwareVersion>,
    /// What changed, for people.
    pub notes: String,
    /// From how many earlier versions there are deltas; as the settings say if none is given.
    pub deltas: Option<u32>,
    /// Which share of the fleet may install from when.
    pub rollout: Rollout,
}

impl ReleaseRequest {
    /// A release for everybody at once, with nothing said that need not be.
    pub fn new(product: Product, channel: Channel, version: FirmwareVersion) -> Self {
        Self {
            product,
            channel,
            version,
            security_version: None,
            hardware: Vec::new(),
            images: BTreeMap::new(),
            requires: None,
            notes: String::new(),
            deltas: None,
            rollout: Rollout::default(),
        }
    }
}

impl Repository {
    /// Stages a release: its payloads, its manifest, and the next version of the product's role. Says what a device will
    /// have to download.
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
        let delegation = delegation(&state, &role)?;
        let current = state
            .delegated(&role)?
            .ok_or_else(|| Error::NoSuchProduct {
                product: request.product.to_string(),
            })?;
        let mut targets = current.clone();
        let offered = self.manifests(&role, current)?;
        let path = manifest_path(&request.product, &request.channel)?;
        let before = offered.get(path.as_str());
        check_request(request, before)?;
        let history = self.history(&role, &state)?;

        let mut workshop = Workshop::new(self, request, current, progress);
        let known = offered
            .values()
            .chain(history.iter().map(|earlier| &earlier.manifest));
        let known: Vec<&ReleaseManifest> = known.collect();
        let sources = sources(request, &history, self.settings.deltas);
        let mut images = BTreeMap::new();
        for (slot, source) in &request.images {
            images.insert(
                slot.clone(),
                workshop.image(slot, source, &known, &sources)?,
            );
        }
        let manifest = manifest(request, before, images, now)?;
        let bytes = manifest.to_bytes();
        let manifest = ReleaseManifest::read(&role, &bytes)?;
        self.stage_target(&path, &bytes)?;
        targets
            .targets
            .insert(path.as_str().to_owned(), target_file(&bytes));
        for (path, file) in workshop.files() {
            targets
                .targets
                .insert(path.as_str().to_owned(), file.clone());
        }
        self.drop_unnamed(&role, &mut targets)?;
        check_paths(&targets, delegation)?;
        targets.common = state.next(&role, &self.settings, now)?;
        stage(&self.layout, &role, &targets)?;
        Ok(workshop.forecast(&manifest))
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

    fn manifest(&self, role: &RoleName, path: &str, file: &TargetFile) -> Result<ReleaseManifest> {
        let bytes = self.read_target(role, &TargetPath::new(path)?, file, MAX_LENGTH)?;
        Ok(ReleaseManifest::read(role, &bytes)?)
    }

    /// Payloads that no manifest names any more leave the metadata; their files stay for devices that are on their way.
    fn drop_unnamed(&self, role: &RoleName, targets: &mut Targets) -> Result<()> {
        let mut named = BTreeSet::new();
        for manifest in self.manifests(role, targets)?.values() {
            for image in manifest.images.values() {
                let payloads = std::iter::once(&image.full).chain(image.deltas.values());
                named.extend(payloads.map(|payload| payload.path.as_str().to_owned()));
            }
        }
        targets
            .targets
            .retain(|path, _| named.contains(path) || !is_payload(path));
        Ok(())
    }
}

pub(crate) fn is_manifest(path: &str) -> bool {
    path.ends_with(".release.json")
}

fn is_payload(path: &str) -> bool {
    path.ends_with(".full") || path.ends_with(".delta")
}

fn delegation<'a>(state: &'a State, role: &RoleName) -> Result<&'a DelegatedRole> {
    let delegations = state
        .targets()
        .and_then(|targets| targets.delegations.as_ref());
    delegations
        .and_then(|delegations| delegations.role(role))
        .ok_or_else(|| Error::NoSuchProduct {
            product: role.to_string(),
        })
}

fn check_request(request: &ReleaseRequest, before: Option<&ReleaseManifest>) -> Result<()> {
    if request.images.is_empty() {
        return Err(Error::release("it has no image"));
    }
    if request
        .requires
        .as_ref()
        .is_some_and(|requires| *requires >= request.version)
    {
        return Err(Error::release(
            "it requires its own version, or a later one",
        ));
    }
    let waves = &request.rollout.waves;
    let in_order = |(a, b): (
        &metadata_schema::release::Wave,
        &metadata_schema::release::Wave,
    )| { a.start <= b.start && a.percent <= b.percent };
    if !waves.iter().zip(waves.iter().skip(1)).all(in_order) {
        return Err(Error::release(
            "a later wave has a smaller share, or the waves are not in order",
        ));
    }
    let Some(before) = before else { return Ok(()) };
    let falls = |what, current: String, offered: String| {
        let (product, channel) = (request.product.to_string(), request.channel.to_string());
        Err(Error::Falls {
            what,
            product,
            channel,
            current,
            offered,
        })
    };
    if request.version < before.version {
        return falls(
            "version",
            before.version.to_string(),
            request.version.to_string(),
        );
    }
    match request.security_version {
        Some(offered) if offered < before.security_version => falls(
            "security version",
            before.security_version.to_string(),
            offered.to_string(),
        ),
        _ => Ok(()),
    }
}

/// Versions that get a delta: the latest below the new one that may update to it directly.
fn sources<'a>(request: &ReleaseRequest, history: &'a [Earlier], deltas: u32) -> Vec<&'a Earlier> {
    let count = usize::try_from(request.deltas.unwrap_or(deltas)).unwrap_or(usize::MAX);
    let eligible = |earlier: &&Earlier| {
        let version = &earlier.manifest.version;
        *version < request.version
            && request
                .requires
                .as_ref()
                .is_none_or(|requires| version >= requires)
    };
    history.iter().filter(eligible).take(count).collect()
}

fn manifest(
    request: &ReleaseRequest,
    before: Option<&ReleaseManifest>,
    images: BTreeMap<SlotClass, metadata_schema::release::Image>,
    now: Timestamp,
) -> Result<ReleaseManifest> {
    let hardware = match before {
        Some(before) if request.hardware.is_empty() => before.hardware.clone(),
        _ => request.hardware.clone(),
    };
    if hardware.is_empty() {
        return Err(Error::release("it names no hardware that it fits"));
    }
    // To make the same release once more must change nothing.
    let again = before.filter(|before| before.version == request.version);
    Ok(ReleaseManifest {
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
    })
}

/// What the role may not speak about, no device would ever find.
fn check_paths(targets: &Targets, delegation: &DelegatedRole) -> Result<()> {
    for path in targets.targets.keys() {
        if !delegation.paths.contains(&TargetPath::new(path)?) {
            let why = format!("role {} may not speak about {path}", delegation.name);
            return Err(Error::release(why));
        }
    }
    Ok(())
}
