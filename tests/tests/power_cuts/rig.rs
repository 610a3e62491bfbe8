//! A device with two images in a slot, on a disk that crashes, and what must hold whatever is found on it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use metadata_schema::time::Timestamp;
use repo_tool::{BundleOptions, Repository, silent};
use updater::boot::simulated::Simulated;
use updater::clock::TimeFloor;
use updater::config::Config;
use updater::error::Error;
use updater::progress::{Progress, Silent};
use updater::slot::SlotName;
use updater::state_store::StateStore;
use updater::stop::Stop;
use updater::storage::Storage;
use updater::{Outcome, Updater};

use crate::disk::{CrashingDisk, Found, Made, lay_out};
use crate::flash::Fault;
use crate::journal::Journal;
use crate::world::{World, image};

const ROOTFS: usize = 1_600_000;
const KERNEL: usize = 100_000;
const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];
/// More starts than any way to the end takes.
const MOST_STARTS: usize = 8;

/// The bundle, in the world's folder.
const BUNDLE: &str = "brought.bundle";

/// What a device is told to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A run at a timer's word.
    Once,
    /// The same, stopped after the first payload has come so far.
    StoppedAt(u64),
    /// A person goes back to the firmware before.
    RollBack,
    /// A person gives up what waits for the restart.
    GiveUp,
    /// A person installs the bundle that was brought.
    Bundle,
}

/// What is trusted, and never falls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trusted {
    versions: [Option<u64>; 4],
    floor: Option<Timestamp>,
    security: Option<u64>,
}

impl Trusted {
    fn at_least(&self, before: &Self) -> bool {
        let versions = self.versions.iter().zip(before.versions);
        versions.into_iter().all(|(now, before)| *now >= before)
            && self.floor >= before.floor
            && self.security >= before.security
    }
}

pub(crate) struct Rig {
    pub(crate) world: World,
    /// What the slots of each version hold.
    images: BTreeMap<String, [Vec<u8>; 2]>,
    /// What is done again and again until nothing is left to do.
    rerun: Act,
}

pub(crate) fn ours(name: &str) -> bool {
    name == "state"
        || name.ends_with(".img")
        || name.starts_with("boot.json")
        || name.starts_with('.')
}

impl Rig {
    /// A device as it leaves the factory, and a repository without a release.
    pub(crate) async fn new() -> Self {
        // What lasts is decided here, and not by the machine's disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = World::new_in(folder.unwrap()).await;
        let folder = world.path("device/updater.d");
        std::fs::create_dir_all(&folder).unwrap();
        let kernel = "[slots.kernel]\na = 'kernel-a.img'\nb = 'kernel-b.img'\n";
        std::fs::write(folder.join("kernel.toml"), kernel).unwrap();
        let factory = [image(90, ROOTFS), image(91, KERNEL)];
        let mut rig = Self {
            world,
            images: BTreeMap::new(),
            rerun: Act::Once,
        };
        for (slot, room) in [("a", 0), ("b", 1)] {
            for (class, bytes) in ["", "kernel-"].iter().zip(&factory) {
                let mut bytes = bytes.clone();
                if room == 1 {
                    bytes.fill(0xff);
                }
                std::fs::write(rig.path(&format!("{class}{slot}.img")), bytes).unwrap();
            }
        }
        rig.images.insert("0.9.0".to_owned(), factory);
        rig.world.health_check("[ \"$UPDATER_VERSION\" != 1.2.0 ]");
        rig
    }

    /// Publishes firmware: two thirds of the root file system are new.
    pub(crate) fn release(&mut self, version: &str, seed: u64) {
        let last = self.images.values().next_back().unwrap();
        let new = ROOTFS - ROOTFS / 5;
        let rootfs = [&image(seed, new)[..], &last[0][new..]].concat();
        let kernel = [&last[1][..KERNEL - 5000], &image(seed + 1, 5000)].concat();
        self.world
            .release_of(version, &[("rootfs", &rootfs), ("kernel", &kernel)]);
        self.images.insert(version.to_owned(), [rootfs, kernel]);
    }

    /// From now on it is brought up to date by a bundle, of what is published if that is new, and has no network; or by its network.
    pub(crate) fn by(&mut self, act: Act, new: bool) {
        let carried = matches!(act, Act::Bundle);
        self.rerun = if carried { act } else { Act::Once };
        if !carried {
            return self.world.ask_at(self.world.server_port());
        }
        self.world.ask_at(1);
        if !new {
            return;
        }
        let repository = Repository::open(&self.world.path("repository")).unwrap();
        let options = BundleOptions {
            from: self
                .images
                .keys()
                .filter_map(|version| version.parse().ok())
                .collect(),
            ..BundleOptions::default()
        };
        let file = self.world.path(BUNDLE);
        repository
            .bundle(&file, &options, self.world.now, &silent)
            .unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.world.path("device").join(name)
    }

    pub(crate) fn disk(&self) -> CrashingDisk {
        CrashingDisk::of(&self.path(""), ours)
    }

    pub(crate) fn lay_out(&self, found: &Found) {
        lay_out(found, &self.path(""), ours);
    }

    /// Does it, and says how it ended, and what steps were made.
    pub(crate) async fn act(&self, act: Act) -> (Result<Outcome, Error>, Vec<Made>) {
        let (storage, journal) = Journal::storage();
        let done = self.act_on(storage, act).await;
        (done, journal.steps())
    }

    /// Does it on a storage.
    pub(crate) async fn act_on(&self, storage: Storage, act: Act) -> Result<Outcome, Error> {
        let config = Config::load(&self.path("updater.toml"))?;
        let mut updater = Updater::open_on(storage, config)?;
        let now = self.world.now;
        match act {
            Act::Once => updater.once(now, &mut Silent).await,
            Act::StoppedAt(bytes) => {
                let mut progress = StopAt(bytes, updater.stop().clone());
                updater.once(now, &mut progress).await
            }
            Act::RollBack => updater.roll_back("", now),
            Act::GiveUp => updater.give_up(now),
            Act::Bundle => {
                let bundle = self.world.path(BUNDLE);
                let mut silent = Silent;
                updater
                    .install_bundle(&bundle, now, false, &mut silent)
                    .await
            }
        }
    }

    /// The device starts, and runs by a timer, until nothing is left to do: the version that runs then.
    pub(crate) async fn finish(&self) -> String {
        let mut said = Vec::new();
        for _ in 0..MOST_STARTS {
            self.world.restart();
            match self.act_on(Storage::default(), self.rerun).await {
                Ok(
                    Outcome::NothingToDo { running, .. }
                    | Outcome::Committed {
                        version: running, ..
                    },
                ) => {
                    let running = running.to_string();
                    assert_eq!(self.boots(), running, "it runs what it says");
                    return running;
                }
                Ok(outcome) => said.push(outcome.to_string()),
                Err(e @ Error::TrialFailed { .. }) => said.push(e.in_one_line()),
                Err(e) => panic!("the rerun: {} (after {said:?})", e.in_one_line()),
            }
        }
        panic!("no end is reached: {said:?}");
    }

    /// The version that the next start is of: the slot holds all of its images.
    pub(crate) fn boots(&self) -> String {
        let loader = Simulated::new(&self.path("boot.json")).load().unwrap();
        let marks = &loader.marks;
        let starts = |slot: &SlotName| {
            use updater::boot::simulated::Mark;
            matches!(marks.get(slot), Some(Mark::Good))
                || matches!(marks.get(slot), Some(Mark::Trial(left)) if *left > 0)
        };
        let slots = [loader.first, loader.first.other()];
        let slot = slots.into_iter().find(starts).expect("something starts");
        let name = if slot == SlotName::A { "a" } else { "b" };
        let read = |class: &str| std::fs::read(self.path(&format!("{class}{name}.img"))).unwrap();
        let held = [read(""), read("kernel-")];
        let found = self.images.iter().find(|(_, images)| **images == held);
        let (version, _) = found.unwrap_or_else(|| panic!("slot {slot} holds no whole firmware"));
        version.clone()
    }

    /// What is trusted.
    pub(crate) fn trusted(&self) -> Trusted {
        let version = |role: &str| {
            let path = self.path(&format!("state/metadata/{role}.json"));
            let bytes = std::fs::read(path).ok()?;
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            json["signed"]["version"].as_u64()
        };
        let states = StateStore::open(&self.path("state")).unwrap();
        Trusted {
            versions: ROLES.map(version),
            floor: states.time_floor().unwrap().map(TimeFloor::time),
            security: states.load().unwrap().map(|state| state.security_floor),
        }
    }

    /// The three invariants of what is found: what boots is one of `versions`, nothing that was trusted `before` has fallen, and the
    /// next runs end at one of `ends`.
    pub(crate) async fn check(&self, before: &Trusted, versions: &[&str], ends: &[&str]) {
        let trusted = self.looked(before, versions);
        let ended = self.finish().await;
        assert!(
            ends.contains(&&*ended),
            "it ends with {ended}, not {ends:?}"
        );
        assert!(
            self.trusted().at_least(&trusted),
            "a floor falls in the rerun"
        );
    }

    /// What has gone wrong is said as the machine calls it, with the file; unless it went well in spite of it.
    pub(crate) fn says_why(&self, done: &Result<Outcome, Error>, fault: Fault, broken: &[PathBuf]) {
        let (Err(error), Some(called)) = (done, fault.is_called()) else {
            return;
        };
        let said = error.in_one_line();
        let ordinary = matches!(error, Error::Stopped | Error::TrialFailed { .. });
        assert!(ordinary || said.contains(called), "{said}");
        let named = |path: &PathBuf| said.contains(&*path.file_name().unwrap().to_string_lossy());
        assert!(
            ordinary || broken.iter().any(named),
            "no file is named: {said}"
        );
    }

    /// The first two of them.
    pub(crate) fn looked(&self, before: &Trusted, versions: &[&str]) -> Trusted {
        let boots = self.boots();
        assert!(
            versions.contains(&&*boots),
            "{boots} boots, not {versions:?}"
        );
        let trusted = self.trusted();
        assert!(trusted.at_least(before), "{trusted:?} after {before:?}");
        trusted
    }
}

/// Stops a run when so many bytes of a payload have been applied.
struct StopAt(u64, Stop);

impl Progress for StopAt {
    fn begin(&mut self, _what: &str, _payload_bytes: u64) {}
    fn advance(&mut self, done: u64) {
        if done >= self.0 {
            self.1.stop();
        }
    }
    fn end(&mut self) {}
}
