//! The life of an installation: a pure function of (state, event) to state.
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
    /// The installation could not be completed; nothing was armed.
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
    stage: String,
    event: String,
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

    /// What follows from an event.
    ///
    /// # Errors
    /// [`OutOfOrder`], if the event cannot happen in this stage; the state stays as it is.
    pub fn step(self, event: Event, now: Timestamp) -> Result<(Self, Action), OutOfOrder> {
        use Event as E;
        use Stage as S;
        match (self.installation.clone(), event) {
            (S::Idle | S::Installing { .. }, E::Begin { new, slot }) if slot != self.slot => {
                // The firmware before stands in the slot that is written now.
                let previous = None;
                let state = Self { previous, ..self };
                Ok((state.at(S::Installing { new, slot }), Action::None))
            }
            (S::Installing { slot, .. } | S::Staged { slot, .. }, E::Abandoned) => {
                Ok((self.at(S::Idle), Action::Discard(slot)))
            }
            (S::Installing { new, slot }, E::Staged) => {
                Ok((self.at(S::Staged { new, slot }), Action::Arm(slot)))
            }
            (S::Staged { new, slot }, E::Armed { boot }) => Ok((
                self.at(S::Armed { new, slot, boot }),
                Action::AwaitRestart(slot),
            )),

            (stage, E::Boot { slot: booted, boot }) => self.booted(stage, booted, &boot, now),

            // The boot loader first: until it knows, the state must not say that the new firmware is the one.
            (S::Trial { new, slot }, E::Healthy) => {
                Ok((self.at(S::Committing { new, slot }), Action::Commit(slot)))
            }
            (S::Committing { new, slot }, E::Committed) => {
                Ok((self.committed(new, slot), Action::None))
            }
            (S::Trial { new, slot }, E::Unhealthy { why }) => Ok((
                self.at(S::RollingBack { new, slot, why }),
                Action::RollBack(slot),
            )),
            (stage, event) => Err(OutOfOrder {
                stage: stage.name().to_owned(),
                event: event.to_string(),
            }),
        }
    }

    /// The boot loader has started the other slot, by itself or because somebody told it to: what runs is the firmware
    /// before, and the committed one is tried again, like any other. The security floor stays.
    fn strayed(self, booted: SlotName) -> (Self, Action) {
        let (new, slot) = (self.running, self.slot);
        let running = self.previous.unwrap_or_else(Firmware::unknown);
        let strayed = Self {
            running,
            slot: booted,
            previous: None,
            installation: Stage::Staged { new, slot },
            ..self
        };
        (strayed, Action::Arm(slot))
    }

    /// What a start from the slot `booted` means.
    fn booted(
        self,
        stage: Stage,
        booted: SlotName,
        boot: &str,
        now: Timestamp,
    ) -> Result<(Self, Action), OutOfOrder> {
        use Stage as S;
        match stage {
            S::Idle | S::Installing { .. } if booted == self.slot => {
                Ok((self, Action::Keep(booted)))
            }
            S::Idle | S::Installing { .. } => Ok(self.strayed(booted)),
            S::Committing { slot, .. } if booted == slot => Ok((self, Action::Commit(slot))),
            S::Armed {
                slot,
                boot: armed_in,
                ..
            } if armed_in == boot => Ok((self, Action::AwaitRestart(slot))),
            S::Staged { new, slot } | S::Armed { new, slot, .. } | S::Trial { new, slot }
                if booted == slot =>
            {
                Ok((self.at(S::Trial { new, slot }), Action::Judge))
            }
            // Staged, and not armed as far as we know: arm (again).
            S::Staged { slot, .. } => Ok((self, Action::Arm(slot))),
            S::Armed { new, slot, .. } | S::Trial { new, slot } | S::Committing { new, slot } => {
                let why =
                    "it did not start: the boot loader went back to the old firmware".to_owned();
                Ok((self.failed(new, why, now), Action::Discard(slot)))
            }
            S::RollingBack { slot, .. } if booted == slot => Ok((self, Action::RollBack(slot))),
            S::RollingBack { new, slot, why } => {
                Ok((self.failed(new, why, now), Action::Discard(slot)))
            }
        }
    }

    fn at(self, installation: Stage) -> Self {
        Self {
            installation,
            ..self
        }
    }

    fn committed(self, new: Firmware, slot: SlotName) -> Self {
        let security_floor = self.security_floor.max(new.security_version);
        Self {
            previous: Some(self.running),
            running: new,
            slot,
            security_floor,
            installation: Stage::Idle,
            ..self
        }
    }

    fn failed(mut self, new: Firmware, why: String, at: Timestamp) -> Self {
        self.failed.push(Failure {
            images: new.images,
            version: new.version,
            why,
            at,
        });
        let surplus = self.failed.len().saturating_sub(REMEMBERED);
        self.failed.drain(..surplus);
        self.at(Stage::Idle)
    }
}

impl Stage {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Installing { .. } => "installing",
            Self::Staged { .. } => "staged",
            Self::Armed { .. } => "armed",
            Self::Trial { .. } => "trial",
            Self::Committing { .. } => "committing",
            Self::RollingBack { .. } => "rolling back",
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

#[cfg(test)]
mod tests;
