//! The whole agent: settle what the last boot means, refresh, select, install.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device_pki::{
    Clock, DeviceReport, Identity, ReportEvent, RevocationPolicy, Revocations, SystemEntropy,
    TrustAnchor,
};
use device_pki::{durable, report, tls};
use metadata_schema::digest::Sha256Digest;
use metadata_schema::limits::Limits;
use metadata_schema::release::FirmwareVersion;
use metadata_schema::time::{ReferenceTime, Timestamp};
use metadata_schema::trusted::AtTargets;

use crate::boot::simulated::Simulated;
use crate::boot::{BootControl, BootStatus};
use crate::clock::{Source, TimeFloor};
use crate::config::{BootConfig, Config};
use crate::error::{Error, StoreError};
use crate::health::{self, Subject};
use crate::install::{Offer, PayloadKind, Transfer, find_offer};
use crate::lifecycle::{Action, Event, Firmware, ImageRef, Stage, State};
use crate::metadata_store::MetadataStore;
use crate::progress::Progress;
use crate::refresh::Client;
use crate::report::Outbox;
use crate::select::{Decision, Device, decide};
use crate::slot::{SlotGroup, SlotName, StagedSlot};
use crate::state_store::StateStore;
use crate::transport::http::{self, Http};
use crate::trust::Trust;

/// Longest root metadata that comes with the firmware, in bytes.
const MAX_ROOT: u64 = 1024 * 1024;

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
    /// The firmware on trial is well, and stays.
    Committed {
        /// Its version.
        version: FirmwareVersion,
        /// Its slot.
        slot: SlotName,
    },
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Version that runs.
    pub running: FirmwareVersion,
    /// The offer of the channel, if there is one, and what to do about it.
    pub offer: Option<(Offer, Decision)>,
    /// The reference time, and where it comes from.
    pub time: (ReferenceTime, Source),
}

/// The agent of one device.
pub struct Updater {
    config: Config,
    slots: SlotGroup,
    boot: Box<dyn BootControl + Send>,
    store: MetadataStore,
    states: StateStore,
    state: State,
    outbox: Outbox,
    anchor: TrustAnchor,
    identity: Identity,
    _lock: File,
}

impl Updater {
    /// Opens everything that the configuration names, and takes the lock.
    ///
    /// # Errors
    /// If something is missing, damaged, or another updater is at work.
    pub fn open(config: Config) -> Result<Self, Error> {
        let states = StateStore::open(&config.state)?;
        let lock = lock(&config)?;
        let BootConfig::Simulated { path, .. } = &config.boot;
        let boot = Box::new(Simulated::new(path));
        let paths = config
            .slots
            .iter()
            .map(|(class, slot)| (class.clone(), (slot.a.clone(), slot.b.clone())));
        let slots = SlotGroup::new(paths.collect());
        let state = match states.load()? {
            Some(state) => state,
            None => factory_state(&config, boot.status()?.booted),
        };
        let anchor = durable::read_bounded(&config.trust.anchor, MAX_ROOT)
            .and_then(|pem| TrustAnchor::from_pem(&pem));
        Ok(Self {
            slots,
            boot,
            store: MetadataStore::open(&config.state.join("metadata"))?,
            outbox: Outbox::open(&config.state.join("reports"))?,
            anchor: anchor.map_err(Error::Identity)?,
            identity: Identity::load(&config.identity.certificate, &config.identity.key)
                .map_err(Error::Identity)?,
            states,
            state,
            config,
            _lock: lock,
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

    /// The reference time of a run that begins when the system clock says `system`, and where it comes from.
    ///
    /// # Errors
    /// If the stored floor is damaged.
    pub fn reference_time(&self, system: Timestamp) -> Result<(ReferenceTime, Source), Error> {
        Ok(self.floor()?.reference(system))
    }

    /// One whole run: what the last boot means, and then, unless the device has to restart, an update if there is one.
    ///
    /// # Errors
    /// Whatever went wrong; the running firmware is untouched. [`Error::TrialFailed`] if the firmware on trial was not well.
    pub async fn once(
        &mut self,
        system: Timestamp,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        let (now, _) = self.reference_time(system)?;
        let settled = self.settle(now).await;
        self.send_reports(now).await;
        if let Some(outcome) = settled? {
            return Ok(outcome);
        }
        let result = self.update(now, progress).await;
        if let Err(e) = &result
            && !matches!(e, Error::Transport(_))
        {
            self.tell(
                ReportEvent::Refused,
                &crate::cli::output::in_one_line(e),
                None,
                now,
            );
        }
        self.send_reports(now).await;
        result
    }

    /// Finds out what the last boot means, and acts on it. It needs no network, and no unexpired metadata.
    ///
    /// # Errors
    /// If the firmware on trial is not well, or the boot loader cannot be set.
    pub async fn settle(&mut self, now: ReferenceTime) -> Result<Option<Outcome>, Error> {
        let BootStatus { boot, booted, .. } = self.boot.status()?;
        let failures = self.state.failed.len();
        let mut action = self.event(Event::Boot { slot: booted, boot }, now)?;
        if self.state.failed.len() > failures
            && let Some(failure) = self.state.failed.last().cloned()
        {
            let detail = format!("{}: {}", failure.version, failure.why);
            self.tell(ReportEvent::RolledBack, &detail, None, now);
        }
        loop {
            match action {
                Action::None => return Ok(None),
                Action::AwaitRestart(slot) => return Ok(self.armed(slot)),
                Action::Arm(slot) => {
                    let expected = self
                        .state
                        .installation
                        .new_firmware()
                        .map(|f| f.images.clone())
                        .unwrap_or_default();
                    let staged = StagedSlot::again(&self.slots, slot, &expected)?;
                    return self.arm(&staged, now).map(|()| self.armed(slot));
                }
                Action::Discard(slot) => {
                    self.boot.mark_unbootable(slot)?;
                    self.boot.commit(booted)?;
                    return Ok(None);
                }
                Action::Judge => action = self.judge(booted, now)?,
                Action::Commit(slot) => {
                    self.boot.commit(slot)?;
                    return Ok(self.just_committed(slot, now));
                }
                Action::RollBack(slot) => {
                    self.boot.give_up(slot)?;
                    return Err(self.trial_failed(slot));
                }
            }
        }
    }

    /// Looks what there is, and installs nothing.
    ///
    /// # Errors
    /// If metadata cannot be fetched or is refused.
    pub async fn check(&mut self, system: Timestamp) -> Result<Checked, Error> {
        let time = self.reference_time(system)?;
        let (mut http, trust) = self.network(time.0)?;
        let mut client = self.client(&mut http, &trust);
        let found = refreshed(&mut client, &self.config, time.0).await?;
        self.raise_floor(&found.0)?;
        let offer = found.1.map(|offer| {
            let decision = self.decide(&offer, time.0);
            decision.map(|decision| (offer, decision))
        });
        Ok(Checked {
            running: self.state.running.version.clone(),
            offer: offer.transpose()?,
            time,
        })
    }

    async fn update(
        &mut self,
        now: ReferenceTime,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        let (mut http, trust) = self.network(now)?;
        let store = self.store.clone();
        let mut client = Client {
            transport: &mut http,
            store: &store,
            trust: &trust,
            limits: Limits::default(),
        };
        let (mut set, offer) = refreshed(&mut client, &self.config, now).await?;
        self.raise_floor(&set)?;
        let running = self.state.running.version.clone();
        let Some(offer) = offer else {
            let channel = &self.config.device.channel;
            return Ok(Outcome::NothingToDo {
                running,
                why: format!("nothing is released on the channel {channel}"),
            });
        };
        match self.decide(&offer, now)? {
            Decision::UpToDate => Ok(Outcome::NothingToDo {
                why: format!("{running} is the newest release"),
                running,
            }),
            Decision::NotTaken(reason) => {
                let why = format!("{} is not taken: {reason}", offer.manifest.version);
                Ok(Outcome::NothingToDo { running, why })
            }
            Decision::Install => {
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
        let booted = self.boot.status()?.booted;
        let groups = self.slots.clone();
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
        for (class, image) in &offer.manifest.images {
            let running = self.state.running.images.get(class).copied();
            let place = groups.place(booted, class).zip(running.as_ref());
            let mut transfer = Transfer {
                client: &mut *client,
                set: &mut *set,
                state: &self.states,
                progress: &mut *progress,
            };
            let transferred = transfer.image(offer, &open, class, image, place).await?;
            downloaded = downloaded.saturating_add(transferred.downloaded);
            if transferred.kind == Some(PayloadKind::Full) {
                kind = PayloadKind::Full;
            }
            written.push(transferred.image);
        }
        let staged = open.stage(&written, &offer.firmware().images)?;
        self.event(Event::Staged, now)?;
        self.states.clear_checkpoint()?;
        self.arm(&staged, now)?;
        let version = offer.manifest.version.clone();
        self.tell(
            ReportEvent::Installed,
            &format!("{version} in slot {slot}"),
            Some((downloaded, kind)),
            now,
        );
        Ok(Outcome::Armed {
            version,
            slot,
            downloaded,
            kind,
            signed_by: offer.signed_by.clone(),
        })
    }

    fn arm(&mut self, staged: &StagedSlot, now: ReferenceTime) -> Result<(), Error> {
        self.boot.arm(staged)?;
        let boot = self.boot.status()?.boot;
        self.event(Event::Armed { boot }, now).map(drop)
    }

    fn armed(&self, slot: SlotName) -> Option<Outcome> {
        let version = self.state.installation.new_firmware()?.version.clone();
        let (downloaded, kind, signed_by) = (0, PayloadKind::Delta, Vec::new());
        Some(Outcome::Armed {
            version,
            slot,
            downloaded,
            kind,
            signed_by,
        })
    }

    fn judge(&mut self, slot: SlotName, now: ReferenceTime) -> Result<Action, Error> {
        let folder = self.config.hooks.join("health.d/required");
        let deadline = Duration::from_secs(self.config.health_deadline);
        match health::check(&folder, &self.subject(slot), deadline) {
            Ok(passed) => {
                tracing::info!(?passed, "the firmware on trial is well");
                self.event(Event::Healthy, now)
            }
            Err(unhealthy) => {
                let why = unhealthy.to_string();
                tracing::warn!(why, "the firmware on trial is not well");
                self.event(Event::Unhealthy { why }, now)
            }
        }
    }

    fn subject(&self, slot: SlotName) -> Subject {
        let version = self
            .state
            .installation
            .new_firmware()
            .map(|f| f.version.to_string())
            .unwrap_or_default();
        let mut variables = vec![
            ("UPDATER_SLOT".to_owned(), slot.to_string()),
            ("UPDATER_VERSION".to_owned(), version),
        ];
        for class in self.config.slots.keys() {
            if let Some(place) = self.slots.place(slot, class) {
                let class = class.as_str().to_uppercase().replace(['-', '.'], "_");
                variables.push((
                    format!("UPDATER_IMAGE_{class}"),
                    place.path().display().to_string(),
                ));
            }
        }
        Subject { variables }
    }

    /// Whether the commit that was just made is of new firmware, and not the one of every boot.
    fn just_committed(&mut self, slot: SlotName, now: ReferenceTime) -> Option<Outcome> {
        let version = self.state.running.version.clone();
        let reported = self.states.folder().join("committed");
        let known = durable::read_bounded(&reported, 128).ok();
        if known.as_deref() == Some(version.to_string().as_bytes())
            || self.state.running.manifest.is_none()
        {
            return None;
        }
        self.tell(
            ReportEvent::Committed,
            &format!("{version} in slot {slot}"),
            None,
            now,
        );
        if let Err(e) = durable::write(&reported, version.to_string().as_bytes(), 0o600) {
            tracing::warn!(error = %e, "the commit will be reported again");
        }
        Some(Outcome::Committed { version, slot })
    }

    fn trial_failed(&self, slot: SlotName) -> Error {
        let version = self
            .state
            .installation
            .new_firmware()
            .map(|f| f.version.to_string())
            .unwrap_or_default();
        let why = match &self.state.installation {
            Stage::RollingBack { why, .. } => why.clone(),
            _ => String::new(),
        };
        Error::TrialFailed { version, slot, why }
    }

    fn decide(&self, offer: &Offer, now: ReferenceTime) -> Result<Decision, Error> {
        let capacities = self.slots.capacities()?;
        let failed: Vec<(Sha256Digest, String)> = self
            .state
            .failed
            .iter()
            .filter_map(|f| Some((f.manifest?, f.why.clone())))
            .collect();
        let seed = self
            .identity
            .device()
            .map(|urn| urn.to_string())
            .unwrap_or_default();
        let device = Device {
            product: &self.config.device.product,
            hardware: &self.config.device.hardware,
            channel: &self.config.device.channel,
            version: &self.state.running.version,
            security_version: self.state.security_floor,
            seed: &seed,
            slots: &capacities,
            failed: &failed,
        };
        Ok(decide(&device, &offer.manifest, &offer.digest, now))
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
        Ok(TimeFloor::new(
            self.states.time_floor()?,
            self.config.factory.build_time,
        ))
    }

    fn raise_floor(&self, set: &AtTargets) -> Result<(), Error> {
        let before = self.floor()?;
        let people = [&set.root().common, &set.targets().common];
        let floor = people.iter().fold(before, |floor, common| {
            floor.raised_by_people(common.issued)
        });
        let floor = floor.raised_by_online_key(set.timestamp().common.issued);
        if floor != before {
            self.states.save_time_floor(floor.time())?;
        }
        Ok(())
    }

    fn network(&self, now: ReferenceTime) -> Result<(Http, Trust), Error> {
        let trust = Trust::Pki {
            anchor: Box::new(self.anchor.clone()),
            minimum: self.config.trust.minimum_thresholds,
        };
        let client = self.http_client(now)?;
        let http = Http::new(
            client,
            &self.config.server.metadata,
            &self.config.server.targets,
        );
        Ok((http, trust))
    }

    fn http_client(&self, now: ReferenceTime) -> Result<reqwest::Client, Error> {
        let mut lists = Vec::new();
        for (path, bytes) in self.store.load_crls()? {
            let damaged = |e: device_pki::Error| StoreError::Damaged {
                path: path.clone(),
                why: e.to_string(),
            };
            lists.push(device_pki::Crl::from_der("revocation list", &bytes).map_err(damaged)?);
        }
        let trust = device_pki::Trust {
            anchor: self.anchor.clone(),
            revocations: Arc::new(Revocations::new(lists)),
            policy: RevocationPolicy::Available,
            clock: Clock::Fixed(now),
        };
        let tls = tls::device_client(&self.identity, &trust).map_err(Error::Identity)?;
        Ok(http::client(tls)?)
    }

    fn client<'a>(&'a self, http: &'a mut Http, trust: &'a Trust) -> Client<'a> {
        Client {
            transport: http,
            store: &self.store,
            trust,
            limits: Limits::default(),
        }
    }

    /// Writes a report. Reporting never decides anything, so what goes wrong is only logged.
    fn tell(
        &self,
        event: ReportEvent,
        detail: &str,
        payload: Option<(u64, PayloadKind)>,
        now: ReferenceTime,
    ) {
        let written = || -> Result<(), Error> {
            let Some(device) = self.identity.device() else {
                return Ok(());
            };
            let report = DeviceReport {
                format: report::FORMAT,
                id: DeviceReport::random_id(&mut SystemEntropy).map_err(Error::Identity)?,
                device,
                sent: now,
                product: self.config.device.product.to_string(),
                hardware: self.config.device.hardware.to_string(),
                slot: self.state.slot.to_string(),
                firmware_version: self.state.running.version.to_string(),
                event,
                detail: detail.chars().take(1000).collect(),
                bytes_downloaded: payload.map_or(0, |(bytes, _)| bytes),
                payload_kind: payload
                    .map(|(_, kind)| kind.to_string())
                    .unwrap_or_default(),
            };
            Ok(self.outbox.add(&report)?)
        };
        if let Err(e) = written() {
            tracing::warn!(error = %e, "no report could be written");
        }
    }

    async fn send_reports(&self, now: ReferenceTime) {
        let Some(url) = &self.config.server.reports else {
            return;
        };
        match self.http_client(now) {
            Ok(client) => {
                self.outbox.send(&client, url).await;
            }
            Err(e) => tracing::warn!(error = %e, "reports wait"),
        }
    }
}

/// Refreshes, and looks up what the device's channel offers.
async fn refreshed(
    client: &mut Client<'_>,
    config: &Config,
    now: ReferenceTime,
) -> Result<(AtTargets, Option<Offer>), Error> {
    let root = durable::read_bounded(&config.trust.root, MAX_ROOT).map_err(Error::Identity)?;
    let mut set = client.refresh(&root, now).await?;
    let offer = find_offer(
        client,
        &mut set,
        &config.device.product,
        &config.device.channel,
    )
    .await?;
    Ok((set, offer))
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

/// One updater at a time works on a state folder.
fn lock(config: &Config) -> Result<File, Error> {
    let path: PathBuf = config.state.join("lock");
    let failed = |e: std::io::Error| StoreError::Damaged {
        path: path.clone(),
        why: e.to_string(),
    };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { lock: path }),
        Err(TryLockError::Error(e)) => Err(failed(e).into()),
    }
}
