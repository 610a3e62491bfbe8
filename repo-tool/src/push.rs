//! Sending what is published to where devices are served from.
//!
//! The local folder stays the origin. What is there already is not sent again, so a push that was cut off goes on. Files
//! are sent in the order of [`Phase`], each is read back, and only then the timestamp names them: whoever reads meanwhile
//! sees the old state or the new one. What is there and newer is never overwritten.

mod plan;
mod send;

use std::collections::BTreeMap;

use metadata_schema::MetadataError;
use metadata_schema::limits::Limits;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::inventory::{Inventory, Item};
use crate::progress::OnProgress;
use crate::remote::{Fetched, Found, Place, Remote};
use crate::repository::Repository;
use crate::walk::{self, DeviceTrust, Folder, Scope, Source as _};

pub use crate::inventory::Phase;
pub(crate) use plan::TIMESTAMP;

/// How to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Only say what would be sent.
    pub dry_run: bool,
    /// Look at every file, also if the timestamp there says that the state is the same.
    pub all: bool,
    /// Overwrite files that no published state there names, such as those of a colleague's push that was given up.
    pub replace_leftovers: bool,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pushed {
    /// Where to.
    pub to: String,
    /// Whether it was only said what would be sent.
    pub dry_run: bool,
    /// Files that were sent, in this order.
    pub sent: Vec<SentFile>,
    /// Their length in all.
    pub bytes: u64,
    /// How many files were there already.
    pub unchanged: usize,
}

/// A file that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SentFile {
    /// Its path below the published folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// When it was its turn.
    pub phase: Phase,
}

impl Repository {
    /// Where to publish to, beside this folder: the given place, or else that of the settings, or else none.
    ///
    /// # Errors
    /// If the setting is no folder and no URL that we know.
    pub fn destination_if_any(&self, given: Option<Place>) -> Result<Option<Place>> {
        match (given, &self.settings.publish.to) {
            (Some(place), _) => Ok(Some(place)),
            (None, Some(text)) => {
                let place: Place = text.parse()?;
                Ok(Some(place.below(self.layout.folder())))
            }
            (None, None) => Ok(None),
        }
    }

    /// As [`Repository::destination_if_any`], where there must be one.
    ///
    /// # Errors
    /// As there, and if there is none.
    pub fn destination(&self, given: Option<Place>) -> Result<Place> {
        let place = self.destination_if_any(given)?;
        place.ok_or_else(|| {
            let expected = "a folder or URL, or the setting `to` in `[publish]` of repo.toml";
            Error::argument("place to publish to", "", expected)
        })
    }

    /// Sends what is published to `remote`, as far as it is not there yet, and reads back what was sent.
    ///
    /// # Errors
    /// [`Error::RemoteAhead`] if something newer is there; [`Error::RemoteDiffers`] if other files have the names of ours;
    /// if a device would refuse what is published; if the place cannot be reached or written.
    pub fn push(
        &self,
        remote: &dyn Remote,
        options: &PushOptions,
        now: Timestamp,
        progress: OnProgress<'_>,
    ) -> Result<Pushed> {
        let _lock = self.lock()?;
        let ours = self.inventory()?;
        let mut pushed = Pushed {
            to: remote.name().to_owned(),
            dry_run: options.dry_run,
            unchanged: ours.items.len(),
            ..Pushed::default()
        };
        let before = remote.read(TIMESTAMP, Limits::default().timestamp_length)?;
        let same = before.as_ref().is_some_and(|b| b.bytes == ours.timestamp);
        if same && !options.all {
            return Ok(pushed);
        }
        self.check_published(now)?;
        let theirs = self.theirs(remote, before.as_ref())?;
        plan::not_behind(remote.name(), &ours, &theirs)?;
        let found = found(remote, &ours)?;
        plan::no_newer_root(remote.name(), &ours, &found)?;
        let plan = plan::make(&ours, &theirs, &found);
        let todo = send::settle(remote, plan, options)?;
        pushed.unchanged = ours.items.len().saturating_sub(todo.len());
        pushed.sent = todo.iter().map(|item| sent(item)).collect();
        pushed.bytes = todo.iter().map(|item| item.length).sum();
        if !options.dry_run {
            let job = send::Job {
                remote,
                published: self.layout.published(),
                before: before.as_ref(),
                timestamp_max_age: self.settings.publish.timestamp_max_age,
                progress,
                total: pushed.bytes,
            };
            job.run(&todo)?;
        }
        Ok(pushed)
    }

    /// What is published here.
    pub(crate) fn inventory(&self) -> Result<Inventory> {
        let folder = Folder::new(self.layout.published());
        let read = |name: &str, limit| folder.metadata(name, limit);
        Inventory::read_with_roots(&read)?.ok_or_else(|| Error::NothingPublished {
            path: self.layout.folder().to_owned(),
        })
    }

    /// Nothing is sent that a device would refuse.
    fn check_published(&self, now: Timestamp) -> Result<()> {
        let source = Folder::new(self.layout.published());
        let trust = DeviceTrust {
            anchor: &self.anchor,
            minimums: &self.settings.device_minimum,
            crls: &[],
            first_root: self.settings.first_root(),
        };
        // Delegated roles were read this way when they were published.
        let scope = Scope::These(Vec::new());
        walk::as_device(&source, &trust, now, &scope).map(|_| ())
    }

    /// What is published there. Metadata that is here as well is read here.
    pub(crate) fn theirs(
        &self,
        remote: &dyn Remote,
        timestamp: Option<&Fetched>,
    ) -> Result<Inventory> {
        let folder = Folder::new(self.layout.published());
        let role = RoleName::timestamp();
        let read = |name: &str, limit: u64| {
            if name == format!("{role}.json") {
                return Ok(timestamp.map(|fetched| fetched.bytes.clone()));
            }
            if !name.ends_with(".snapshot.json")
                && let Some(bytes) = folder.metadata(name, limit)?
            {
                return Ok(Some(bytes));
            }
            let fetched = remote.read(&format!("metadata/{name}"), limit)?;
            Ok(fetched.map(|fetched| fetched.bytes))
        };
        let Some(timestamp) = timestamp else {
            return Ok(Inventory::default());
        };
        match Inventory::read(&read) {
            // Not all of it is there: it counts for nothing but its number.
            Err(Error::MissingMetadata { .. }) => Inventory::of_timestamp(&timestamp.bytes),
            Err(Error::Metadata(MetadataError::Content { role, .. })) => {
                Err(Error::RemoteDiffers {
                    remote: remote.name().to_owned(),
                    path: format!("metadata/*.{role}.json"),
                })
            }
            other => Ok(other?.unwrap_or_default()),
        }
    }
}

/// What stands there, by path.
fn found(remote: &dyn Remote, ours: &Inventory) -> Result<BTreeMap<String, Found>> {
    if let Some(found) = remote.list()? {
        return Ok(found);
    }
    let mut found = BTreeMap::new();
    for path in ours.items.keys() {
        if let Some(file) = remote.find(path)? {
            found.insert(path.clone(), file);
        }
    }
    Ok(found)
}

fn sent(item: &Item) -> SentFile {
    SentFile {
        path: item.path.clone(),
        bytes: item.length,
        phase: item.phase,
    }
}
