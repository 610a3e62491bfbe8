//! What the last start means: keep, commit, roll back, arm again. It needs no network, no identity, no unexpired metadata.

use std::time::Duration;

use device_pki::ReportEvent;
use metadata_schema::time::ReferenceTime;

use super::{Outcome, Updater};
use crate::boot::BootStatus;
use crate::error::Error;
use crate::health;
use crate::hooks;
use crate::lifecycle::{Action, Event, Firmware, Stage};
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
            let (version, why) = (failure.version.to_string(), failure.why.clone());
            self.tell(
                ReportEvent::RolledBack,
                &format!("{version}: {why}"),
                None,
                now,
            );
            self.remember("rolled-back", &version, &why, now);
            self.after_leaving(&version, why);
        }
        loop {
            action = match action {
                Action::None => return Ok(None),
                Action::AwaitRestart(slot) => return Ok(self.armed(slot)),
                Action::Keep(slot) => {
                    self.boot.commit(slot)?;
                    self.keep_boot_loader(&self.state.running)?;
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
                    if let Some(new) = self.state.installation.new_firmware() {
                        self.keep_boot_loader(new)?;
                    }
                    self.event(Event::Committed, now)?;
                    let version = self.state.running.version.clone();
                    let detail = format!("{version} in slot {slot}");
                    self.tell(ReportEvent::Committed, &detail, None, now);
                    self.remember(
                        "committed",
                        &version.to_string(),
                        &format!("in slot {slot}"),
                        now,
                    );
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

    /// Has the boot loader of a committed firmware in force, where there is an eMMC that holds it.
    fn keep_boot_loader(&self, firmware: &Firmware) -> Result<(), Error> {
        let Some(emmc) = &self.emmc else {
            return Ok(());
        };
        if let Some(image) = firmware.images.get(emmc.class())
            && emmc.settle(image)?
        {
            tracing::info!("the boot loader of the committed firmware is in force");
        }
        Ok(())
    }

    fn armed(&self, slot: SlotName) -> Option<Outcome> {
        let version = self.state.installation.new_firmware()?.version.clone();
        Some(Outcome::AwaitingRestart { version, slot })
    }

    fn judge(&mut self, slot: SlotName, now: ReferenceTime) -> Result<Action, Error> {
        let deadline = Duration::from_secs(self.config.health_deadline);
        let new = self.state.installation.new_firmware().cloned();
        let variables = self.variables(slot, health::REQUIRED, new.as_ref());
        let folder = |name| self.config.hooks.join(name);
        match health::check(&folder(health::REQUIRED), &variables, deadline) {
            Ok(passed) => {
                tracing::info!(?passed, "the firmware on trial is well");
                let variables = self.variables(slot, health::WANTED, new.as_ref());
                if let Err(e) = health::check(&folder(health::WANTED), &variables, deadline) {
                    let version = new.map(|new| new.version.to_string()).unwrap_or_default();
                    self.remember("unwell", &version, &format!("wanted: {e}"), now);
                    let detail = format!("{version} stays, though {e}");
                    self.tell(ReportEvent::Checked, &detail, None, now);
                }
                self.event(Event::Healthy, now)
            }
            Err(unhealthy) => {
                let why = unhealthy.to_string();
                tracing::warn!(why, "the firmware on trial is not well");
                self.event(Event::Unhealthy { why }, now)
            }
        }
    }

    /// Tells the hooks of `rollback.d`; what they say decides nothing.
    fn after_leaving(&self, version: &str, why: String) {
        let mut variables = self.variables(self.state.slot, hooks::ROLLBACK, None);
        variables.push(("UPDATER_FAILED_VERSION".to_owned(), version.to_owned()));
        variables.push(("UPDATER_WHY".to_owned(), why));
        let deadline = Duration::from_secs(self.config.hook_deadline);
        for hook in hooks::list(&self.config.hooks.join(hooks::ROLLBACK)).unwrap_or_default() {
            if let Err(e) = hook.run(&variables, deadline) {
                tracing::warn!(error = %e, "a hook of rollback.d cannot be run");
            }
        }
    }

    /// What hooks are told: the slot that it is about, the firmware that it is for, what runs, and where images stand.
    pub(super) fn variables(
        &self,
        slot: SlotName,
        hook: &str,
        new: Option<&Firmware>,
    ) -> Vec<(String, String)> {
        let running = &self.state.running;
        let new = new.unwrap_or(running);
        let mut variables = Vec::new();
        let mut set =
            |name: &str, value: String| variables.push((format!("UPDATER_{name}"), value));
        set("HOOK", hook.to_owned());
        set("SLOT", slot.to_string());
        set("VERSION", new.version.to_string());
        set("SECURITY_VERSION", new.security_version.to_string());
        set("RUNNING_VERSION", running.version.to_string());
        set("RUNNING_SLOT", self.state.slot.to_string());
        for class in self.config.slots.keys() {
            if let Some(place) = self.slots.place(slot, class) {
                let class = class.as_str().to_uppercase().replace(['-', '.'], "_");
                set(
                    &format!("IMAGE_{class}"),
                    place.path().display().to_string(),
                );
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
