//! One line of the audit log.

use device_pki::Certificate;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::key::KeyId;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;

use crate::schema::words::{Sha256, Time};
use serde::{Deserialize, Deserializer, Serialize};

/// Most roles that a line lists: a repository in hashed bins may stage thousands. The event's id covers all of them.
const MAX_ROLES: usize = 64;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// A role was staged.
    Stage,
    /// What was staged was thrown away.
    Unstage,
    /// Somebody signed here.
    Sign,
    /// Signatures that were made elsewhere were taken in.
    Merge,
    /// An event was published.
    Publish,
    /// The online keys signed anew.
    Refresh,
    /// A bundle was made, which the timestamp key signed.
    Bundle,
    /// The log of another copy of the repository was joined to this one.
    Join,
    /// The last line had been cut off, and was dropped.
    Repair,
    /// What a later version of this program writes down.
    #[serde(other)]
    Other,
}

/// A role that something was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleLine {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of the bytes that signatures cover.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "digest_or_none"
    )]
    #[schemars(with = "Option<Sha256>")]
    pub sha256: Option<Sha256Digest>,
    /// Whose signatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<SignerLine>,
}

/// Somebody who signed: as the certificate says it, which the metadata carries for the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignerLine {
    /// Id of the key.
    pub key: String,
    /// Subject of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Serial number of the certificate, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SHA-256 of the certificate in DER.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "digest_or_none"
    )]
    #[schemars(with = "Option<Sha256>")]
    pub certificate: Option<Sha256Digest>,
}

/// What was done, before it has its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What.
    pub action: Action,
    /// In which event.
    pub event: Option<String>,
    /// To which roles.
    pub roles: Vec<RoleLine>,
    /// The log that was joined.
    pub fork: Option<Fork>,
    /// More about it, in words.
    pub note: Option<String>,
}

/// The log of another copy, which went on after a line that both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fork {
    /// The last line that both have; 0 if none.
    pub after: u64,
    /// How many lines the other has after it.
    pub lines: u64,
    /// SHA-256 of the last of them.
    #[serde(deserialize_with = "digest")]
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Its number: the first is 1.
    pub n: u64,
    /// When it was done, by the clock of the machine.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// Who was logged in, as the machine says it: nobody proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// In which event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// To which roles; at most 64 are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleLine>,
    /// How many roles more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
    /// The log that was joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// More about it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// SHA-256 of the line before, without its line feed; 64 zeros in the first line.
    #[serde(deserialize_with = "digest")]
    #[schemars(with = "Sha256")]
    pub prev: Sha256Digest,
}

impl Deed {
    /// Something that was done, of which nothing more is to say.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            event: None,
            roles: Vec::new(),
            fork: None,
            note: None,
        }
    }

    pub(super) fn into_line(
        mut self,
        n: u64,
        at: Timestamp,
        operator: Option<String>,
        prev: Sha256Digest,
    ) -> Line {
        let more = self.roles.len().saturating_sub(MAX_ROLES);
        self.roles.truncate(MAX_ROLES);
        Line {
            n,
            at,
            action: self.action,
            operator,
            event: self.event,
            roles: self.roles,
            more: u64::try_from(more).ok().filter(|more| *more > 0),
            fork: self.fork,
            note: self.note,
            prev,
        }
    }
}

impl RoleLine {
    pub(crate) fn new(role: &RoleName, version: u64) -> Self {
        Self {
            role: role.to_string(),
            version,
            sha256: None,
            signers: Vec::new(),
        }
    }
}

impl SignerLine {
    pub(crate) fn new(key: &KeyId, certificate: Option<&Certificate>) -> Self {
        Self {
            key: key.to_string(),
            subject: certificate.map(|c| c.subject().to_owned()),
            serial: certificate.map(|c| c.serial().to_string()),
            certificate: certificate.map(|c| Sha256Digest::of(c.der())),
        }
    }

    /// The name, for people.
    pub fn name(&self) -> String {
        let common = self.subject.as_deref().and_then(|subject| {
            let part = subject
                .split(',')
                .map(str::trim)
                .find_map(|p| p.strip_prefix("CN="));
            part.map(str::to_owned)
        });
        common.unwrap_or_else(|| format!("key {}", self.key.chars().take(8).collect::<String>()))
    }
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<Sha256Digest, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn digest_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Sha256Digest>, D::Error> {
    digest(from).map(Some)
}
