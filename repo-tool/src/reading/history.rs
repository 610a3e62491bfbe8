//! What changed, when, and who signed it.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Common, Root, Targets};
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::archive::Archive;
use super::people::People;
use crate::describe;
use crate::error::Result;
use crate::schema::words::{Sha256, Time};

/// Every version that people, or the role that publishes revocation lists, have signed, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct History {
    /// One for each version of each role.
    pub entries: Vec<Entry>,
}

/// One version of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entry {
    /// When it was issued, as it says itself; not every repository says it.
    #[schemars(with = "Option<Time>")]
    pub issued: Option<Timestamp>,
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
    /// Whose signatures are valid; whether they suffice is not asked.
    pub signers: Vec<String>,
    /// Length of the file in bytes.
    pub bytes: usize,
    /// SHA-256 of what is signed.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
    /// What it changes, in sentences.
    pub lines: Vec<String>,
}

impl Archive {
    /// The history of all roles but snapshot and timestamp, or of `only` one.
    ///
    /// # Errors
    /// If a file cannot be read, or a version between two others is missing.
    pub fn history(&self, only: Option<&RoleName>) -> Result<History> {
        let versions = self.versions()?;
        let mut people = People::default();
        // Keys first: a role's signers stand in its delegator.
        for (role, version) in pairs(&versions) {
            match role.as_str() {
                "root" => people.of_root(&self.signed::<Root>(role, version)?.0),
                "snapshot" => {}
                _ => people.of_targets(&self.signed::<Targets>(role, version)?.0),
            }
        }
        let mut entries = Vec::new();
        for (role, versions) in &versions {
            if role.as_str() == "snapshot" || only.is_some_and(|only| only != role) {
                continue;
            }
            if role.as_str() == "root" {
                let lines = |old: Option<&Root>, new: &Root| Ok(describe::root(old, new));
                self.versions_of(role, versions, &people, lines, &mut entries)?;
            } else {
                let lines =
                    |old: Option<&Targets>, new: &Targets| describe::targets(role, old, new, self);
                self.versions_of(role, versions, &people, lines, &mut entries)?;
            }
        }
        entries.sort_by_key(|entry| {
            let place = match entry.role.as_str() {
                "root" => 0,
                "targets" => 1,
                _ => 2,
            };
            (entry.issued, place, entry.role.clone(), entry.version)
        });
        Ok(History { entries })
    }

    fn versions_of<R: metadata_schema::roles::Role>(
        &self,
        role: &RoleName,
        versions: &[Version],
        people: &People,
        lines: impl Fn(Option<&R>, &R) -> Result<Vec<String>>,
        entries: &mut Vec<Entry>,
    ) -> Result<()> {
        let mut before: Option<R> = None;
        for version in versions {
            let (content, envelope, bytes) = self.signed::<R>(role, *version)?;
            let Common {
                expires, issued, ..
            } = *content.common();
            entries.push(Entry {
                issued,
                role: role.to_string(),
                version: version.number(),
                expires,
                signers: people.signers(&envelope),
                bytes,
                sha256: Sha256Digest::of(&envelope.payload()),
                lines: lines(before.as_ref(), &content)?,
            });
            before = Some(content);
        }
        Ok(())
    }
}

fn pairs(
    versions: &std::collections::BTreeMap<RoleName, Vec<Version>>,
) -> impl Iterator<Item = (&RoleName, Version)> {
    versions
        .iter()
        .flat_map(|(role, versions)| versions.iter().map(move |version| (role, *version)))
}
