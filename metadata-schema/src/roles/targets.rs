//! Targets: files by path, and delegations (section 4.5).

use std::collections::BTreeMap;

use super::{Common, Delegations, Role};
use crate::digest::Hashes;
use crate::gate::{CERTIFICATES_MEMBER, Certificates};
use crate::json::{Fields, Json, Object, ShapeError};

/// Targets metadata, of the top-level role or a delegated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// What every role has.
    pub common: Common,
    /// Files by path. A path that is no [`crate::name::TargetPath`] is never looked up, and so never used.
    pub targets: BTreeMap<String, TargetFile>,
    /// Roles that this one delegates to.
    pub delegations: Option<Delegations>,
    /// Certificates of the holders of the keys in `delegations`.
    pub certificates: Certificates,
    /// Members that we do not know.
    pub extra: Object,
}

/// What is said of a target file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    /// Its length in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
    /// What the publisher adds, for applications.
    pub custom: Option<Json>,
    /// Members that we do not know.
    pub extra: Object,
}

impl TargetFile {
    /// A file with nothing added.
    pub fn new(length: u64, hashes: Hashes) -> Self {
        Self {
            length,
            hashes,
            custom: None,
            extra: Object::new(),
        }
    }

    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        Ok(Self {
            length: fields.take("length", Json::into_u64)?,
            hashes: fields.take("hashes", Hashes::from_json)?,
            custom: fields.optional("custom"),
            extra: fields.rest(),
        })
    }

    fn to_json(&self) -> Json {
        let mut members = self.extra.clone();
        members.insert("length".to_owned(), self.length.into());
        members.insert("hashes".to_owned(), self.hashes.to_json());
        if let Some(custom) = &self.custom {
            members.insert("custom".to_owned(), custom.clone());
        }
        Json::Object(members)
    }
}

impl Role for Targets {
    const TYPE: &'static str = "targets";

    fn parse(signed: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(signed, at)?;
        let common = Common::take(&mut fields, Self::TYPE)?;
        let at = fields.at("targets");
        let mut targets = BTreeMap::new();
        for (path, json) in fields.take("targets", Json::into_object)? {
            let file = TargetFile::from_json(json, &crate::json::shortened(&path))
                .map_err(|e| e.below(&at))?;
            targets.insert(path, file);
        }
        Ok(Self {
            common,
            targets,
            delegations: fields.take_optional("delegations", Delegations::from_json)?,
            certificates: fields
                .take_optional(CERTIFICATES_MEMBER, Certificates::from_json)?
                .unwrap_or_default(),
            extra: fields.rest(),
        })
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn to_json(&self) -> Json {
        let mut members = self.common.write(Self::TYPE, &self.extra);
        let targets = Json::object(
            self.targets
                .iter()
                .map(|(path, file)| (path.as_str(), file.to_json())),
        );
        members.insert("targets".to_owned(), targets);
        if let Some(delegations) = &self.delegations {
            members.insert("delegations".to_owned(), delegations.to_json());
        }
        if !self.certificates.is_empty() {
            members.insert(CERTIFICATES_MEMBER.to_owned(), self.certificates.to_json());
        }
        Json::Object(members)
    }
}
