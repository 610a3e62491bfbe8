//! What a release manager asks for, and what of it cannot be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use metadata_schema::json::{Json, Object};
use metadata_schema::release::{
    Channel, FirmwareVersion, HardwareId, MAX_CUSTOM, Product, ReleaseManifest, Rollout, SlotClass,
    Wave,
};

use crate::error::{Error, Result};
use crate::release::History;

/// Where an image comes from.
#[derive(Clone, Debug)]
pub enum ImageSource {
    /// A file or a block device, which is read to its end.
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
    /// Versions from which there are deltas besides these.
    pub delta_from: Vec<FirmwareVersion>,
    /// Which share of the fleet may install from when.
    pub rollout: Rollout,
    /// What is added for applications.
    pub custom: Object,
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
            delta_from: Vec::new(),
            rollout: Rollout::default(),
            custom: Object::new(),
        }
    }

    /// Refuses what no device should ever be offered. `before` is what the channel offers now.
    pub(crate) fn check(&self, before: Option<&ReleaseManifest>, history: &History) -> Result<()> {
        if self.images.is_empty() {
            return Err(Error::release("it has no image"));
        }
        let requires = self.requires.as_ref();
        if requires.is_some_and(|requires| *requires >= self.version) {
            return Err(Error::release(
                "it requires its own version, or a later one",
            ));
        }
        let length = Json::Object(self.custom.clone()).canonical().len();
        if length > MAX_CUSTOM {
            let why = format!("its custom fields have {length} bytes, {MAX_CUSTOM} are allowed");
            return Err(Error::release(why));
        }
        check_waves(&self.rollout.waves)?;
        let earlier = before.into_iter().chain(history.of(&self.channel));
        check_rises(
            (&self.product, &self.channel),
            (&self.version, self.security_version),
            earlier,
        )
    }

    /// The releases from which there will be deltas: the latest below the new one that may update to it directly, and those
    /// that were named.
    pub(crate) fn sources<'h>(
        &self,
        history: &'h History,
        deltas: u32,
    ) -> Result<Vec<&'h ReleaseManifest>> {
        let count = usize::try_from(self.deltas.unwrap_or(deltas)).unwrap_or(usize::MAX);
        let releases = history.releases();
        let eligible = |earlier: &&ReleaseManifest| {
            let requires = self.requires.as_ref();
            earlier.version < self.version
                && requires.is_none_or(|requires| earlier.version >= *requires)
        };
        for named in &self.delta_from {
            let found = releases.iter().find(|earlier| earlier.version == *named);
            if found.copied().filter(eligible).is_none() {
                let why = match found {
                    None => format!("no delta from {named}: it was never published"),
                    Some(_) => format!("no delta from {named}: it may not update to this release"),
                };
                return Err(Error::release(why));
            }
        }
        let latest = releases.iter().copied().filter(eligible).take(count);
        let mut sources: Vec<&ReleaseManifest> = latest.collect();
        for earlier in releases {
            let named = self.delta_from.contains(&earlier.version);
            if named
                && !sources
                    .iter()
                    .any(|source| source.version == earlier.version)
            {
                sources.push(earlier);
            }
        }
        Ok(sources)
    }
}

/// Waves open one after the other, each for as many devices as the one before or more.
pub(crate) fn check_waves(waves: &[Wave]) -> Result<()> {
    let in_order = |(a, b): (&Wave, &Wave)| a.start <= b.start && a.percent <= b.percent;
    if waves.iter().zip(waves.iter().skip(1)).all(in_order) {
        return Ok(());
    }
    Err(Error::release(
        "a later wave has a smaller share, or the waves are not in order",
    ))
}

/// Version and security version of a channel never fall, whatever was withdrawn: devices that have the higher one would
/// never take the lower.
pub(crate) fn check_rises<'h>(
    (product, channel): (&Product, &Channel),
    (version, security_version): (&FirmwareVersion, Option<u64>),
    earlier: impl Iterator<Item = &'h ReleaseManifest>,
) -> Result<()> {
    let falls = |what, current: String, offered: String| Error::Falls {
        what,
        product: product.to_string(),
        channel: channel.to_string(),
        current,
        offered,
    };
    for before in earlier {
        if *version < before.version {
            let (current, offered) = (before.version.to_string(), version.to_string());
            return Err(falls("version", current, offered));
        }
        if before.withdrawal(version).is_some() {
            let why = format!("{version} was withdrawn: give the repaired firmware a new version");
            return Err(Error::release(why));
        }
        if let Some(offered) = security_version.filter(|new| *new < before.security_version) {
            let current = before.security_version.to_string();
            return Err(falls("security version", current, offered.to_string()));
        }
    }
    Ok(())
}
