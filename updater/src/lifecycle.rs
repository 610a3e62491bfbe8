//! The life of an installation: a pure function of (state, event) to state.
//!
//! [`State::step`] looks up the one table of all transitions; `docs/LIFECYCLE.md` shows it. The usual ones:
//!
//! ```text
//!        Begin            Staged          Armed          Boot (new)       Healthy             Committed
//!   Idle -----> Installing -----> Staged -----> Armed ------------> Trial -----> Committing -----------> Idle (new)
//!    ^   Abandoned  |  Abandoned   |  ^           | Boot (old)       | Unhealthy      | Boot (old)
//!    +--------------+--------------+  |           v                  v                v
//!    |             Boot (other): try it again     Idle, failed <-- RollingBack      Idle, failed
//!    +--------------------------------+                     Boot (old)
//! ```
//!
//! The state is stored before the action that it announces, so that after a power cut at any instant the next start
//! finds out where it stands by comparing the stored state with the slot that has booted.

use std::collections::BTreeMap;

use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{FirmwareVersion, SlotClass};
use metadata_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::slot::SlotName;
use table::{At, Do, On, To};

/// Most failed releases and history entries that are remembered.
const REMEMBERED: usize = 32;

/// An image by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Length in bytes.
    pub length: u64,
    /// Digest of those bytes.
    pub sha256: Sha256Digest,
}

/// A firmware: what a release becomes once it is in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// Its version.
    pub version: FirmwareVersion,
    /// Its anti-rollback number.
    pub security_version: u64,
    /// The manifest that it came from; none for the factory's.
    pub manifest: Option<Sha256Digest>,
    /// Its images, as far as they are known.
    pub images: BTreeMap<SlotClass, ImageRef>,
}

impl Firmware {
    /// A firmware of which nothing is known: anything is newer.
    fn unknown() -> Self {
        Self {
            version: FirmwareVersion::LOWEST,
            security_version: 0,
            manifest: None,
            images: BTreeMap::new(),
        }
    }
}

/// Where an installation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// Nothing is going on.
    Idle,
    /// The inactive slot is being written. It is not bootable.
    Installing {
        /// What is being installed.
        new: Firmware,
        /// Where to.
        slot: SlotName,
    },
    /// The slot holds the new firmware, read back and compared. It is to be armed.
    Staged {
        /// What was installed.
        new: Firmware,
        /// Where.
        slot: SlotName,
    },
    /// The next boot tries the slot.
    Armed {
        /// What will be tried.
        new: Firmware,
        /// Where it is.
        slot: SlotName,
        /// The boot in which it was armed: as long as it lasts, nothing has been tried.
        boot: String,
    },
    /// The slot has booted and is being judged.
    Trial {
        /// What is on trial.
        new: Firmware,
        /// Where it is.
        slot: SlotName,
    },
    /// The firmware on trial is well: the boot loader is to be told.
    Committing {
        /// What is kept.
        new: Firmware,
        /// Where it is.
        slot: SlotName,
    },
    /// The trial failed: the slot is to be made unbootable, and the old one booted.
    RollingBack {
        /// What failed.
        new: Firmware,
        /// Where it is.
        slot: SlotName,
        /// Why.
        why: String,
    },
}

/// A release that was tried and failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its images, by which it is known again.
    pub images: BTreeMap<SlotClass, ImageRef>,
    /// Its version.
    pub version: FirmwareVersion,
    /// What went wrong.
    pub why: String,
    /// When it was given up.
    pub at: Timestamp,
}

/// Everything that is remembered of installations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The firmware that is committed.
    pub running: Firmware,
    /// The slot that it is in.
    pub slot: SlotName,
    /// The firmware before, in the other slot.
    pub previous: Option<Firmware>,
    /// Highest security version that was ever committed.
    pub security_floor: u64,
    /// Where an installation stands.
    pub installation: Stage,
    /// Releases that failed, the newest last.
    pub failed: Vec<Failure>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A release was selected for a slot.
    Begin {
        /// The release.
        new: Firmware,
        /// The slot.
        slot: SlotName,
    },
    /// A person wants the firmware before back.
    Return {
        /// Why.
        why: String,
    },
    /// The installation is given up, before anything was tried.
    Abandoned,
    /// All images stand in the slot and were compared.
    Staged,
    /// The boot loader will try the slot.
    Armed {
        /// The boot that lasts.
        boot: String,
    },
    /// The device has started.
    Boot {
        /// From this slot.
        slot: SlotName,
        /// What tells this boot from any other.
        boot: String,
    },
    /// The firmware on trial is well.
    Healthy,
    /// The boot loader starts the new firmware from now on.
    Committed,
    /// The firmware on trial is not well.
    Unhealthy {
        /// Why.
        why: String,
    },
}

/// What the new state asks for. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Nothing.
    None,
    /// Arm the slot: it was staged, and the power may have failed before it was armed.
    Arm(SlotName),
    /// Wait for the restart that tries this slot.
    AwaitRestart(SlotName),
    /// Judge the firmware on trial.
    Judge,
    /// Make sure that this slot, which runs and is committed, is the one that boots.
    Keep(SlotName),
    /// Make this slot the one that boots from now on.
    Commit(SlotName),
    /// Make this slot unbootable; the old firmware runs already.
    Discard(SlotName),
    /// Make this slot unbootable and restart into the old firmware.
    RollBack(SlotName),
}

/// An event came in a stage in which it makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the installation is at {stage}, where {event} cannot happen")]
pub struct OutOfOrder {
    stage: &'static str,
    event: String,
}

/// The device cannot go back to the firmware before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoWayBack {
    /// It is not there any more, or there never was one.
    #[error(
        "there is no firmware before this one: the other slot was never committed, or has been written since"
    )]
    Gone,
    /// Its images are not known, so nobody can say whether its slot still holds them.
    #[error(
        "nothing is known of the images of {version}, the firmware before, to compare its slot with"
    )]
    Unknown {
        /// Its version.
        version: FirmwareVersion,
    },
    /// Its slot holds something else by now.
    #[error("slot {slot} does not hold {version}, the firmware before, any more")]
    Overwritten {
        /// Its version.
        version: FirmwareVersion,
        /// The slot.
        slot: SlotName,
    },
    /// It is older than the security floor.
    #[error(
        "{version} has security version {security_version}, below {floor}, which was committed here"
    )]
    SecurityFloor {
        /// Its version.
        version: FirmwareVersion,
        /// Its security version.
        security_version: u64,
        /// Highest that was committed.
        floor: u64,
    },
}

impl State {
    /// The state of a device that came from the factory with `running` in `slot`.
    pub fn factory(running: Firmware, slot: SlotName) -> Self {
        let security_floor = running.security_version;
        Self {
            running,
            slot,
            previous: None,
            security_floor,
            installation: Stage::Idle,
            failed: Vec::new(),
        }
    }

    /// What follows from an event: the transition in the table for the stage and what happened.
    ///
    /// # Errors
    /// [`OutOfOrder`], if the event cannot happen in this stage; the state stays as it is.
    pub fn step(self, event: Event, now: Timestamp) -> Result<(Self, Action), OutOfOrder> {
        let (at, on) = (self.installation.at(), self.on(&event));
        let row = table::row_of(at, on).filter(|_| self.allows(&event));
        let Some(row) = row else {
            return Err(OutOfOrder {
                stage: at.name(),
                event: event.to_string(),
            });
        };
        let slot_before = self.installation.slot();
        let state = match row.to {
            To::Stay => self,
            To::Go(to) => self.gone(to, event, now),
            To::Kept => self.committed(),
            To::Failed => self.failed(now),
            To::Astray => self.strayed(),
        };
        let new = state.installation.slot().or(slot_before);
        let slot = new.unwrap_or(state.slot);
        let action = match row.then {
            Do::Nothing => Action::None,
            Do::Keep => Action::Keep(state.slot),
            Do::Arm => Action::Arm(slot),
            Do::AwaitRestart => Action::AwaitRestart(slot),
            Do::Judge => Action::Judge,
            Do::Commit => Action::Commit(slot),
            Do::Discard => Action::Discard(slot),
            Do::RollBack => Action::RollBack(slot),
        };
        Ok((state, action))
    }

    /// What happened, as the table sees it.
    fn on(&self, event: &Event) -> On {
        match event {
            Event::Begin { .. } => On::Begin,
            Event::Return { .. } => On::Return,
            Event::Abandoned => On::Abandoned,
            Event::Staged => On::Staged,
            Event::Armed { .. } => On::Armed,
            Event::Healthy => On::Healthy,
            Event::Committed => On::Committed,
            Event::Unhealthy { .. } => On::Unhealthy,
            Event::Boot { slot, .. } if *slot != self.slot => On::New,
            Event::Boot { boot, .. } => match &self.installation {
                Stage::Armed { boot: armed_in, .. } if armed_in == boot => On::Same,
                _ => On::Old,
            },
        }
    }

    /// What the table does not say: the running slot is never written, and there is a firmware to go back to.
    fn allows(&self, event: &Event) -> bool {
        match event {
            Event::Begin { slot, .. } => *slot != self.slot,
            Event::Return { .. } => self.way_back().is_ok(),
            _ => true,
        }
    }

    /// The firmware before, if the device may go back to it.
    ///
    /// # Errors
    /// Why it may not.
    pub fn way_back(&self) -> Result<&Firmware, NoWayBack> {
        let previous = self.previous.as_ref().ok_or(NoWayBack::Gone)?;
        if previous.security_version < self.security_floor {
            return Err(NoWayBack::SecurityFloor {
                version: previous.version.clone(),
                security_version: previous.security_version,
                floor: self.security_floor,
            });
        }
        if previous.images.is_empty() {
            return Err(NoWayBack::Unknown {
                version: previous.version.clone(),
            });
        }
        Ok(previous)
    }

    /// At another stage of the same installation, or of the one that the event begins.
    fn gone(mut self, to: At, event: Event, now: Timestamp) -> Self {
        let (new, slot, boot, why) = match event {
            Event::Begin { new, slot } => {
                // The firmware before stands in the slot that is written now.
                self.previous = None;
                (Some(new), Some(slot), String::new(), String::new())
            }
            Event::Return { why } => {
                self.remember(self.running.clone(), why, now);
                let slot = self.slot.other();
                (
                    self.previous.take(),
                    Some(slot),
                    String::new(),
                    String::new(),
                )
            }
            Event::Armed { boot } => (None, None, boot, String::new()),
            Event::Unhealthy { why } => (None, None, String::new(), why),
            _ => (None, None, String::new(), String::new()),
        };
        let new = new.or_else(|| self.installation.new_firmware().cloned());
        let slot = slot.or_else(|| self.installation.slot());
        self.installation = match (to, new, slot) {
            (At::Installing, Some(new), Some(slot)) => Stage::Installing { new, slot },
            (At::Staged, Some(new), Some(slot)) => Stage::Staged { new, slot },
            (At::Armed, Some(new), Some(slot)) => Stage::Armed { new, slot, boot },
            (At::Trial, Some(new), Some(slot)) => Stage::Trial { new, slot },
            (At::Committing, Some(new), Some(slot)) => Stage::Committing { new, slot },
            (At::RollingBack, Some(new), Some(slot)) => Stage::RollingBack { new, slot, why },
            (At::Idle, _, _) | (_, None, _) | (_, _, None) => Stage::Idle,
        };
        self
    }

    /// The boot loader has started the other slot, by itself or because somebody told it to: what runs is the firmware
    /// before, and the committed one is tried again, like any other. The security floor stays.
    fn strayed(self) -> Self {
        let (new, slot) = (self.running, self.slot);
        let running = self.previous.unwrap_or_else(Firmware::unknown);
        Self {
            running,
            slot: slot.other(),
            previous: None,
            installation: Stage::Staged { new, slot },
            ..self
        }
    }

    fn committed(mut self) -> Self {
        if let Stage::Committing { new, slot } = self.installation {
            self.security_floor = self.security_floor.max(new.security_version);
            self.previous = Some(std::mem::replace(&mut self.running, new));
            self.slot = slot;
        }
        self.installation = Stage::Idle;
        self
    }

    fn failed(mut self, at: Timestamp) -> Self {
        let why = match &self.installation {
            Stage::RollingBack { why, .. } => why.clone(),
            _ => "it did not start: the boot loader went back to the old firmware".to_owned(),
        };
        if let Some(new) = self.installation.new_firmware().cloned() {
            self.remember(new, why, at);
        }
        self.installation = Stage::Idle;
        self
    }

    /// Remembers that a firmware is not to be taken again.
    fn remember(&mut self, firmware: Firmware, why: String, at: Timestamp) {
        self.failed
            .retain(|failure| failure.images != firmware.images || failure.images.is_empty());
        self.failed.push(Failure {
            images: firmware.images,
            version: firmware.version,
            why,
            at,
        });
        let surplus = self.failed.len().saturating_sub(REMEMBERED);
        self.failed.drain(..surplus);
    }

    /// Forgets that a version failed, since a person wants it to be tried again; whether there was anything to forget.
    pub fn forgive(&mut self, images: &BTreeMap<SlotClass, ImageRef>) -> bool {
        let before = self.failed.len();
        self.failed.retain(|failure| failure.images != *images);
        self.failed.len() < before
    }
}

impl Stage {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.at().name()
    }

    fn at(&self) -> At {
        match self {
            Self::Idle => At::Idle,
            Self::Installing { .. } => At::Installing,
            Self::Staged { .. } => At::Staged,
            Self::Armed { .. } => At::Armed,
            Self::Trial { .. } => At::Trial,
            Self::Committing { .. } => At::Committing,
            Self::RollingBack { .. } => At::RollingBack,
        }
    }

    /// The slot that is being installed into, if any.
    pub fn slot(&self) -> Option<SlotName> {
        match self {
            Self::Idle => None,
            Self::Installing { slot, .. }
            | Self::Staged { slot, .. }
            | Self::Armed { slot, .. }
            | Self::Trial { slot, .. }
            | Self::Committing { slot, .. }
            | Self::RollingBack { slot, .. } => Some(*slot),
        }
    }

    /// The firmware that is being installed, if any.
    pub fn new_firmware(&self) -> Option<&Firmware> {
        match self {
            Self::Idle => None,
            Self::Installing { new, .. }
            | Self::Staged { new, .. }
            | Self::Armed { new, .. }
            | Self::Trial { new, .. }
            | Self::Committing { new, .. }
            | Self::RollingBack { new, .. } => Some(new),
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begin { new, slot } => {
                write!(f, "the beginning of {} in slot {slot}", new.version)
            }
            Self::Return { .. } => f.write_str("the wish to go back"),
            Self::Abandoned => f.write_str("giving up"),
            Self::Staged => f.write_str("staging"),
            Self::Armed { .. } => f.write_str("arming"),
            Self::Boot { slot, .. } => write!(f, "a start from slot {slot}"),
            Self::Healthy => f.write_str("a good health check"),
            Self::Committed => f.write_str("committing"),
            Self::Unhealthy { .. } => f.write_str("a failed health check"),
        }
    }
}

mod table;
#[cfg(test)]
mod tests;
