//! What a run writes down for people: the history, what the last run came to, measurements. Nothing here decides anything, and
//! what goes wrong is only logged.

use std::time::Duration;

use device_pki::ReportEvent;
use metadata_schema::release::FirmwareVersion;
use metadata_schema::time::ReferenceTime;

use super::{Outcome, Updater};
use crate::cli::exit_code;
use crate::error::Error;
use crate::history::{Entry, History};
use crate::install::PayloadKind;
use crate::memory::{LastRun, Problem};
use crate::metrics;
use crate::policy::{Automatic, Hold, Refused};
use crate::slot::SlotName;

impl Updater {
    /// What has happened to this device.
    pub fn history(&self) -> History {
        History::on(self.states.storage().disk().clone(), &self.config.state)
    }

    /// Notes how a run ended.
    pub(super) fn note(&mut self, result: &Result<Outcome, Error>, now: ReferenceTime) {
        let at_work = self.at_work.take();
        match result {
            Ok(outcome) => {
                if matches!(outcome, Outcome::Armed { .. }) {
                    self.memory.refused = None;
                }
                let why = match outcome {
                    Outcome::Held { version, why } => format!("{version}: {why}"),
                    _ => String::new(),
                };
                if why != self.memory.held {
                    if let Outcome::Held { version, why } = outcome {
                        self.remember("held", &version.to_string(), why, now);
                    }
                    self.memory.held = why;
                }
                self.note_run(outcome.to_string(), None, now);
            }
            Err(e) => {
                let version = self
                    .memory
                    .offered
                    .as_ref()
                    .map(|offered| offered.version.to_string());
                let version = version.filter(|_| at_work.is_some()).unwrap_or_default();
                match (e, at_work) {
                    (Error::Stopped, _) => self.remember("stopped", &version, "", now),
                    // The firmware that was left is noted when the old one runs again.
                    (Error::Transport(_) | Error::TrialFailed { .. }, _) => {}
                    (e, Some(manifest)) => {
                        let before = self.memory.refused.as_ref();
                        let refused = Refused::again(before, manifest, e.in_one_line());
                        self.remember("refused", &version, &refused.why, now);
                        self.memory.refused = Some(refused);
                    }
                    (e, None) => {
                        let same = self
                            .memory
                            .last
                            .as_ref()
                            .and_then(|last| last.problem.as_ref());
                        if same.is_none_or(|problem| problem.error != e.to_string()) {
                            self.remember("failed", "", &e.in_one_line(), now);
                        }
                    }
                }
                self.note_run(String::new(), Some(e), now);
            }
        }
    }

    /// Notes what the last run came to.
    pub(super) fn note_run(&mut self, said: String, error: Option<&Error>, now: ReferenceTime) {
        self.memory.last = Some(LastRun {
            at: now,
            said: error.map_or(said, ToString::to_string),
            problem: error.map(|e| Problem {
                error: e.to_string(),
                caused_by: e.causes(),
                hint: e.hint().map(str::to_owned),
                exit_code: exit_code::of(e),
            }),
        });
        let automatic = self.config.policy.automatic;
        if self.memory.automatic != automatic {
            self.memory.automatic = automatic;
            let (what, detail) = match automatic {
                Automatic::None => (
                    "opted-out",
                    "automatic updates are off, security releases too",
                ),
                Automatic::Security => {
                    ("opted-in", "security releases are installed automatically")
                }
                Automatic::All => ("opted-in", "all releases are installed automatically"),
            };
            self.remember(what, "", detail, now);
            self.tell(
                ReportEvent::Checked,
                &format!("{what}: {detail}"),
                None,
                now,
            );
        }
        self.keep_memory();
        if let Some(path) = self.config.metrics.clone()
            && let Err(e) = metrics::write(&path, self, now)
        {
            tracing::warn!(error = %e, "no measurements could be written");
        }
    }

    /// A release waits: what for, and one poll less until a refused one is tried again.
    pub(super) fn held(
        &mut self,
        hold: &Hold,
        version: FirmwareVersion,
        _now: ReferenceTime,
    ) -> Outcome {
        if let (Hold::RefusedBefore { .. }, Some(refused)) = (hold, &mut self.memory.refused) {
            refused.pass_by = refused.pass_by.saturating_sub(1);
        }
        // A number that falls with each poll is no news.
        let why = match hold {
            Hold::RefusedBefore { why, .. } => {
                format!("it was refused before ({why}), and is tried again after some polls")
            }
            hold => hold.to_string(),
        };
        Outcome::Held { version, why }
    }

    pub(super) fn installed(
        &mut self,
        version: &FirmwareVersion,
        slot: SlotName,
        (bytes, kind): (u64, PayloadKind),
        time: Duration,
        now: ReferenceTime,
    ) {
        let from = match &self.bundle {
            Some(bundle) => format!(", from {}", bundle.display()),
            None => String::new(),
        };
        let detail = format!("in slot {slot}, {kind}{from}");
        self.history().add(&Entry {
            bytes: Some(bytes),
            seconds: Some(time.as_secs()),
            ..Entry::new(now, "installed", &version.to_string(), &detail)
        });
    }

    /// Adds to the history.
    pub fn remember(&self, what: &str, version: &str, detail: &str, now: ReferenceTime) {
        self.history().add(&Entry::new(now, what, version, detail));
    }

    fn keep_memory(&mut self) {
        match self.memory.save(&self.stored, &self.states) {
            Ok(()) => self.stored = self.memory.clone(),
            Err(e) => tracing::warn!(error = %e, "what was learnt could not be stored"),
        }
    }
}
