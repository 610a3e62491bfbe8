//! Delegations: who else may say what about which paths (section 4.5).

use std::collections::{BTreeMap, BTreeSet};

use super::RoleKeys;
use super::root::{keys, keys_to_json};
use crate::glob;
use crate::json::{Fields, Json, Object, ShapeError};
use crate::key::{KeyId, PublicKey};
use crate::name::{RoleName, TargetPath};

/// The member `delegations` of targets metadata.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Delegations {
    /// Keys by id.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Roles, the most trusted first.
    pub roles: Vec<DelegatedRole>,
    /// Members that we do not know.
    pub extra: Object,
}

impl Delegations {
    /// The role of that name.
    pub fn role(&self, name: &RoleName) -> Option<&DelegatedRole> {
        self.roles.iter().find(|role| role.name == *name)
    }

    pub(super) fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let keys = fields.take("keys", keys)?;
        let roles = fields.take("roles", |json, at| {
            let mut seen = BTreeSet::new();
            let mut roles = Vec::new();
            for json in json.into_array(at)? {
                let role = DelegatedRole::from_json(json, at)?;
                if !seen.insert(role.name.clone()) {
                    return Err(ShapeError::new(
                        at,
                        "role names that differ",
                        format!("{} twice", role.name),
                    ));
                }
                roles.push(role);
            }
            Ok(roles)
        })?;
        Ok(Self {
            keys,
            roles,
            extra: fields.rest(),
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let mut members = self.extra.clone();
        members.insert("keys".to_owned(), keys_to_json(&self.keys));
        let roles = self.roles.iter().map(DelegatedRole::to_json).collect();
        members.insert("roles".to_owned(), Json::Array(roles));
        Json::Object(members)
    }
}

/// One delegated role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegatedRole {
    /// Its name.
    pub name: RoleName,
    /// Who signs for it. Members that we do not know are kept in its `extra`.
    pub keys: RoleKeys,
    /// What it may speak about.
    pub paths: PathSet,
    /// Whether the search ends here for the paths that it may speak about.
    pub terminating: bool,
}

/// The target paths that a role may speak about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathSet {
    /// Those that match a pattern: see [`crate::glob`].
    Patterns(Vec<String>),
    /// Those whose hex SHA-256 digest begins with a prefix: hashed bins.
    HashPrefixes(Vec<String>),
}

impl PathSet {
    /// Whether `path` is among them.
    pub fn contains(&self, path: &TargetPath) -> bool {
        self.contains_hashed(path, &path.digest_hex())
    }

    /// Whether `path`, whose [`TargetPath::digest_hex`] is `digest`, is among them.
    pub(crate) fn contains_hashed(&self, path: &TargetPath, digest: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns
                .iter()
                .any(|pattern| glob::matches(pattern, path.as_str())),
            Self::HashPrefixes(prefixes) => prefixes
                .iter()
                .any(|prefix| digest.starts_with(prefix.as_str())),
        }
    }
}

impl DelegatedRole {
    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let name = fields.take("name", |json, at| {
            let text = json.into_string(at)?;
            RoleName::delegated(&text)
                .map_err(|e| ShapeError::new(at, "a name for a role", e.to_string()))
        })?;
        let mut keys = RoleKeys::take(&mut fields)?;
        let patterns = fields.take_optional("paths", Json::into_strings)?;
        let prefixes = fields.take_optional("path_hash_prefixes", Json::into_strings)?;
        let paths = match (patterns, prefixes) {
            (Some(patterns), None) => PathSet::Patterns(patterns),
            (None, Some(prefixes)) => PathSet::HashPrefixes(prefixes),
            (Some(_), Some(_)) => {
                return Err(ShapeError::new(
                    at,
                    "either paths or path_hash_prefixes",
                    "both",
                ));
            }
            (None, None) => {
                return Err(ShapeError::new(
                    at,
                    "either paths or path_hash_prefixes",
                    "neither",
                ));
            }
        };
        let terminating = fields
            .take_optional("terminating", Json::into_bool)?
            .unwrap_or(false);
        keys.extra = fields.rest();
        Ok(Self {
            name,
            keys,
            paths,
            terminating,
        })
    }

    fn to_json(&self) -> Json {
        let mut members = self.keys.write();
        members.insert("name".to_owned(), self.name.clone().into());
        members.insert("terminating".to_owned(), self.terminating.into());
        let (member, list) = match &self.paths {
            PathSet::Patterns(patterns) => ("paths", patterns),
            PathSet::HashPrefixes(prefixes) => ("path_hash_prefixes", prefixes),
        };
        members.insert(member.to_owned(), Json::from(list.clone()));
        Json::Object(members)
    }
}
