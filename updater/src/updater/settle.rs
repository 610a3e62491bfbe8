//! What the last start means: keep, commit, roll back, arm again. It needs no network, no identity, no unexpired metadata.

use std::time::Duration;

use device_pki::ReportEvent;
use metadata_schema::time::ReferenceTime;

use super::{Outcome, Updater};
use crate::boot::BootStatus;
use crate::error::Error;
use crate::health;
use crate::lifecycle::{Action, Event, Stage};
use crate::slot::{SlotName, StagedSlot};

impl Updater {
    /// Finds out what the last start means, and acts on it. Some outcome ends the run; with none, it may go on to update.
    ///
    /// # Errors
    /// If the firmware on trial is not well, or the boot loader cannot be set.
    pub fn settle(&mut self, now: ReferenceTime) -> Result<Option<Outcome>, Error> {
        let BootStatus { boot, booted, .. } = self.boot.status()?;
        let failures = self.state.failed.len();
        let mut action = self.event(Event::Boot { slot: booted, boot }, now)?;
        if self.state.failed.len() > failures
            && let Some(failure) = self.state.failed.last()
        {
            let detail = format!("{}: {}", failure.version, failure.why);
            self.tell(ReportEvent::RolledBack, &detail, None, now);
        }
        loop {
            action = match action {
                Action::None => return Ok(None),
                Action::AwaitRestart(slot) => return Ok(self.armed(slot)),
                Action::Keep(slot) => {
                    self.boot.commit(slot)?;
                    return Ok(None);
                }
                Action::Arm(slot) => match self.staged_again(slot) {
                    Ok(staged) => {
                        self.arm(&staged, now)?;
                        return Ok(self.armed(slot));
                    }
                    Err(e) => {
                        let error = e.in_one_line();
                        tracing::warn!(error, "the staged slot cannot be used: it is given up");
                        self.event(Event::Abandoned, now)?
                    }
                },
                Action::Discard(slot) => {
                    self.boot.mark_unbootable(slot)?;
                    Action::Keep(booted)
                }
                Action::Judge => self.judge(booted, now)?,
                Action::Commit(slot) => {
                    self.boot.commit(slot)?;
                    self.event(Event::Committed, now)?;
                    let version = self.state.running.version.clone();
                    let detail = format!("{version} in slot {slot}");
                    self.tell(ReportEvent::Committed, &detail, None, now);
                    return Ok(Some(Outcome::Committed { version, slot }));
                }
                Action::RollBack(slot) => {
                    self.boot.give_up(slot)?;
                    return Err(self.trial_failed(slot));
                }
            }
        }
    }

    pub(super) fn arm(&mut self, staged: &StagedSlot, now: ReferenceTime) -> Result<(), Error> {
        self.boot.arm(staged)?;
        let boot = self.boot.status()?.boot;
        self.event(Event::Armed { boot }, now).map(drop)
    }

    fn staged_again(&self, slot: SlotName) -> Result<StagedSlot, Error> {
        let new = self.state.installation.new_firmware();
        let expected = new.map(|new| new.images.clone()).unwrap_or_default();
        Ok(StagedSlot::again(&self.slots, slot, &expected)?)
    }

    fn armed(&self, slot: SlotName) -> Option<Outcome> {
        let version = self.state.installation.new_firmware()?.version.clone();
        Some(Outcome::AwaitingRestart { version, slot })
    }

    fn judge(&mut self, slot: SlotName, now: ReferenceTime) -> Result<Action, Error> {
        let folder = self.config.hooks.join(health::REQUIRED);
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

    fn subject(&self, slot: SlotName) -> Vec<(String, String)> {
        let new = self.state.installation.new_firmware();
        let version = new.map(|new| new.version.to_string()).unwrap_or_default();
        let mut variables = vec![
            ("UPDATER_SLOT".to_owned(), slot.to_string()),
            ("UPDATER_VERSION".to_owned(), version),
        ];
        for class in self.config.slots.keys() {
            if let Some(place) = self.slots.place(slot, class) {
                let class = class.as_str().to_uppercase().replace(['-', '.'], "_");
                let path = place.path().display().to_string();
                variables.push((format!("UPDATER_IMAGE_{class}"), path));
            }
        }
        variables
    }

    fn trial_failed(&self, slot: SlotName) -> Error {
        let new = self.state.installation.new_firmware();
        let why = match &self.state.installation {
            Stage::RollingBack { why, .. } => why.clone(),
            _ => String::new(),
        };
        Error::TrialFailed {
            version: new.map(|new| new.version.to_string()).unwrap_or_default(),
            slot,
            why,
        }
    }
}
