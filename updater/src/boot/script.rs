//! A boot loader that a program of the integrator's knows.
//!
//! It is called as `PROGRAM status`, and answers `booted=A` and `next=B` (or `next=none`) in two lines, or as members of a JSON object; a
//! third, `boot`, tells this boot from any other, and is the kernel's boot id without. And as `PROGRAM VERB SLOT` with the verbs
//! `mark-unbootable`, `arm`, `commit` and `give-up`: exit code 0 says that it is done and lasts. Each must be whole or not
//! done, and safe to repeat.

use std::path::PathBuf;
use std::time::Duration;

use super::running::{Running, slot_named, unreadable};
use super::{BootControl, BootStatus};
use crate::error::BootError;
use crate::program::{Ended, Program};
use crate::slot::{SlotName, StagedSlot};

/// The program.
#[derive(Debug)]
pub(super) struct Script {
    path: PathBuf,
    deadline: Duration,
    running: Running,
}

impl Script {
    pub(super) fn new(path: PathBuf, deadline: Duration, running: Running) -> Self {
        Self {
            path,
            deadline,
            running,
        }
    }

    fn call(&self, arguments: &[&str]) -> Result<Ended, String> {
        let program = Program {
            arguments,
            ..Program::new(&self.path, self.deadline)
        };
        let ended = program.run().map_err(|e| e.to_string())?;
        if ended.exited_with(0) {
            Ok(ended)
        } else {
            Err(format!("{}: {}", arguments.join(" "), ended.describe()))
        }
    }

    fn change(&self, verb: &str, slot: SlotName) -> Result<(), BootError> {
        self.call(&[verb, slot.as_str()])
            .map(drop)
            .map_err(|why| BootError::Unwritable {
                path: self.path.clone(),
                why,
            })
    }
}

/// What the program answered.
fn answer(text: &str, name: &str) -> Option<String> {
    if text.trim_start().starts_with('{') {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        return value.get(name)?.as_str().map(str::to_owned);
    }
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(found, _)| found.trim() == name)?;
    Some(value.trim().to_owned())
}

impl BootControl for Script {
    fn status(&self) -> Result<BootStatus, BootError> {
        const REPAIR: &str = "run the program by hand: `PROGRAM status` answers booted=A or B, and next=A, B or none";
        let failed = |why: String| unreadable(&self.path, why, REPAIR);
        let ended = self.call(&["status"]).map_err(failed)?;
        let text = String::from_utf8_lossy(&ended.output);
        let names = ["A", "B"].map(str::to_owned);
        let slot = |name: &str| match answer(&text, name) {
            Some(value) if name == "next" && matches!(value.as_str(), "none" | "") => Ok(None),
            Some(value) => slot_named(&value, &names)
                .map(Some)
                .ok_or_else(|| failed(format!("{name} is {value:?}"))),
            None => Err(failed(format!("its answer has no {name}"))),
        };
        let booted =
            slot("booted")?.ok_or_else(|| failed("its answer has no booted".to_owned()))?;
        let boot = answer(&text, "boot").filter(|boot| !boot.is_empty());
        Ok(BootStatus {
            boot: boot.map_or_else(|| self.running.boot(), Ok)?,
            booted,
            next: slot("next")?,
        })
    }

    fn mark_unbootable(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.status()?.booted == slot {
            return Err(BootError::Running { slot });
        }
        self.change("mark-unbootable", slot)
    }

    fn arm(&mut self, staged: &StagedSlot) -> Result<(), BootError> {
        let slot = staged.name();
        if self.status()?.booted == slot {
            return Err(BootError::Running { slot });
        }
        self.change("arm", slot)
    }

    fn commit(&mut self, slot: SlotName) -> Result<(), BootError> {
        if self.status()?.booted != slot {
            return Err(BootError::NotRunning { slot });
        }
        self.change("commit", slot)
    }

    fn give_up(&mut self, slot: SlotName) -> Result<(), BootError> {
        self.change("give-up", slot)
    }
}
