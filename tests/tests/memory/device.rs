//! A device with a clock of its own and a state folder, against a simulated repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device_pki::Thresholds;
use metadata_schema::limits::Limits;
use metadata_schema::name::{TargetPath, Version};
use metadata_schema::time::{ReferenceTime, Timestamp};
use tempfile::TempDir;
use tests::simulator::{Editable, Plan, Simulator};
use updater::bootstrap::{self, First};
use updater::clock::{Source, TimeFloor};
use updater::error::Error;
use updater::metadata_store::MetadataStore;
use updater::refresh::{Client, RunClock};
use updater::state_store::StateStore;
use updater::storage::Storage;
use updater::transport::Transport;
use updater::trust::Trust;

const DAY: i64 = 86_400;

/// Midnight of a day.
pub(crate) fn time(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}

/// A repository that begins on a day: two of three for root, two of two for targets.
pub(crate) fn repository(day: &str) -> Simulator {
    Simulator::new(Plan::new("memory", time(day)))
}

/// The same, whose keyholders have certificates, valid for two years.
pub(crate) fn certified(day: &str) -> Simulator {
    Simulator::new(Plan::new("memory", time(day)).with_pki())
}

/// Issues metadata anew: it was issued on `day` and lasts for a year.
pub(crate) fn issue<T: Editable>(document: &mut tests::simulator::Document<T>, day: &str) {
    let common = document.edit().common_mut();
    common.issued = Some(time(day));
    common.expires = time(day).plus_seconds(365 * DAY);
}

/// Issues everything but root anew, on `day`, and publishes it.
pub(crate) fn issue_all(repository: &mut Simulator, day: &str) {
    for role in repository.roles() {
        issue(repository.targets(&role), day);
    }
    issue(repository.snapshot(), day);
    issue(repository.timestamp(), day);
    repository.publish();
}

/// Issues root anew, on `day`, and publishes it.
pub(crate) fn issue_root(repository: &mut Simulator, day: &str) {
    issue(repository.root(), day);
    repository.publish_root();
}

pub(crate) struct Device {
    folder: TempDir,
    pub(crate) trust: Trust,
    pub(crate) limits: Limits,
    /// The root that its firmware brought.
    pub(crate) root: Vec<u8>,
    /// When its firmware was built.
    pub(crate) built: Timestamp,
    /// What its system clock says.
    pub(crate) system: Timestamp,
    /// How long its power lasts.
    pub(crate) storage: Storage,
    /// A target that it looks up after a refresh.
    pub(crate) wanted: Option<&'static str>,
}

/// What a refresh came to.
pub(crate) struct Refreshed {
    pub(crate) reference: (ReferenceTime, Source),
}

impl Device {
    /// A new device with the repository's first root; built, and its clock set, when the repository began.
    pub(crate) fn new(repository: &mut Simulator) -> Self {
        let trust = match repository.pki() {
            None => Trust::Plain,
            Some(pki) => Trust::Pki {
                anchor: Box::new(pki.anchor()),
                thresholds: Thresholds::new(2, 2, 2),
            },
        };
        Self {
            folder: folder(),
            trust,
            limits: Limits::default(),
            root: repository.root().of_version(1).unwrap().to_vec(),
            built: repository.plan().now,
            system: repository.plan().now,
            storage: Storage::default(),
            wanted: None,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same device with the same memory, whose power lasts for so many changes.
    pub(crate) fn with_power_for(&self, changes: u64) -> Self {
        let copy = folder();
        copy_all(self.folder.path(), copy.path());
        Self {
            folder: copy,
            storage: Storage::that_fails_after(changes),
            ..self.like()
        }
    }

    /// The power is back.
    pub(crate) fn powered(self) -> Self {
        let storage = Storage::default();
        Self { storage, ..self }
    }

    fn like(&self) -> Self {
        Self {
            folder: folder(),
            trust: self.trust.clone(),
            limits: self.limits.clone(),
            root: self.root.clone(),
            storage: self.storage.clone(),
            ..*self
        }
    }

    /// Every file, by its path in the state folder.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for path in all_files(self.folder.path()) {
            let name = path.strip_prefix(self.folder.path()).unwrap().to_owned();
            files.insert(name, std::fs::read(path).unwrap());
        }
        files
    }

    pub(crate) fn states(&self) -> StateStore {
        StateStore::open_on(self.folder.path(), self.storage.clone()).unwrap()
    }

    /// The stored floor, under the firmware's build time.
    pub(crate) fn floor(&self) -> TimeFloor {
        let stored = self.states().time_floor().unwrap();
        stored.map_or(TimeFloor::factory(self.built), |floor| {
            floor.at_least(self.built)
        })
    }

    /// One run.
    pub(crate) fn refresh(&self, transport: &mut dyn Transport) -> Result<Refreshed, Error> {
        let states = self.states();
        let mut clock = RunClock::new(self.system, self.floor(), Some(&states));
        let store = MetadataStore::open_on(&self.path("metadata"), self.storage.clone())?;
        let mut client = Client {
            transport,
            store: &store,
            trust: &self.trust,
            limits: self.limits.clone(),
        };
        let found = wait(async {
            let mut set = client.refresh_by(&self.root, &mut clock).await?;
            match self.wanted {
                Some(path) => client.find(&mut set, &TargetPath::new(path).unwrap()).await,
                None => Ok(None),
            }
        })?;
        assert_eq!(found.is_some(), self.wanted.is_some());
        Ok(Refreshed {
            reference: clock.reference(),
        })
    }

    /// Begins to trust the repository over the network, with this version of root.
    pub(crate) fn begin(
        &self,
        transport: &mut dyn Transport,
        version: u64,
    ) -> Result<Refreshed, Error> {
        self.begin_by(transport, First::Network(Version::new(version).unwrap()))
    }

    /// Begins to trust the repository.
    pub(crate) fn begin_by(
        &self,
        transport: &mut dyn Transport,
        first: First<'_>,
    ) -> Result<Refreshed, Error> {
        let states = self.states();
        let mut clock = RunClock::new(self.system, TimeFloor::factory(self.built), None);
        let begun = bootstrap::begin(
            transport,
            &self.trust,
            self.limits.clone(),
            &states,
            first,
            &mut clock,
        );
        wait(begun)?;
        Ok(Refreshed {
            reference: clock.reference(),
        })
    }

    /// The version in the stored file of a role; none if it is not there.
    pub(crate) fn version(&self, stem: &str) -> Option<u64> {
        let bytes = std::fs::read(self.path(&format!("metadata/{stem}.json"))).ok()?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        json["signed"]["version"].as_u64()
    }

    /// The files in the history of the walk.
    pub(crate) fn history(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("metadata/root_history")).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// In memory where the system has such a place: many refreshes must not wait for a disk.
fn folder() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    folder.unwrap()
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

pub(crate) fn copy_all(from: &Path, to: &Path) {
    for path in all_files(from) {
        let copy = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(path, copy).unwrap();
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// An error with all its causes.
pub(crate) fn text(refreshed: Result<Refreshed, Error>) -> String {
    match refreshed {
        Ok(_) => panic!("it was accepted"),
        Err(e) => e.in_one_line(),
    }
}
