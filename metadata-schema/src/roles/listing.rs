//! Timestamp and snapshot: which versions belong together (sections 4.4 and 4.6).

use std::collections::BTreeMap;

use super::{Common, Role};
use crate::digest::Hashes;
use crate::json::{Fields, Json, Object, ShapeError};
use crate::name::{RoleName, Version};

/// What is said of another metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaFile {
    /// Its version.
    pub version: Version,
    /// Its length in bytes, if said.
    pub length: Option<u64>,
    /// Its digests, if said.
    pub hashes: Option<Hashes>,
    /// Members that we do not know.
    pub extra: Object,
}

impl MetaFile {
    /// A file with this version; nothing said of length and digests.
    pub fn version(version: Version) -> Self {
        Self {
            version,
            length: None,
            hashes: None,
            extra: Object::new(),
        }
    }

    /// Bytes that may be read of it: its length, if said, and never more than `limit`.
    pub fn most(&self, limit: u64) -> u64 {
        self.length.map_or(limit, |length| length.min(limit))
    }

    pub(super) fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        Ok(Self {
            version: fields.take("version", Version::from_json)?,
            length: fields.take_optional("length", Json::into_u64)?,
            hashes: fields.take_optional("hashes", Hashes::from_json)?,
            extra: fields.rest(),
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut members = self.extra.clone();
        members.insert("version".to_owned(), self.version.into());
        if let Some(length) = self.length {
            members.insert("length".to_owned(), length.into());
        }
        if let Some(hashes) = &self.hashes {
            members.insert("hashes".to_owned(), hashes.to_json());
        }
        Json::Object(members)
    }
}

/// Timestamp metadata: the current snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// What every role has.
    pub common: Common,
    /// `snapshot.json`.
    pub snapshot: MetaFile,
    /// Members that we do not know.
    pub extra: Object,
}

impl Role for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn parse(signed: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(signed, at)?;
        let common = Common::take(&mut fields, Self::TYPE)?;
        let mut meta = fields.object("meta")?;
        Ok(Self {
            common,
            snapshot: meta.take("snapshot.json", MetaFile::from_json)?,
            extra: fields.rest(),
        })
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn to_json(&self) -> Json {
        let mut members = self.common.write(Self::TYPE, &self.extra);
        let meta = Json::object([("snapshot.json", self.snapshot.to_json())]);
        members.insert("meta".to_owned(), meta);
        Json::Object(members)
    }
}

/// Snapshot metadata: the current version of every targets role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What every role has.
    pub common: Common,
    /// Metadata files by name, such as `targets.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// Members that we do not know.
    pub extra: Object,
}

impl Snapshot {
    /// What is said of the file of `role`.
    pub fn file(&self, role: &RoleName) -> Option<&MetaFile> {
        self.meta.get(&format!("{role}.json"))
    }
}

impl Role for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn parse(signed: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(signed, at)?;
        let common = Common::take(&mut fields, Self::TYPE)?;
        let at = fields.at("meta");
        let mut meta = BTreeMap::new();
        for (name, json) in fields.take("meta", Json::into_object)? {
            let file = MetaFile::from_json(json, &crate::json::shortened(&name))
                .map_err(|e| e.below(&at))?;
            meta.insert(name, file);
        }
        Ok(Self {
            common,
            meta,
            extra: fields.rest(),
        })
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn to_json(&self) -> Json {
        let mut members = self.common.write(Self::TYPE, &self.extra);
        let meta = Json::object(
            self.meta
                .iter()
                .map(|(name, file)| (name.as_str(), file.to_json())),
        );
        members.insert("meta".to_owned(), meta);
        Json::Object(members)
    }
}
