//! What one channel of a product offers, in one file for devices without a network.
//!
//! A tar file with the paths of a published folder: every file that a device asks for on its way to the release, and
//! `metadata/bundle.json`, in which the timestamp key says for how long the file may be installed from. It takes the place of the
//! expiry of timestamp, snapshot and `pki`, which machines sign every few days; what people sign expires as ever, so no bundle
//! is good for longer than that.

mod gathered;
mod tar;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use device_pki::durable::{self, Replacement};
use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::release::{
    Channel, FirmwareVersion, MAX_LENGTH, Payload, Product, ReleaseManifest, manifest_path,
};
use metadata_schema::roles::{Bundle, Common, Role as _};
use metadata_schema::time::Timestamp;
use metadata_schema::trusted::AtTargets;
use schemars::JsonSchema;
use serde::Serialize;

use crate::assemble::{length_of, meta_file, metadata_name, sign_role};
use crate::audit::{Action, Deed, RoleLine};
use crate::error::{Error, Result};
use crate::layout::PKI_ROLE;
use crate::progress::{OnProgress, Progress};
use crate::reading::Archive;
use crate::repository::{Repository, State};
use crate::schema::words::Time;
use crate::staged::Staged;
use crate::walk::{self, DeviceTrust, Folder, Scope, Source};
use gathered::{Gathered, Gathering};

/// Bytes that are copied at once.
const PIECE: usize = 256 * 1024;
/// The path of the statement within the file: the first entry, by which a bundle is known again.
const FIRST_ENTRY: &str = "metadata/bundle.json";

/// What a bundle is to hold.
#[derive(Clone, Debug)]
pub struct BundleOptions {
    /// Of which product; not needed if only one offers something.
    pub product: Option<Product>,
    /// Of which channel; not needed if only one offers something.
    pub channel: Option<Channel>,
    /// Versions that devices may run: deltas from them go in beside the full payloads.
    pub from: Vec<FirmwareVersion>,
    /// For how many days it may be installed from.
    pub days: u32,
}

impl Default for BundleOptions {
    /// The one release there is, full payloads only, for 90 days.
    fn default() -> Self {
        Self {
            product: None,
            channel: None,
            from: Vec::new(),
            days: 90,
        }
    }
}

/// A bundle that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bundled {
    /// The file.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The product.
    pub product: String,
    /// The channel.
    pub channel: String,
    /// The version of the firmware.
    pub version: String,
    /// Until when devices take it.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// The role that expires then, if that is sooner than what was asked for.
    pub shortened_by: Option<String>,
    /// The version of the timestamp that it holds.
    pub timestamp: u64,
    /// How many metadata files it holds.
    pub metadata_files: usize,
    /// The payloads in it.
    pub payloads: Vec<BundledPayload>,
    /// Versions that were named and from which there is no delta: their devices take the full payloads.
    pub without_delta: Vec<String>,
}

/// A payload in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BundledPayload {
    /// The slot class.
    pub slot: String,
    /// The version that it starts from; none for a full one.
    pub from: Option<String>,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its target path.
    pub path: String,
}

impl Repository {
    /// Writes what a channel offers into the file `to`. A bundle that is there is replaced, as a whole; any other file is not.
    ///
    /// # Errors
    /// If nothing is offered, or more than one thing and the options do not say which; if a device would refuse it, now or at
    /// the end of its time; if the timestamp key cannot be opened, or the file cannot be written.
    pub fn bundle(
        &self,
        to: &Path,
        options: &BundleOptions,
        now: Timestamp,
        progress: OnProgress<'_>,
    ) -> Result<Bundled> {
        let _lock = self.lock()?;
        replaceable(to)?;
        let mut state = self.state()?;
        state.staged = Staged::default();
        let (product, channel) = self.what(options, now)?;
        let source = Gathering::of(Folder::new(self.layout.published()));
        let trust = DeviceTrust {
            anchor: &self.anchor,
            minimums: &self.settings.device_minimum,
            crls: &[],
            first_root: self.settings.first_root(),
        };
        let mut at = walk::as_device(&source, &trust, now, &Scope::These(Vec::new()))?.at;
        let manifest = offered(&mut at, &source, &product, &channel)?;
        let (payloads, without_delta) =
            self.payloads(&mut at, &source, &manifest, &options.from, &state)?;
        let days = i64::from(options.days).saturating_mul(24 * 60 * 60);
        let (expires, shortened_by) = bounded(&at, now.plus_seconds(days));
        let name = metadata_name(&RoleName::timestamp(), Version::FIRST);
        let bytes = source.bytes(&name).ok_or(Error::MissingMetadata { name })?;
        let version = at.timestamp().common.version;
        let statement = Bundle {
            common: Common::new(Version::FIRST, now, expires),
            timestamp: meta_file(version, &bytes),
            product: product.clone(),
            channel: channel.clone(),
            extra: metadata_schema::json::Object::new(),
        };
        let key = self.online_signer(&state, &RoleName::timestamp())?;
        let signed = sign_role(statement.to_json(), &[&*key])?;
        let gathered = source.end(signed.to_bytes());
        holds_to_the_end(&gathered, &trust, &product, &channel, expires)?;
        let bytes = self.pack(to, &gathered, now, progress)?;
        let mut line = RoleLine::new(&RoleName::timestamp(), version.number());
        line.sha256 = Some(Sha256Digest::of(&signed.payload()));
        self.record(
            now,
            Deed {
                action: Action::Bundle,
                event: None,
                roles: vec![line],
                fork: None,
                note: Some(format!(
                    "{product}/{channel} {} until {expires}",
                    manifest.version
                )),
            },
        )?;
        Ok(Bundled {
            file: to.display().to_string(),
            bytes,
            product: product.to_string(),
            channel: channel.to_string(),
            version: manifest.version.to_string(),
            expires,
            shortened_by: shortened_by.map(|role| role.to_string()),
            timestamp: version.number(),
            metadata_files: gathered.metadata.len().saturating_add(1),
            payloads,
            without_delta,
        })
    }

    /// The one product and channel that fit the options.
    fn what(&self, options: &BundleOptions, now: Timestamp) -> Result<(Product, Channel)> {
        let wanted = |name: &str, option: Option<&str>| option.is_none_or(|option| option == name);
        let product = options.product.as_ref().map(Product::as_str);
        let channel = options.channel.as_ref().map(Channel::as_str);
        let mut offers = Archive::open(self.layout.folder())?.offers(now)?;
        let all: Vec<String> = offers
            .iter()
            .map(|offer| format!("{}/{} {}", offer.product, offer.channel, offer.version))
            .collect();
        offers.retain(|offer| wanted(&offer.product, product) && wanted(&offer.channel, channel));
        let unclear = || Error::Unclear {
            offered: all.clone(),
        };
        match offers.as_slice() {
            [one] => {
                let (product, channel) = (one.product.parse(), one.channel.parse());
                product.ok().zip(channel.ok()).ok_or_else(unclear)
            }
            _ => Err(unclear()),
        }
    }

    /// Comes by the full payloads, and by the deltas from these versions.
    fn payloads(
        &self,
        at: &mut AtTargets,
        source: &dyn Source,
        manifest: &ReleaseManifest,
        from: &[FirmwareVersion],
        state: &State,
    ) -> Result<(Vec<BundledPayload>, Vec<String>)> {
        let role = RoleName::delegated(manifest.product.as_str())?;
        let history = self.history(&role, state)?;
        let (mut payloads, mut without) = (Vec::new(), Vec::new());
        for (slot, image) in &manifest.images {
            payloads.push(payload(at, source, slot.as_str(), None, &image.full)?);
        }
        for version in from {
            let old = history.releases();
            let old = old.into_iter().find(|old| old.version == *version);
            let mut any = false;
            for (slot, image) in &manifest.images {
                let old = old.and_then(|old| old.images.get(slot));
                let Some(delta) = old.and_then(|old| image.deltas.get(&old.sha256)) else {
                    continue;
                };
                any = true;
                payloads.push(payload(at, source, slot.as_str(), Some(version), delta)?);
            }
            if !any {
                without.push(version.to_string());
            }
        }
        Ok((payloads, without))
    }

    fn pack(
        &self,
        to: &Path,
        gathered: &Gathered,
        now: Timestamp,
        progress: OnProgress<'_>,
    ) -> Result<u64> {
        let mut pack = Pack {
            file: Replacement::begin(to, durable::PUBLIC)?,
            time: now,
            bytes: 0,
        };
        pack.small(FIRST_ENTRY, &gathered.statement)?;
        for (name, bytes) in &gathered.metadata {
            pack.small(&format!("metadata/{name}"), bytes)?;
        }
        let targets = self.layout.targets();
        for path in &gathered.targets {
            pack.copy(&format!("targets/{path}"), &targets.join(path), progress)?;
        }
        pack.push(&tar::end())?;
        pack.file.finish()?;
        Ok(pack.bytes)
    }
}

/// A bundle that is being written.
struct Pack {
    file: Replacement,
    time: Timestamp,
    bytes: u64,
}

impl Pack {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.push(bytes)?;
        self.bytes = self.bytes.saturating_add(length_of(bytes));
        Ok(())
    }

    fn small(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let length = length_of(bytes);
        self.push(&tar::header(path, length, self.time))?;
        self.push(bytes)?;
        self.push(&tar::padding(length))
    }

    fn copy(&mut self, path: &str, from: &Path, progress: OnProgress<'_>) -> Result<()> {
        let failed = |e| Error::io("read", from, e);
        let mut file = File::open(from).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        self.push(&tar::header(path, total, self.time))?;
        let mut piece = vec![0; PIECE];
        let mut done = 0_u64;
        while done < total {
            let left = usize::try_from(total.saturating_sub(done)).unwrap_or(PIECE);
            let room = piece.get_mut(..left.min(PIECE)).unwrap_or_default();
            file.read_exact(room).map_err(failed)?;
            done = done.saturating_add(length_of(room));
            self.push(room)?;
            progress(Progress {
                file: path,
                stage: "copying",
                done,
                total,
            });
        }
        self.push(&tar::padding(total))
    }
}

/// Whether a file may be written here: there is none, or it is a bundle.
fn replaceable(to: &Path) -> Result<()> {
    let mut begin = Vec::new();
    match File::open(to) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("open", to, e)),
        Ok(file) => {
            let length = length_of(FIRST_ENTRY.as_bytes());
            let read = file.take(length).read_to_end(&mut begin);
            read.map_err(|e| Error::io("read", to, e))?;
        }
    }
    if begin == FIRST_ENTRY.as_bytes() {
        return Ok(());
    }
    Err(Error::Exists {
        path: to.to_owned(),
    })
}

fn offered(
    at: &mut AtTargets,
    source: &dyn Source,
    product: &Product,
    channel: &Channel,
) -> Result<ReleaseManifest> {
    let path = manifest_path(product, channel)?;
    let target = walk::find(at, source, &path)?.ok_or_else(|| Error::Absent {
        path: path.to_string(),
    })?;
    let bytes = walk::read(source, &target, MAX_LENGTH)?;
    Ok(ReleaseManifest::read(target.role(), &bytes)?)
}

/// Comes by one payload, and compares length and digest.
fn payload(
    at: &mut AtTargets,
    source: &dyn Source,
    slot: &str,
    from: Option<&FirmwareVersion>,
    payload: &Payload,
) -> Result<BundledPayload> {
    let target = walk::find(at, source, &payload.path)?.ok_or_else(|| Error::Absent {
        path: payload.path.to_string(),
    })?;
    let mut opened = walk::open(source, &target)?;
    opened.check(target.role(), target.length(), target.hashes())?;
    Ok(BundledPayload {
        slot: slot.to_owned(),
        from: from.map(ToString::to_string),
        bytes: payload.length,
        path: payload.path.to_string(),
    })
}

/// `wanted`, or when the first role expires that people sign, and which that is.
fn bounded(at: &AtTargets, wanted: Timestamp) -> (Timestamp, Option<RoleName>) {
    let delegated = at
        .delegated()
        .filter(|targets| targets.role().as_str() != PKI_ROLE)
        .map(|targets| (targets.common.expires, targets.role().clone()));
    let top = [
        (at.root().common.expires, RoleName::root()),
        (at.targets().common.expires, RoleName::targets()),
    ];
    let first = top.into_iter().chain(delegated).min();
    match first {
        Some((expires, role)) if expires < wanted => (expires, Some(role)),
        _ => (wanted, None),
    }
}

/// Goes the way of a device through what is in the bundle and nothing else, in the last second of its time: whatever is
/// missing, and whose certificate expires before, shows here and not in the field.
fn holds_to_the_end(
    gathered: &Gathered,
    trust: &DeviceTrust<'_>,
    product: &Product,
    channel: &Channel,
    expires: Timestamp,
) -> Result<()> {
    let last = expires.plus_seconds(-1);
    let walked =
        walk::as_device(gathered, trust, last, &Scope::These(Vec::new())).and_then(|arrived| {
            let mut at = arrived.at;
            offered(&mut at, gathered, product, channel)
        });
    walked.map(drop).map_err(|source| Error::EndsEarly {
        expires,
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use metadata_schema::roles::BUNDLE_FILE;

    use super::*;

    #[test]
    fn the_statement_stands_where_devices_look_for_it() {
        assert_eq!(FIRST_ENTRY, format!("metadata/{BUNDLE_FILE}"));
    }

    #[test]
    fn only_a_bundle_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        replaceable(&file).unwrap();
        std::fs::write(&file, "keys").unwrap();
        assert!(matches!(replaceable(&file), Err(Error::Exists { .. })));
        std::fs::write(&file, tar::header(FIRST_ENTRY, 0, Timestamp::EPOCH)).unwrap();
        replaceable(&file).unwrap();
    }
}
