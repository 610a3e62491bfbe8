//! How things are when a release is to be installed: the time on the wall, files that forbid it, the link, what people have said,
//! and what hooks say. The rules are in [`crate::policy`].

use std::path::Path;
use std::time::Duration;

use metadata_schema::time::{ReferenceTime, Timestamp};

use super::{Outcome, Updater};
use crate::error::Error;
use crate::hooks::{self, Answer};
use crate::install::{Offer, Rules};
use crate::memory::{self, Offered};
use crate::policy::window::{Zone, ahead};
use crate::policy::{self, Candidate, Circumstances, Hold, Metered, Wishes};
use crate::program::Program;
use crate::select::Decision;
use crate::state_store::read;

/// Longest that the commands for the link and for the time may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Updater {
    /// Keeps what is offered, for `why` and `status`.
    pub(super) fn remember_offer(&mut self, decided: Option<&(Offer, Decision)>) {
        let running = &self.state.running;
        let Some((offer, decision)) = decided else {
            (self.memory.offered, self.memory.withdrawn) = (None, None);
            return;
        };
        let manifest = &offer.manifest;
        let withdrawn = manifest.withdrawal(&running.version);
        let by_delta = |(class, image): (&_, &metadata_schema::release::Image)| {
            let old = running.images.get(class);
            old.is_some_and(|old| image.deltas.contains_key(&old.sha256))
        };
        self.memory.withdrawn = withdrawn.map(|entry| entry.reason.clone());
        self.memory.offered = Some(Offered {
            version: manifest.version.clone(),
            manifest: offer.digest,
            security_version: manifest.security_version,
            security: withdrawn.is_some() || manifest.security_version > self.state.security_floor,
            full: !manifest.images.iter().all(by_delta),
            requires: manifest.requires.clone(),
            signed_by: offer.signed_by.clone(),
            runs: *decision == Decision::UpToDate,
            refusal: match decision {
                Decision::NotTaken(reason) => Some(reason.to_string()),
                _ => None,
            },
        });
    }

    /// What the release that was last offered has to wait for, if it is for this device.
    pub fn hold(&self, now: ReferenceTime, by_person: bool) -> Option<Hold> {
        let offered = self.memory.offered.as_ref()?;
        if offered.runs || offered.refusal.is_some() {
            return None;
        }
        let wishes = self.wishes();
        let candidate = Candidate {
            version: &offered.version,
            manifest: offered.manifest,
            security: offered.security,
            full: offered.full,
        };
        let how = Circumstances {
            now,
            offset: self.ahead(now),
            inhibited: self.inhibited(),
            metered: self.bundle.is_none() && self.is_metered(),
            wishes: &wishes,
            refused: self.memory.refused.as_ref(),
            by_person,
        };
        policy::hold(&self.config.policy, &candidate, &how)
    }

    /// What people have said to this device.
    pub fn wishes(&self) -> Wishes {
        memory::wishes(&self.states)
    }

    /// Asks hooks whether to go on. One that says no is an error, one that says later ends the run.
    pub(super) fn asked_before(
        &mut self,
        folder: &'static str,
        offer: &Offer,
    ) -> Result<Option<Outcome>, Error> {
        let path = self.config.hooks.join(folder);
        let variables = self.variables(self.state.slot.other(), folder, Some(&offer.firmware()));
        let deadline = Duration::from_secs(self.config.hook_deadline);
        let said = hooks::run(&path, &variables, deadline).map_err(Error::HealthChecks)?;
        let no = |hook, how| Error::Hook { folder, hook, how };
        match said {
            None | Some((_, Answer::Go)) => Ok(None),
            Some((hook, Answer::Later(how))) => Ok(Some(Outcome::Held {
                version: offer.manifest.version.clone(),
                why: format!("{folder}/{hook} says later ({how})"),
            })),
            Some((hook, Answer::No(how))) => Err(no(hook, how)),
            Some((hook, Answer::TooLong)) => Err(no(hook, "it took too long".to_owned())),
        }
    }

    /// What transfers keep to.
    pub(super) fn rules(&self) -> Rules {
        let policy = &self.config.policy;
        let online = self.bundle.is_none();
        let delta_only = online && self.is_metered() && policy.metered != Metered::Full;
        Rules {
            stop: self.stop.clone(),
            rate: self.config.network.rate.filter(|_| online),
            failures: self.memory.deltas.clone(),
            attempts: policy.delta_attempts.get(),
            full: policy.full_after_delta && !delta_only,
        }
    }

    fn ahead(&self, now: Timestamp) -> i32 {
        match self.config.policy.time_zone {
            Zone::Ahead(seconds) => seconds,
            _ if self.config.policy.windows.is_empty() => 0,
            Zone::Local => local(now).unwrap_or_else(|| {
                tracing::warn!("`date` does not say how far local time is ahead: taking UTC");
                0
            }),
        }
    }

    /// The first file in the folder that forbids installations, and its first line.
    fn inhibited(&self) -> Option<(String, String)> {
        inhibitor(&self.config.policy.inhibit)
    }

    /// Whether a file or a command says that the link is metered. A command that cannot be run says so, too: nobody is to pay
    /// for its fault.
    pub fn is_metered(&self) -> bool {
        let policy = &self.config.policy;
        if policy.metered == Metered::Full {
            return false;
        }
        if policy
            .metered_file
            .as_ref()
            .is_some_and(|file| file.exists())
        {
            return true;
        }
        let command = policy
            .metered_command
            .as_deref()
            .and_then(<[String]>::split_first);
        command.is_some_and(|(program, arguments)| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let program = Program {
                arguments: &arguments,
                ..Program::new(Path::new(program), PATIENCE)
            };
            match program.run() {
                Ok(ended) if ended.status.is_some() => ended.exited_with(0),
                _ => true,
            }
        })
    }
}

/// How far local time is ahead of UTC, as the system's `date` says, which knows `/etc/localtime`.
fn local(now: Timestamp) -> Option<i32> {
    let when = format!("@{}", now.unix_seconds());
    let date = Program {
        arguments: &["-d", &when, "+%z"],
        ..Program::new(Path::new("date"), PATIENCE)
    };
    let ended = date.run().ok().filter(|ended| ended.exited_with(0))?;
    ahead(String::from_utf8(ended.output).ok()?.trim())
}

/// The first file in the folder, by name, and its first line. A folder that is there and cannot be read forbids as well: nobody
/// knows who has asked for quiet. What is no plain file counts by its name alone, for a pipe would hold its reader for good.
fn inhibitor(folder: &Path) -> Option<(String, String)> {
    let unreadable = |e: std::io::Error| {
        let name = folder.display().to_string();
        Some((name, format!("the folder cannot be read: {e}")))
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => return unreadable(e),
    };
    let entries = match entries {
        Ok(entries) => entries,
        Err(e) => return unreadable(e),
    };
    let names = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let name = names.filter(|name| !name.starts_with('.')).min()?;
    let path = folder.join(&name);
    if !path.is_file() {
        return Some((name, "no plain file: its name alone counts".to_owned()));
    }
    let text = read(&path, 4096).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    Some((name, line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn local_time_is_what_date_says() {
        assert!(local(Timestamp::EPOCH).is_some());
    }

    #[test]
    fn whatever_lies_in_the_folder_forbids_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let found = || inhibitor(folder.path());
        let said = |name: &str, why: &str| Some((name.to_owned(), why.to_owned()));
        assert_eq!(inhibitor(&at("none")), None);
        assert_eq!(found(), None);
        fs::write(at(".hidden"), "not this").unwrap();
        assert_eq!(found(), None);
        fs::write(at("surgery"), " until nine \nand more\n").unwrap();
        assert_eq!(found(), said("surgery", "until nine"));
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        let alone = "no plain file: its name alone counts";
        assert_eq!(found(), said("pipe", alone));
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        assert_eq!(found(), said("link", alone));
        // What stands in the folder's place is no folder without entries.
        let (_, why) = inhibitor(&at("surgery")).unwrap();
        assert!(why.starts_with("the folder cannot be read: "), "{why}");
    }
}
