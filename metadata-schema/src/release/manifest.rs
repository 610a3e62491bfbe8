//! The manifest itself.

use std::collections::BTreeMap;

use super::{Channel, FirmwareVersion, HardwareId, Product, Rollout, SlotClass, Withdrawn};
use crate::digest::Sha256Digest;
use crate::error::MetadataError;
use crate::json::{Fields, Json, Object, ShapeError, shortened};
use crate::name::{RoleName, TargetPath};
use crate::time::Timestamp;

/// The version of the format that this crate writes and reads.
pub const FORMAT: u64 = 1;
/// Longest manifest, in bytes.
pub const MAX_LENGTH: u64 = 1024 * 1024;
/// Longest custom fields, in bytes of canonical JSON.
pub const MAX_CUSTOM: usize = 16 * 1024;
/// Longest release notes, in bytes.
const MAX_NOTES: usize = 64 * 1024;

/// What a product's channel offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseManifest {
    /// The product that the firmware is for.
    pub product: Product,
    /// The channel that this manifest stands in.
    pub channel: Channel,
    /// Version of the firmware.
    pub version: FirmwareVersion,
    /// Anti-rollback number: a device never installs a lower one than it has committed.
    pub security_version: u64,
    /// Hardware revisions that the firmware fits.
    pub hardware: Vec<HardwareId>,
    /// Stepping stone: the least version that may update to this one directly.
    pub requires: Option<FirmwareVersion>,
    /// When the release was made.
    pub released: Timestamp,
    /// Images by slot class. All of them are switched together.
    pub images: BTreeMap<SlotClass, Image>,
    /// Which share of the fleet may install from when.
    pub rollout: Rollout,
    /// What changed, for people.
    pub notes: String,
    /// Releases of this channel that were taken back.
    pub withdrawn: Vec<Withdrawn>,
    /// What the publisher adds for applications; no rule here asks for it.
    pub custom: Object,
    /// Members that we do not know: kept.
    pub extra: Object,
}

/// One image of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Length in bytes as it stands in the slot.
    pub length: u64,
    /// Digest of those bytes.
    pub sha256: Sha256Digest,
    /// The payload that needs nothing.
    pub full: Payload,
    /// Payloads that start from another image, by that image's digest.
    pub deltas: BTreeMap<Sha256Digest, Payload>,
}

/// A payload: a TUF target that is authenticated frame by frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Its target path.
    pub path: TargetPath,
    /// Its length in bytes.
    pub length: u64,
    /// Digest of its header, the first link of the chain that authenticates every frame.
    pub head: Sha256Digest,
}

impl ReleaseManifest {
    /// Reads a manifest whose bytes TUF has vouched for.
    ///
    /// # Errors
    /// [`MetadataError::Json`] or [`MetadataError::Shape`], naming `role`, if it is not a manifest of format 1.
    pub fn read(role: &RoleName, bytes: &[u8]) -> Result<Self, MetadataError> {
        let json = Json::read(bytes).map_err(|source| MetadataError::Json {
            role: role.clone(),
            source,
        })?;
        Self::from_json(json, "manifest").map_err(|source| MetadataError::Shape {
            role: role.clone(),
            source,
        })
    }

    /// What is said of a version that was taken back; none if it was not.
    pub fn withdrawal(&self, version: &FirmwareVersion) -> Option<&Withdrawn> {
        self.withdrawn
            .iter()
            .find(|entry| entry.version == *version)
    }

    /// The file: readable JSON, the same bytes for the same manifest.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_json().pretty()
    }

    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let format = fields.take("format", Json::into_u64)?;
        if format != FORMAT {
            let expected = format!("format {FORMAT} (a newer updater reads more)");
            return Err(ShapeError::new(
                &fields.at("format"),
                expected,
                format.to_string(),
            ));
        }
        Ok(Self {
            product: fields.take("product", Product::from_json)?,
            channel: fields.take("channel", Channel::from_json)?,
            version: fields.take("version", FirmwareVersion::from_json)?,
            security_version: fields.take("security_version", Json::into_u64)?,
            hardware: fields.take("hardware", |json, at| {
                json.into_array(at)?
                    .into_iter()
                    .map(|item| HardwareId::from_json(item, at))
                    .collect()
            })?,
            requires: fields.take_optional("requires", FirmwareVersion::from_json)?,
            released: fields.take("released", Timestamp::from_json)?,
            images: fields.take("images", images)?,
            rollout: fields
                .take_optional("rollout", Rollout::from_json)?
                .unwrap_or_default(),
            notes: fields.take_optional("notes", notes)?.unwrap_or_default(),
            withdrawn: fields
                .take_optional("withdrawn", Withdrawn::list)?
                .unwrap_or_default(),
            custom: fields.take_optional("custom", custom)?.unwrap_or_default(),
            extra: fields.rest(),
        })
    }

    fn to_json(&self) -> Json {
        let images = self
            .images
            .iter()
            .map(|(class, image)| (class.as_str(), image.to_json()));
        let mut members = vec![
            ("format", Json::from(FORMAT)),
            ("product", self.product.clone().into()),
            ("channel", self.channel.clone().into()),
            ("version", self.version.clone().into()),
            ("security_version", self.security_version.into()),
            ("hardware", self.hardware.clone().into()),
            ("released", self.released.into()),
            ("images", Json::object(images)),
            ("rollout", self.rollout.to_json()),
            ("notes", self.notes.as_str().into()),
        ];
        members.extend(
            self.requires
                .clone()
                .map(|version| ("requires", version.into())),
        );
        if !self.withdrawn.is_empty() {
            let list = self.withdrawn.iter().map(Withdrawn::to_json);
            members.push(("withdrawn", Json::Array(list.collect())));
        }
        if !self.custom.is_empty() {
            members.push(("custom", Json::Object(self.custom.clone())));
        }
        let mut object = self.extra.clone();
        object.extend(
            members
                .into_iter()
                .map(|(name, json)| (name.to_owned(), json)),
        );
        Json::Object(object)
    }
}

fn images(json: Json, at: &str) -> Result<BTreeMap<SlotClass, Image>, ShapeError> {
    let mut images = BTreeMap::new();
    for (class, json) in json.into_object(at)? {
        let class = SlotClass::from_json(Json::String(class), at)?;
        let image = Image::from_json(json, &format!("{at}.{class}"))?;
        images.insert(class, image);
    }
    if images.is_empty() {
        return Err(ShapeError::new(at, "at least one image", "none"));
    }
    Ok(images)
}

fn custom(json: Json, at: &str) -> Result<Object, ShapeError> {
    let object = json.into_object(at)?;
    let length = Json::Object(object.clone()).canonical().len();
    if length > MAX_CUSTOM {
        let expected = format!("at most {MAX_CUSTOM} bytes of custom fields");
        return Err(ShapeError::new(at, expected, length.to_string()));
    }
    Ok(object)
}

fn notes(json: Json, at: &str) -> Result<String, ShapeError> {
    let text = json.into_string(at)?;
    if text.len() > MAX_NOTES {
        return Err(ShapeError::new(
            at,
            format!("at most {MAX_NOTES} bytes of notes"),
            text.len().to_string(),
        ));
    }
    Ok(text)
}

impl Image {
    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        Ok(Self {
            length: fields.take("length", Json::into_u64)?,
            sha256: fields.take("sha256", Sha256Digest::from_json)?,
            full: fields.take("full", Payload::from_json)?,
            deltas: fields.take("deltas", |json, at| {
                let mut deltas = BTreeMap::new();
                for (from, json) in json.into_object(at)? {
                    let inner = format!("{at}.{}", shortened(&from));
                    let from = Sha256Digest::from_json(Json::String(from), at)?;
                    deltas.insert(from, Payload::from_json(json, &inner)?);
                }
                Ok(deltas)
            })?,
        })
    }

    fn to_json(&self) -> Json {
        let deltas = self
            .deltas
            .iter()
            .map(|(from, payload)| (from.to_string(), payload.to_json()));
        Json::object([
            ("length", Json::from(self.length)),
            ("sha256", self.sha256.into()),
            ("full", self.full.to_json()),
            ("deltas", Json::object(deltas)),
        ])
    }
}

impl Payload {
    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        Ok(Self {
            path: fields.take("path", TargetPath::from_json)?,
            length: fields.take("length", Json::into_u64)?,
            head: fields.take("head", Sha256Digest::from_json)?,
        })
    }

    fn to_json(&self) -> Json {
        Json::object([
            ("path", Json::from(self.path.clone())),
            ("length", self.length.into()),
            ("head", self.head.into()),
        ])
    }
}
