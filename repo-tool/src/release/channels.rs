//! Channels over time: the same bytes in another channel, a rollout that stops or opens, a release that is taken back.
//!
//! None of this touches a payload: a manifest changes, people sign it, and each device decides by it. What a channel offers
//! may go back to an older release; versions of *metadata* always rise, so that no mirror can bring back what was taken
//! away, and no device ever goes back to older *firmware*.

use std::collections::BTreeMap;

use metadata_schema::name::TargetPath;
use metadata_schema::release::{
    Channel, FirmwareVersion, MAX_REASON, MAX_WITHDRAWN, Payload, Product, ReleaseManifest,
    Rollout, Wave, Withdrawn, manifest_path,
};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::release::request::{check_rises, check_waves};
use crate::release::{History, OnDisk, on_disk::Makes};
use crate::repository::{Repository, State};
use crate::shelf::Shelf;

/// What a channel offered, and will offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChannelChange {
    /// The product.
    pub product: String,
    /// The channel.
    pub channel: String,
    /// The version that it offered; none if it offered nothing.
    pub from: Option<String>,
    /// The version that it will offer; none if nothing.
    pub to: Option<String>,
    /// Whether its rollout is paused.
    pub paused: bool,
    /// Versions that are taken back.
    pub withdrawn: Vec<String>,
}

/// A release to take back.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// Which one; the one that the channel offers if none is given.
    pub version: Option<FirmwareVersion>,
    /// What to offer instead; the highest version that the channel offered before if none is given.
    pub instead: Option<FirmwareVersion>,
    /// Why: signed, and shown by devices that run it. None for a quiet return to what was offered before.
    pub reason: Option<String>,
}

/// A product's channels, open for a change.
struct Desk<'a> {
    shelf: Shelf<'a>,
    offered: BTreeMap<String, ReleaseManifest>,
    history: History,
    product: &'a Product,
}

impl Repository {
    /// Stages that channel `to` offers what channel `from` does: the same images and payloads, with another rollout.
    ///
    /// # Errors
    /// If `from` offers nothing, the release was withdrawn, or version or security version would fall in `to`.
    pub fn promote(
        &self,
        product: &Product,
        (from, to): (&Channel, &Channel),
        rollout: &Rollout,
        now: Timestamp,
    ) -> Result<ChannelChange> {
        check_waves(&rollout.waves)?;
        self.change(product, to, now, |desk, before| {
            let source = desk.offers(from)?;
            if source.withdrawal(&source.version).is_some() {
                let why = format!("{} was withdrawn in channel {from}", source.version);
                return Err(Error::release(why));
            }
            let earlier = before.into_iter().chain(desk.history.of(to));
            let security = Some(source.security_version);
            check_rises((product, to), (&source.version, security), earlier)?;
            let last = before.or_else(|| desk.history.of(to).next());
            Ok(Some(ReleaseManifest {
                channel: to.clone(),
                rollout: rollout.clone(),
                withdrawn: last.map(|last| last.withdrawn.clone()).unwrap_or_default(),
                ..source.clone()
            }))
        })
    }

    /// Stages that a channel no longer offers a release: it offers the one before instead, or nothing. Devices that have the
    /// release keep it; with a reason, they say so, and take the next release without waiting for its wave.
    ///
    /// # Errors
    /// If the channel never offered it, what is to be offered instead is not lower or not at hand, or the reason is empty
    /// or too long.
    pub fn withdraw(
        &self,
        product: &Product,
        channel: &Channel,
        withdrawal: &Withdrawal,
        now: Timestamp,
    ) -> Result<ChannelChange> {
        let on_disk = OnDisk::list(self, &format!("{product}/"));
        self.change(product, channel, now, |desk, before| {
            let before = before.ok_or_else(|| nothing(product, channel))?;
            let version = withdrawal.version.as_ref().unwrap_or(&before.version);
            let withdrawn = noted(before, version, withdrawal.reason.as_deref(), now)?;
            if *version != before.version {
                if desk.history.release(channel, version).is_none() {
                    let why = format!("channel {channel} never offered {version}");
                    return Err(Error::release(why));
                }
                if withdrawal.reason.is_none() {
                    let why = format!("channel {channel} offers {}, not {version}", before.version);
                    return Err(Error::release(why));
                }
                return Ok(Some(ReleaseManifest {
                    withdrawn,
                    ..before.clone()
                }));
            }
            let taken_back =
                |version: &FirmwareVersion| withdrawn.iter().any(|entry| entry.version == *version);
            let lower = |other: &&ReleaseManifest| {
                other.version < before.version && !taken_back(&other.version)
            };
            let former = match &withdrawal.instead {
                None => desk
                    .history
                    .of(channel)
                    .filter(lower)
                    .max_by_key(|m| m.version.clone()),
                Some(wanted) => {
                    let found = desk.history.release(channel, wanted).filter(lower);
                    let why = || format!("{wanted} is no earlier release of channel {channel}");
                    Some(found.ok_or_else(|| Error::release(why()))?)
                }
            };
            let Some(former) = former.cloned() else {
                // Nothing to go back to: with a reason, the manifest stays, to say it to those who run the release.
                // An updater that does not know the list knows what a pause is.
                let stays = withdrawal.reason.is_some();
                let mut last = before.clone();
                last.withdrawn = withdrawn;
                last.rollout.paused = true;
                return Ok(stays.then_some(last));
            };
            let mut former = ReleaseManifest {
                withdrawn,
                ..former
            };
            desk.name_again(&mut former, &on_disk)?;
            Ok(Some(former))
        })
    }

    /// Stages that nobody installs what a channel offers for now, or that they may again.
    ///
    /// # Errors
    /// If it offers nothing.
    pub fn pause(
        &self,
        product: &Product,
        channel: &Channel,
        paused: bool,
        now: Timestamp,
    ) -> Result<ChannelChange> {
        self.change(product, channel, now, |_, before| {
            let mut manifest = before.cloned().ok_or_else(|| nothing(product, channel))?;
            if !paused && manifest.withdrawal(&manifest.version).is_some() {
                let why = format!(
                    "{} was withdrawn: nobody is to install it",
                    manifest.version
                );
                return Err(Error::release(why));
            }
            manifest.rollout.paused = paused;
            Ok(Some(manifest))
        })
    }

    /// Stages other waves for what a channel offers; none at all means everybody, at once.
    ///
    /// # Errors
    /// If it offers nothing, or the waves are not in order.
    pub fn set_waves(
        &self,
        product: &Product,
        channel: &Channel,
        waves: &[Wave],
        now: Timestamp,
    ) -> Result<ChannelChange> {
        check_waves(waves)?;
        self.change(product, channel, now, |_, before| {
            let mut manifest = before.cloned().ok_or_else(|| nothing(product, channel))?;
            manifest.rollout.waves = waves.to_vec();
            Ok(Some(manifest))
        })
    }

    fn change(
        &self,
        product: &Product,
        channel: &Channel,
        now: Timestamp,
        next: impl FnOnce(&mut Desk<'_>, Option<&ReleaseManifest>) -> Result<Option<ReleaseManifest>>,
    ) -> Result<ChannelChange> {
        let _lock = self.lock()?;
        let state: State = self.state()?;
        let role = crate::products::role_of(product)?;
        let shelf = Shelf::open(&state, &role)?;
        let mut desk = Desk {
            offered: self.manifests(&role, shelf.product()?)?,
            history: self.history(&role, &state)?,
            shelf,
            product,
        };
        let path = manifest_path(product, channel)?;
        let before = desk.offered.get(path.as_str()).cloned();
        let after = next(&mut desk, before.as_ref())?;
        if after != before {
            self.offer(&mut desk.shelf, &desk.offered, &path, after.as_ref())?;
        }
        desk.shelf.stage(self, now)?;
        let version = |manifest: &ReleaseManifest| manifest.version.to_string();
        let withdrawn = after.iter().flat_map(|manifest| &manifest.withdrawn);
        Ok(ChannelChange {
            product: product.to_string(),
            channel: channel.to_string(),
            from: before.as_ref().map(version),
            to: after.as_ref().map(version),
            paused: after
                .as_ref()
                .is_some_and(|manifest| manifest.rollout.paused),
            withdrawn: withdrawn.map(|entry| entry.version.to_string()).collect(),
        })
    }
}

impl Desk<'_> {
    /// What a channel offers.
    fn offers(&self, channel: &Channel) -> Result<&ReleaseManifest> {
        let path = manifest_path(self.product, channel)?;
        let offered = self.offered.get(path.as_str());
        offered.ok_or_else(|| nothing(self.product, channel))
    }

    /// Names the payloads of an earlier release again. Deltas that are gone are done without.
    fn name_again(&mut self, manifest: &mut ReleaseManifest, on_disk: &OnDisk) -> Result<()> {
        let shelf = &mut self.shelf;
        let mut name = |payload: &Payload, makes: Makes| -> Result<bool> {
            if shelf.file(&payload.path)?.is_some() {
                return Ok(true);
            }
            let found = on_disk.find(&payload.path, makes);
            let Some((_, file)) = found.filter(|(found, _)| found == payload) else {
                return Ok(false);
            };
            shelf.insert(&payload.path, file)?;
            Ok(true)
        };
        for image in manifest.images.values_mut() {
            let (sha256, length) = (image.sha256, image.length);
            let makes = |from| Makes {
                image: (sha256, length),
                from,
            };
            if !name(&image.full, makes(None))? {
                return Err(gone(&manifest.version, &image.full.path));
            }
            let mut kept = BTreeMap::new();
            for (from, delta) in &image.deltas {
                if name(delta, makes(Some(*from)))? {
                    kept.insert(*from, delta.clone());
                }
            }
            image.deltas = kept;
        }
        Ok(())
    }
}

/// The list of what was taken back, with one more if there is a reason; of too many, the lowest versions are left out.
fn noted(
    before: &ReleaseManifest,
    version: &FirmwareVersion,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Withdrawn>> {
    let mut withdrawn = before.withdrawn.clone();
    let Some(reason) = reason else {
        return Ok(withdrawn);
    };
    if reason.trim().is_empty() || reason.len() > MAX_REASON {
        let why = format!("the reason needs 1 to {MAX_REASON} bytes: devices show it");
        return Err(Error::release(why));
    }
    let entry = before.withdrawal(version);
    if entry.is_none_or(|entry| entry.reason != reason) {
        withdrawn.retain(|entry| entry.version != *version);
        withdrawn.push(Withdrawn {
            version: version.clone(),
            reason: reason.to_owned(),
            since: now,
        });
        withdrawn.sort_by(|a, b| b.version.cmp(&a.version));
        withdrawn.truncate(MAX_WITHDRAWN);
    }
    Ok(withdrawn)
}

fn nothing(product: &Product, channel: &Channel) -> Error {
    Error::release(format!("channel {channel} of {product} offers nothing"))
}

fn gone(version: &FirmwareVersion, path: &TargetPath) -> Error {
    let why = format!("{version} cannot be offered again: its payload {path} is no longer there");
    Error::release(why)
}
