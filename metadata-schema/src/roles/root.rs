//! Root: who may sign for each top-level role (section 4.3).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::{Common, Role};
use crate::gate::{CERTIFICATES_MEMBER, Certificates};
use crate::json::{Fields, Json, Object, ShapeError};
use crate::key::{KeyId, PublicKey};
use crate::name::RoleName;
use crate::threshold::Authority;

/// Root metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What every role has.
    pub common: Common,
    /// Keys by id.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Who signs root.
    pub root: RoleKeys,
    /// Who signs timestamp.
    pub timestamp: RoleKeys,
    /// Who signs snapshot.
    pub snapshot: RoleKeys,
    /// Who signs the top-level targets.
    pub targets: RoleKeys,
    /// Whether files carry their version or digest in their names (section 6.2). Absent reads as false.
    pub consistent_snapshot: bool,
    /// Certificates of the holders of root and targets keys.
    pub certificates: Certificates,
    /// Roles that we do not know, such as `mirrors`.
    pub other_roles: Object,
    /// Members that we do not know.
    pub extra: Object,
}

/// The keys of a role, and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleKeys {
    /// Ids of the keys.
    pub key_ids: BTreeSet<KeyId>,
    /// Signatures that are needed.
    pub threshold: NonZeroU32,
    /// Members that we do not know.
    pub extra: Object,
}

impl RoleKeys {
    /// A role with these keys.
    pub fn new(key_ids: impl IntoIterator<Item = KeyId>, threshold: NonZeroU32) -> Self {
        Self {
            key_ids: key_ids.into_iter().collect(),
            threshold,
            extra: Object::new(),
        }
    }

    pub(super) fn take(fields: &mut Fields) -> Result<Self, ShapeError> {
        let key_ids = fields.take("keyids", Json::into_strings)?;
        let threshold = fields.take("threshold", |json, at| {
            let number = json.into_u64(at)?;
            let threshold = u32::try_from(number).ok().and_then(NonZeroU32::new);
            threshold
                .ok_or_else(|| ShapeError::new(at, "a threshold of 1 or more", number.to_string()))
        })?;
        Ok(Self {
            key_ids: key_ids.into_iter().map(KeyId::claimed).collect(),
            threshold,
            extra: Object::new(),
        })
    }

    pub(super) fn write(&self) -> Object {
        let ids: Vec<Json> = self.key_ids.iter().cloned().map(Json::from).collect();
        let mut members = self.extra.clone();
        members.insert("keyids".to_owned(), Json::Array(ids));
        members.insert(
            "threshold".to_owned(),
            u64::from(self.threshold.get()).into(),
        );
        members
    }

    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let mut role = Self::take(&mut fields)?;
        role.extra = fields.rest();
        Ok(role)
    }
}

/// Reads an object of keys by id.
pub(super) fn keys(json: Json, at: &str) -> Result<BTreeMap<KeyId, PublicKey>, ShapeError> {
    let mut keys = BTreeMap::new();
    for (id, json) in json.into_object(at)? {
        let at = format!("{at}.{}", crate::json::shortened(&id));
        let key = PublicKey::listed(id, json, &at)?;
        keys.insert(key.id().clone(), key);
    }
    Ok(keys)
}

pub(super) fn keys_to_json(keys: &BTreeMap<KeyId, PublicKey>) -> Json {
    Json::object(
        keys.iter()
            .map(|(id, key)| (id.as_str(), key.json().clone())),
    )
}

impl Root {
    /// Who signs the top-level role `name`; none for any other name.
    pub fn signers(&self, name: &RoleName) -> Option<&RoleKeys> {
        match name.as_str() {
            "root" => Some(&self.root),
            "timestamp" => Some(&self.timestamp),
            "snapshot" => Some(&self.snapshot),
            "targets" => Some(&self.targets),
            _ => None,
        }
    }

    pub(crate) fn authority<'a>(&'a self, role: &'a RoleKeys) -> Authority<'a> {
        Authority {
            keys: &self.keys,
            role,
            certificates: &self.certificates,
        }
    }
}

impl Role for Root {
    const TYPE: &'static str = "root";

    fn parse(signed: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(signed, at)?;
        let common = Common::take(&mut fields, Self::TYPE)?;
        let keys = fields.take("keys", keys)?;
        let mut roles = fields.object("roles")?;
        Ok(Self {
            common,
            keys,
            root: roles.take("root", RoleKeys::from_json)?,
            timestamp: roles.take("timestamp", RoleKeys::from_json)?,
            snapshot: roles.take("snapshot", RoleKeys::from_json)?,
            targets: roles.take("targets", RoleKeys::from_json)?,
            consistent_snapshot: fields
                .take_optional("consistent_snapshot", Json::into_bool)?
                .unwrap_or(false),
            certificates: fields
                .take_optional(CERTIFICATES_MEMBER, Certificates::from_json)?
                .unwrap_or_default(),
            other_roles: roles.rest(),
            extra: fields.rest(),
        })
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn to_json(&self) -> Json {
        let mut roles = self.other_roles.clone();
        for (name, role) in [
            ("root", &self.root),
            ("timestamp", &self.timestamp),
            ("snapshot", &self.snapshot),
            ("targets", &self.targets),
        ] {
            roles.insert(name.to_owned(), Json::Object(role.write()));
        }
        let mut members = self.common.write(Self::TYPE, &self.extra);
        members.insert("keys".to_owned(), keys_to_json(&self.keys));
        members.insert("roles".to_owned(), Json::Object(roles));
        members.insert(
            "consistent_snapshot".to_owned(),
            self.consistent_snapshot.into(),
        );
        if !self.certificates.is_empty() {
            members.insert(CERTIFICATES_MEMBER.to_owned(), self.certificates.to_json());
        }
        Json::Object(members)
    }
}
