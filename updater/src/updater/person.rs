//! What a person asks for: keep the firmware on trial, go back, give up what was armed, put off, consent.

use device_pki::ReportEvent;
use metadata_schema::release::FirmwareVersion;
use metadata_schema::time::{ReferenceTime, Timestamp};

use super::{Outcome, Updater};
use crate::boot::BootStatus;
use crate::error::{Error, SlotError};
use crate::install::Offer;
use crate::lifecycle::{Action, Event, NoWayBack, Stage};
use crate::memory::save_wishes;
use crate::slot::StagedSlot;

impl Updater {
    /// The best guess of the time, whatever is damaged.
    fn now(&self, system: Timestamp) -> ReferenceTime {
        self.clock(system)
            .map_or(system, |clock| clock.reference().0)
    }

    /// Judges the firmware on trial and keeps it; `unheard` keeps it whatever its health checks would say.
    ///
    /// # Errors
    /// If nothing is on trial, or it is not well.
    pub fn commit(&mut self, unheard: bool, system: Timestamp) -> Result<Outcome, Error> {
        let now = self.now(system);
        if !self.on_trial(now)? {
            let version = &self.state.running.version;
            let what = format!("nothing is on trial: {version} runs and is committed");
            return Err(Error::NotNow { what });
        }
        if unheard {
            let version = self.new_version();
            self.remember(
                "kept-unheard",
                &version,
                "a person keeps it without health checks",
                now,
            );
            self.event(Event::Healthy, now)?;
        }
        let result = match self.settle(now) {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(Error::NotNow {
                what: "nothing is on trial".to_owned(),
            }),
            Err(e) => Err(e),
        };
        self.note(&result, now);
        result
    }

    /// Leaves the firmware on trial, or goes back to the firmware before, for `why`.
    ///
    /// # Errors
    /// If an installation is under way; if there is nothing to go back to, or the security floor forbids it.
    pub fn roll_back(&mut self, why: &str, system: Timestamp) -> Result<Outcome, Error> {
        let now = self.now(system);
        let why = match why {
            "" => "a person left it".to_owned(),
            why => format!("a person left it: {why}"),
        };
        if self.on_trial(now)? {
            let version = self
                .state
                .installation
                .new_firmware()
                .map(|new| new.version.clone());
            if let Action::RollBack(slot) =
                self.event(Event::Unhealthy { why: why.clone() }, now)?
            {
                self.boot.give_up(slot)?;
                let version = version.unwrap_or(FirmwareVersion::LOWEST);
                self.remember("left", &version.to_string(), &why, now);
                return Ok(Outcome::Left { version, slot });
            }
        }
        self.settle(now)?;
        if self.state.installation != Stage::Idle {
            let what = format!(
                "an installation of {} is {}: `updater cancel` gives it up first",
                self.new_version(),
                self.state.installation.name()
            );
            return Err(Error::NotNow { what });
        }
        let previous = self.state.way_back()?.clone();
        let slot = self.state.slot.other();
        let staged =
            StagedSlot::again(&self.slots, slot, &previous.images).map_err(|e| match e {
                SlotError::Differs { .. } => {
                    tracing::warn!(error = %e, "the firmware before is not there any more");
                    Error::NoWayBack(NoWayBack::Overwritten {
                        version: previous.version.clone(),
                        slot,
                    })
                }
                e => Error::Slot(e),
            })?;
        let left = self.state.running.version.to_string();
        self.event(Event::Return { why: why.clone() }, now)?;
        self.arm(&staged, now)?;
        self.remember("left", &left, &why, now);
        self.tell(
            ReportEvent::RolledBack,
            &format!("{left}: {why}"),
            None,
            now,
        );
        Ok(Outcome::AwaitingRestart {
            version: previous.version,
            slot,
        })
    }

    /// Gives up what was staged or armed. (A run that is at work is stopped by [`Updater::stop`].)
    ///
    /// # Errors
    /// If there is nothing to give up, or the boot loader cannot be told.
    pub fn give_up(&mut self, system: Timestamp) -> Result<Outcome, Error> {
        let now = self.now(system);
        if self.on_trial(now)? {
            let what =
                "the new firmware runs already, on trial: `updater rollback` leaves it".to_owned();
            return Err(Error::NotNow { what });
        }
        let version = self
            .state
            .installation
            .new_firmware()
            .map(|new| new.version.clone());
        match (&self.state.installation, version) {
            (Stage::Staged { slot, .. } | Stage::Armed { slot, .. }, Some(version)) => {
                let slot = *slot;
                self.event(Event::Abandoned, now)?;
                self.boot.mark_unbootable(slot)?;
                self.remember(
                    "cancelled",
                    &version.to_string(),
                    "before it was tried",
                    now,
                );
                Ok(Outcome::Left { version, slot })
            }
            (_, Some(version)) => Err(Error::NotNow {
                what: format!(
                    "nothing runs now; the installation of {version} goes on with the next run, unless `updater postpone` puts it off"
                ),
            }),
            (_, None) => Err(Error::NotNow {
                what: "there is nothing to cancel".to_owned(),
            }),
        }
    }

    /// Puts updates off for so many seconds, or no more; returns until when.
    ///
    /// # Errors
    /// If it is longer than the configuration allows, or cannot be stored.
    pub fn postpone(&self, seconds: u64, system: Timestamp) -> Result<Option<Timestamp>, Error> {
        let now = self.now(system);
        let most = self.config.policy.longest_postponement;
        if seconds > most {
            let what = format!(
                "updates can be put off for {most} s at most (policy.longest_postponement)"
            );
            return Err(Error::NotNow { what });
        }
        let mut wishes = self.wishes();
        let later = i64::try_from(seconds).unwrap_or(i64::MAX);
        wishes.postponed_until = (seconds > 0).then(|| now.plus_seconds(later));
        save_wishes(&self.states, &wishes)?;
        let detail = match wishes.postponed_until {
            Some(until) => format!("updates are put off until {until}"),
            None => "updates are not put off any more".to_owned(),
        };
        self.remember("postponed", "", &detail, now);
        self.tell(ReportEvent::Checked, &detail, None, now);
        Ok(wishes.postponed_until)
    }

    /// Lets a version be installed, or takes that back.
    ///
    /// # Errors
    /// If no version is named and none is offered, or it cannot be stored.
    pub fn consent(
        &self,
        version: Option<FirmwareVersion>,
        withdraw: bool,
        system: Timestamp,
    ) -> Result<FirmwareVersion, Error> {
        let now = self.now(system);
        let mut wishes = self.wishes();
        let offered = self.memory.offered.as_ref().filter(|offered| !offered.runs);
        let version = version
            .or_else(|| wishes.consent.clone().filter(|_| withdraw))
            .or_else(|| offered.map(|offered| offered.version.clone()))
            .ok_or_else(|| Error::NotNow {
                what: "nothing new is offered, as far as the last run knows: `updater check` looks"
                    .to_owned(),
            })?;
        wishes.consent = (!withdraw).then(|| version.clone());
        save_wishes(&self.states, &wishes)?;
        let what = if withdraw {
            "consent-withdrawn"
        } else {
            "consented"
        };
        self.remember(what, &version.to_string(), "", now);
        Ok(version)
    }

    /// A person wants a release to be tried again that has failed or was refused here.
    pub(super) fn forgive(&mut self, offer: &Offer) -> Result<(), Error> {
        self.memory.refused = None;
        let images = offer.firmware().images;
        let mut state = self.state.clone();
        if state.forgive(&images) {
            self.states.save(&state)?;
            self.state = state;
        }
        Ok(())
    }

    /// Whether the firmware that runs is on trial.
    fn on_trial(&mut self, now: ReferenceTime) -> Result<bool, Error> {
        let BootStatus { boot, booted, .. } = self.boot.status()?;
        if self.state.installation.slot() != Some(booted) {
            return Ok(false);
        }
        self.event(Event::Boot { slot: booted, boot }, now)?;
        Ok(matches!(self.state.installation, Stage::Trial { .. }))
    }

    fn new_version(&self) -> String {
        let new = self.state.installation.new_firmware();
        new.map(|new| new.version.to_string()).unwrap_or_default()
    }
}
