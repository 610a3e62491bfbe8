//! What was seen: facts without judgement.

use std::path::PathBuf;

use metadata_schema::time::Timestamp;
use schemars::JsonSchema;

use crate::schema::words::Time;
use serde::Serialize;

/// Everything that the rules judge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Facts {
    /// Published roles.
    pub roles: Vec<RoleFact>,
    /// Groups of people of whom a threshold must sign.
    pub groups: Vec<GroupFact>,
    /// Certificates of signers, of the CAs above them, and of the anchor.
    pub certificates: Vec<CertificateFact>,
    /// Revocation lists that are published.
    pub lists: Vec<ListFact>,
    /// CAs of signers without a published revocation list, by subject.
    pub unlisted: Vec<String>,
    /// Files of online keys.
    pub online_keys: Vec<KeyFileFact>,
    /// Roles that are staged.
    pub staged: Vec<StagedFact>,
    /// When the newest published file was issued.
    #[schemars(with = "Option<Time>")]
    pub newest_issue: Option<Timestamp>,
    /// What devices are served, if that was asked.
    pub mirror: Option<MirrorFact>,
}

/// A published role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoleFact {
    /// Its name.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// Whether `refresh` signs it.
    pub online: bool,
    /// For how many seconds it is signed, by the settings.
    pub period: i64,
}

/// People of whom a threshold must sign for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GroupFact {
    /// The role.
    pub role: String,
    /// How many must sign on a device: the metadata's threshold, or the devices' own if that is higher.
    pub needed: u32,
    /// Those who may.
    pub people: Vec<PersonFact>,
    /// How many different people's signatures count now.
    pub able: u32,
    /// How many will at the end of the time that is looked at, if nothing is done.
    pub able_then: u32,
}

/// Somebody who may sign for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PersonFact {
    /// Name, from the certificate.
    pub name: String,
    /// Id of the key.
    pub key: String,
    /// Why their signature does not count now, if it does not.
    pub refused: Option<String>,
}

/// A certificate that signatures stand on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CertificateFact {
    /// The name in it.
    pub name: String,
    /// The whole subject.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Until when it is valid.
    #[schemars(with = "Time")]
    pub until: Timestamp,
    /// Whether it is a CA's.
    pub ca: bool,
    /// Whether it is the trust anchor itself.
    pub anchor: bool,
    /// Roles that its holder signs for; none for a CA.
    pub roles: Vec<String>,
}

/// A published revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListFact {
    /// The CA.
    pub issuer: String,
    /// Its number.
    pub number: u64,
    /// When it was issued.
    #[schemars(with = "Time")]
    pub this_update: Timestamp,
    /// By when the next one is due.
    #[schemars(with = "Time")]
    pub next_update: Timestamp,
}

/// The file of an online key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeyFileFact {
    /// The file.
    #[schemars(with = "String")]
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

/// A staged role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StagedFact {
    /// Its name.
    pub role: String,
    /// The version that is staged.
    pub version: u64,
    /// The version that is published, 0 if none is.
    pub published: u64,
    /// When it was staged, if it says so.
    #[schemars(with = "Option<Time>")]
    pub since: Option<Timestamp>,
    /// When what is staged would expire.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
}

/// What devices are served from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MirrorFact {
    /// Where.
    pub url: String,
    /// The version of the timestamp there.
    pub timestamp: Option<u64>,
    /// When it expires.
    #[schemars(with = "Option<Time>")]
    pub expires: Option<Timestamp>,
    /// How it stands to the folder.
    pub state: MirrorState,
}

/// How a mirror stands to the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MirrorState {
    /// It serves what the folder has published.
    Equal,
    /// It serves something older.
    Behind,
    /// It serves something newer.
    Ahead,
    /// It serves other bytes under the same versions.
    Different(String),
    /// It serves this timestamp, and not all that it leads to.
    Incomplete(String),
    /// There is nothing there.
    Empty,
    /// It could not be read.
    Unreachable(String),
}
