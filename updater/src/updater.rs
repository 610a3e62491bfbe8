//! The whole agent: settle what the last start means, refresh, select, install.

mod circumstances;
mod doctor;
mod identity;
mod known;
mod metadata;
mod network;
mod note;
mod person;
mod settle;
mod tell;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use device_pki::ReportEvent;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{FirmwareVersion, Withdrawn};
use metadata_schema::time::{ReferenceTime, Timestamp};
use metadata_schema::trusted::AtTargets;

use crate::boot::{self, BootControl, BootStatus};
use crate::clock::{Source, TimeFloor};
use crate::config::Config;
use crate::error::{Error, StoreError, TransportError};
use crate::health;
use crate::hooks;
use crate::install::{Offer, PayloadKind, Transfer};
use crate::lifecycle::{Action, Event, Firmware, ImageRef, State};
use crate::lock::Lock;
use crate::memory::Memory;
use crate::policy::Hold;
use crate::progress::Progress;
use crate::refresh::{Client, RunClock};
use crate::select::{Decision, Device, decide};
use crate::slot::{EmmcBoot, SlotGroup, SlotName};
use crate::state_store::StateStore;
use crate::stop::Stop;
use crate::storage::Storage;
pub use doctor::{Finding, Health};
pub use identity::Enrolled;
use metadata::Refreshed;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing to install, and why.
    NothingToDo {
        /// Version that runs.
        running: FirmwareVersion,
        /// Why nothing is installed.
        why: String,
    },
    /// New firmware is installed, and the next start tries it.
    Armed {
        /// Its version.
        version: FirmwareVersion,
        /// The slot that it is in.
        slot: SlotName,
        /// Bytes that were downloaded for it.
        downloaded: u64,
        /// Whether a delta was enough for every image that was downloaded.
        kind: PayloadKind,
        /// The people who signed for it.
        signed_by: Vec<String>,
    },
    /// Firmware that was installed before waits for the restart that tries it.
    AwaitingRestart {
        /// Its version.
        version: FirmwareVersion,
        /// The slot that it is in.
        slot: SlotName,
    },
    /// A release is for this device, and waits.
    Held {
        /// Its version.
        version: FirmwareVersion,
        /// For what.
        why: String,
    },
    /// The firmware on trial, or the one that was armed, is left at a person's word: the next start is of the other slot.
    Left {
        /// Its version.
        version: FirmwareVersion,
        /// The slot that it is in.
        slot: SlotName,
    },
    /// The firmware on trial is well, and stays.
    Committed {
        /// Its version.
        version: FirmwareVersion,
        /// Its slot.
        slot: SlotName,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToDo { why, .. } => write!(f, "nothing to do: {why}"),
            Self::Armed { version, slot, .. } => write!(f, "installed {version} in slot {slot}"),
            Self::AwaitingRestart { version, slot } => {
                write!(
                    f,
                    "{version} waits in slot {slot} for the restart that tries it"
                )
            }
            Self::Held { version, why } => write!(f, "{version} waits: {why}"),
            Self::Left { version, slot } => write!(f, "{version} in slot {slot} is left"),
            Self::Committed { version, slot } => {
                write!(f, "{version} in slot {slot} is well and stays")
            }
        }
    }
}

/// Who asks for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// A timer: policies apply.
    ByTimer,
    /// A person, who is past windows, postponement and consent.
    ByPerson {
        /// Also past that the release has failed here.
        retry: bool,
    },
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Version that runs.
    pub running: FirmwareVersion,
    /// What the publisher says of that version, if it was taken back.
    pub withdrawn: Option<Withdrawn>,
    /// The offer of the channel, if there is one, and what to do about it.
    pub offer: Option<(Offer, Decision)>,
    /// What an offer that is for this device has to wait for.
    pub hold: Option<Hold>,
    /// The reference time, and where it comes from.
    pub time: (ReferenceTime, Source),
}

/// The agent of one device.
pub struct Updater {
    config: Config,
    slots: SlotGroup,
    emmc: Option<EmmcBoot>,
    boot: Box<dyn BootControl + Send>,
    states: StateStore,
    state: State,
    memory: Memory,
    /// What is stored of `memory`.
    stored: Memory,
    stop: Stop,
    /// The bundle that takes the place of the server in this run.
    bundle: Option<PathBuf>,
    /// The release that is being installed.
    at_work: Option<Sha256Digest>,
    /// Held as long as this lives.
    lock: Option<Lock>,
}

impl Updater {
    /// Opens the state, the slots and the boot loader, and takes the lock.
    ///
    /// # Errors
    /// If something is missing, damaged, or another updater is at work.
    pub fn open(config: Config) -> Result<Self, Error> {
        Self::open_on(Storage::default(), config)
    }

    /// [`Updater::open`] on a storage that may fail: everything that it keeps and every image that it writes is there.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(storage: Storage, config: Config) -> Result<Self, Error> {
        let states = StateStore::open_on(&config.state, storage.clone())?;
        let lock = Lock::take(&config.state)?;
        states.tidy()?;
        let mut updater = Self::look_on(storage, config)?;
        updater.states.save(&updater.state)?;
        updater.lock = Some(lock);
        Ok(updater)
    }

    /// Opens the same only to look at it: without the lock, so also while an updater is at work.
    ///
    /// # Errors
    /// If something is missing or damaged.
    pub fn look(config: Config) -> Result<Self, Error> {
        Self::look_on(Storage::default(), config)
    }

    fn look_on(storage: Storage, config: Config) -> Result<Self, Error> {
        let states = StateStore::open_on(&config.state, storage)?;
        let disk = states.storage().disk();
        let paths = config
            .slots
            .iter()
            .map(|(class, slot)| (class.clone(), (slot.a.clone(), slot.b.clone())));
        let slots = SlotGroup::on(disk.clone(), paths.collect());
        let boot = boot::open(&config.boot, &slots, disk)?;
        let emmc = config.emmc_boot.as_ref().map(EmmcBoot::new);
        // Without them no image of theirs is taken, and what was installed before is judged all the same.
        let slots = match &emmc {
            Some(emmc) => {
                let all = slots.clone().with_emmc(emmc, boot.status()?.booted);
                all.unwrap_or_else(|e| {
                    tracing::warn!(error = %e, "the boot partitions cannot be written");
                    slots
                })
            }
            None => slots,
        };
        let state = match states.load()? {
            Some(state) => state,
            None => first_state(&config, boot.status()?.booted)?,
        };
        let memory = Memory::load(&states);
        Ok(Self {
            stored: memory.clone(),
            memory,
            stop: Stop::default(),
            bundle: None,
            at_work: None,
            slots,
            emmc,
            boot,
            states,
            state,
            config,
            lock: None,
        })
    }

    /// What is remembered of installations.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the boot loader says.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn boot_status(&self) -> Result<BootStatus, Error> {
        Ok(self.boot.status()?)
    }

    /// The clock of a run that begins when the system clock says `system`: see [`crate::clock`].
    ///
    /// # Errors
    /// If the stored floor is damaged.
    pub fn clock(&self, system: Timestamp) -> Result<RunClock<'_>, Error> {
        Ok(RunClock::new(system, self.floor()?, Some(&self.states)))
    }

    /// One whole run at a timer's word: see [`Updater::run`].
    ///
    /// # Errors
    /// As [`Updater::run`].
    pub async fn once(
        &mut self,
        system: Timestamp,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        self.run(system, Asked::ByTimer, progress).await
    }

    /// One whole run: what the last start means, and then, unless the device has to restart, an update if there is one.
    ///
    /// # Errors
    /// Whatever went wrong; the running firmware is untouched. [`Error::TrialFailed`] if the firmware on trial was not well;
    /// [`Error::Stopped`] if it was asked to stop.
    pub async fn run(
        &mut self,
        system: Timestamp,
        asked: Asked,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        self.run_from(None, system, asked, progress).await
    }

    /// A whole run at a person's word, with a bundle in the place of the server: see [`crate::transport::bundle`]. Nothing is asked
    /// of the network: the device's certificate is not renewed, and what there is to report waits for a run that has one. Its
    /// bounds for the link, `metered` and the bandwidth cap, say nothing here.
    ///
    /// # Errors
    /// As [`Updater::run`]; if the file is no bundle, or one for other devices.
    pub async fn install_bundle(
        &mut self,
        bundle: &Path,
        system: Timestamp,
        retry: bool,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        let asked = Asked::ByPerson { retry };
        self.run_from(Some(bundle), system, asked, progress).await
    }

    async fn run_from(
        &mut self,
        bundle: Option<&Path>,
        system: Timestamp,
        asked: Asked,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        self.bundle = bundle.map(Path::to_owned);
        // Settling decides nothing by the time, so a damaged floor must not keep it from happening.
        let estimate = self.clock(system).map(|clock| clock.reference().0);
        let now = *estimate.as_ref().unwrap_or(&system);
        let settled = self.settle(now);
        let result = match settled {
            Ok(Some(outcome)) => Ok(outcome),
            Err(e) => Err(e),
            Ok(None) => self.update_and_tell(system, asked, progress).await,
        };
        self.note(&result, now);
        let offline = self.bundle.take().is_some();
        if estimate.is_ok() && !offline && !self.stop.is_asked() {
            let stop = self.stop.clone();
            tokio::select! {
                () = self.send_reports(now) => {}
                () = stop.asked() => {}
            }
        }
        result
    }

    /// What stops a run of this updater.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// What is remembered of runs.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The same updater, holding its lock, under another configuration; the state folder is the same.
    ///
    /// # Errors
    /// If something of it is missing or damaged, or the state folder is another one; then it goes on as it was.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), Error> {
        if config.state != self.config.state {
            let what =
                "the state folder cannot change while the updater runs: restart it".to_owned();
            return Err(Error::NotNow { what });
        }
        let mut new = Self::look_on(self.states.storage().clone(), config)?;
        new.lock = self.lock.take();
        new.stop = self.stop.clone();
        *self = new;
        Ok(())
    }

    /// Looks what there is, and installs nothing.
    ///
    /// # Errors
    /// If metadata cannot be fetched or is refused.
    pub async fn check(&mut self, system: Timestamp) -> Result<Checked, Error> {
        self.bundle = None;
        let states = self.states.clone();
        let mut clock = RunClock::new(system, self.floor()?, Some(&states));
        let checked = self.looked(&mut clock).await;
        match &checked {
            Ok(_) => self.note_run(
                "it looked what is offered".to_owned(),
                None,
                clock.reference().0,
            ),
            Err(e) => self.note_run(String::new(), Some(e), clock.reference().0),
        }
        checked
    }

    async fn looked(&mut self, clock: &mut RunClock<'_>) -> Result<Checked, Error> {
        let Refreshed { offer, .. } = self.refresh(clock).await?;
        let time = clock.reference();
        let decided = match offer {
            Some(offer) => {
                let decision = self.decide(&offer, time.0)?;
                Some((offer, decision))
            }
            None => None,
        };
        self.remember_offer(decided.as_ref());
        let running = self.state.running.version.clone();
        let withdrawn = decided
            .as_ref()
            .and_then(|(offer, _)| offer.manifest.withdrawal(&running).cloned());
        Ok(Checked {
            running,
            withdrawn,
            hold: self.hold(time.0, false),
            offer: decided,
            time,
        })
    }

    async fn update_and_tell(
        &mut self,
        system: Timestamp,
        asked: Asked,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        let states = self.states.clone();
        let mut clock = RunClock::new(system, self.floor()?, Some(&states));
        let (now, _) = clock.reference();
        let identity = match &self.bundle {
            Some(_) => Ok(()),
            None => self.keep_identity(now).await.map(drop),
        };
        let mut result = match identity {
            Ok(()) => self.update(&mut clock, asked, progress).await,
            Err(e) => Err(e),
        };
        if let Err(Error::Transport(TransportError::NotAccepted { .. })) = &result
            && self.identity_anew(now, false).await
        {
            result = self.update(&mut clock, asked, progress).await;
        }
        if let Err(e) = &result
            && !matches!(
                e,
                Error::Transport(_) | Error::Enrolment(_) | Error::Stopped
            )
        {
            let detail = e.in_one_line();
            self.tell(ReportEvent::Refused, &detail, None, clock.reference().0);
        }
        result
    }

    async fn update(
        &mut self,
        clock: &mut RunClock<'_>,
        asked: Asked,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        let stop = self.stop.clone();
        let refreshed = tokio::select! {
            biased;
            () = stop.asked() => return Err(Error::Stopped),
            refreshed = self.refresh(clock) => refreshed?,
        };
        let Refreshed {
            mut network,
            mut set,
            offer,
        } = refreshed;
        let now = clock.reference().0;
        let running = self.state.running.version.clone();
        let Some(offer) = offer else {
            self.remember_offer(None);
            let device = &self.config.device;
            let (product, channel) = (&device.product, &device.channel);
            let why = format!("nothing is released for {product} on the channel {channel}");
            return Ok(Outcome::NothingToDo { running, why });
        };
        if asked == (Asked::ByPerson { retry: true }) {
            self.forgive(&offer)?;
        }
        let withdrawn = offer.manifest.withdrawal(&running);
        let advice = withdrawn.map_or_else(String::new, |entry| {
            format!("; {running}, which runs, was withdrawn: {}", entry.reason)
        });
        let decision = self.decide(&offer, now)?;
        let decided = (offer, decision);
        self.remember_offer(Some(&decided));
        let (offer, decision) = decided;
        match decision {
            Decision::UpToDate => Ok(Outcome::NothingToDo {
                why: format!("{running} is the newest release{advice}"),
                running,
            }),
            Decision::NotTaken(reason) => {
                let version = &offer.manifest.version;
                let why = format!("{version} is not taken: {reason}{advice}");
                Ok(Outcome::NothingToDo { running, why })
            }
            Decision::Install => {
                if let Some(hold) = self.hold(now, asked != Asked::ByTimer) {
                    return Ok(self.held(&hold, offer.manifest.version.clone(), now));
                }
                self.at_work = Some(offer.digest);
                if let Some(outcome) = self.asked_before(hooks::PRE_DOWNLOAD, &offer)? {
                    return Ok(outcome);
                }
                let mut client = network.client();
                self.install(&mut client, &mut set, &offer, now, progress)
                    .await
            }
        }
    }

    async fn install(
        &mut self,
        client: &mut Client<'_>,
        set: &mut AtTargets,
        offer: &Offer,
        now: ReferenceTime,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        hooks::list(&self.config.hooks.join(health::REQUIRED)).map_err(Error::HealthChecks)?;
        let booted = self.boot.status()?.booted;
        let groups = self.slots.clone();
        groups.check_distinct()?;
        if let Some(outcome) = self.asked_before(hooks::PRE_INSTALL, offer)? {
            return Ok(outcome);
        }
        let begun = Instant::now();
        let inactive = groups.inactive(booted);
        let slot = inactive.name();
        if self.state.installation.new_firmware() != Some(&offer.firmware()) {
            self.states.clear_checkpoint()?;
        }
        self.event(
            Event::Begin {
                new: offer.firmware(),
                slot,
            },
            now,
        )?;
        let open = inactive.begin(&mut *self.boot)?;
        let (mut written, mut downloaded, mut kind) = (Vec::new(), 0_u64, PayloadKind::Delta);
        let (mut unchanged, mut length) = (0_u64, 0_u64);
        let mut rules = self.rules();
        for (class, image) in &offer.manifest.images {
            let running = self.state.running.images.get(class).copied();
            let place = groups.place(booted, class).zip(running.as_ref());
            let mut transfer = Transfer {
                client: &mut *client,
                set: &mut *set,
                state: &self.states,
                progress: &mut *progress,
                rules: &mut rules,
            };
            let transferred = transfer.image(offer, &open, class, image, place).await;
            self.memory.deltas = rules.failures.clone();
            let transferred = transferred?;
            downloaded = downloaded.saturating_add(transferred.downloaded);
            if transferred.kind == Some(PayloadKind::Full) {
                kind = PayloadKind::Full;
            }
            unchanged = unchanged.saturating_add(transferred.image.unchanged());
            length = length.saturating_add(image.length);
            written.push(transferred.image);
        }
        let staged = open.stage(&written, &offer.firmware().images)?;
        if let Some(outcome) = self.asked_before(hooks::POST_INSTALL, offer)? {
            // Of no payload: it only says that images may stand in the slot already.
            self.states.save_checkpoint(b"whole")?;
            return Ok(outcome);
        }
        self.event(Event::Staged, now)?;
        self.states.clear_checkpoint()?;
        self.arm(&staged, now)?;
        let version = offer.manifest.version.clone();
        self.tell(
            ReportEvent::Installed,
            &format!("{version} in slot {slot}; {unchanged} of {length} bytes stood there already"),
            Some((downloaded, kind)),
            now,
        );
        self.installed(&version, slot, (downloaded, kind), begun.elapsed(), now);
        Ok(Outcome::Armed {
            version,
            slot,
            downloaded,
            kind,
            signed_by: offer.signed_by.clone(),
        })
    }

    fn decide(&self, offer: &Offer, now: ReferenceTime) -> Result<Decision, Error> {
        let capacities = self.slots.capacities()?;
        let failed: Vec<(Vec<Sha256Digest>, String)> = self
            .state
            .failed
            .iter()
            .map(|failure| {
                let images = failure.images.values().map(|image| image.sha256);
                (images.collect(), failure.why.clone())
            })
            .collect();
        let device = Device {
            product: &self.config.device.product,
            hardware: &self.config.device.hardware,
            channel: &self.config.device.channel,
            version: &self.state.running.version,
            security_version: self.state.security_floor,
            seed: &self.seed()?,
            slots: &capacities,
            failed: &failed,
        };
        Ok(decide(&device, &offer.manifest, now))
    }

    /// What decides the device's place in a rollout: its URN.
    fn seed(&self) -> Result<String, Error> {
        let urn = identity::urn(&self.config, &self.states)?;
        Ok(urn.map(|urn| urn.to_string()).unwrap_or_default())
    }

    /// Stores what follows from an event, before anything is done about it.
    fn event(&mut self, event: Event, now: ReferenceTime) -> Result<Action, Error> {
        let (state, action) = self.state.clone().step(event, now)?;
        if state != self.state {
            self.states.save(&state)?;
            self.state = state;
        }
        Ok(action)
    }

    fn floor(&self) -> Result<TimeFloor, Error> {
        let build_time = self.config.factory.build_time;
        let stored = self.states.time_floor()?;
        Ok(stored.map_or(TimeFloor::factory(build_time), |floor| {
            floor.at_least(build_time)
        }))
    }
}

/// The state of a device that starts for the first time. `open` stores it at once: a state that is missing later was lost,
/// and the anti-rollback floor with it.
fn first_state(config: &Config, booted: SlotName) -> Result<State, Error> {
    if config.state.join("metadata/root.json").exists() {
        return Err(Error::Store(StoreError::Damaged {
            path: config.state.join("state.json"),
            why: "it is missing, although this device has been at work before".to_owned(),
        }));
    }
    Ok(factory_state(config, booted))
}

fn factory_state(config: &Config, booted: SlotName) -> State {
    let images: BTreeMap<_, _> = config
        .factory
        .images
        .iter()
        .map(|(class, image)| {
            (
                class.clone(),
                ImageRef {
                    length: image.length,
                    sha256: image.sha256,
                },
            )
        })
        .collect();
    let running = Firmware {
        version: config.factory.version.clone(),
        security_version: config.factory.security_version,
        manifest: None,
        images,
    };
    State::factory(running, booted)
}
