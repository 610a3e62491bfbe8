//! `updater install`, `commit`, `rollback`, `cancel`, `postpone`, `consent`: what people ask for. A running `updater run` is asked over
//! its socket; without one, the command does it itself.

use std::path::{Path, PathBuf};

use metadata_schema::release::FirmwareVersion;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::arguments::{Given, Usage};
use super::{Context, exit_code, once, output, system_time};
use crate::error::{Error, TransportError};
use crate::progress::{Bar, Progress as _};
use crate::socket::{self, Request};
use crate::state_store::read;
use crate::transport::bundle::tar::TarError;
use crate::updater::{Asked, Outcome};

/// Install what is offered now, past windows, postponement and consent
///
/// A pin, an inhibit file, a hook and a metered link still hold it: then the exit code is 9.
#[derive(Debug)]
pub(super) struct Install {
    /// Also a release that has failed or was refused here before
    retry: bool,
    /// A bundle in the place of the server
    file: Option<PathBuf>,
}

/// Judge the firmware on trial now, and keep it if it is well
#[derive(Debug)]
pub(super) struct Commit {
    /// Keep it whatever its health checks would say
    unheard: bool,
}

/// Leave the firmware on trial, or go back to the one before; refused where the security floor forbids it
#[derive(Debug)]
pub(super) struct Rollback {
    /// Why, for the history and the report
    why: String,
}

/// Put updates off for a time such as 90m, 12h or 3d; 0 ends it
#[derive(Debug)]
pub(super) struct Postpone {
    /// How long: a number and m, h or d
    time: u64,
}

/// Let a release be installed where the policy asks for consent
#[derive(Debug)]
pub(super) struct Consent {
    /// Its version; what is offered, without
    version: Option<FirmwareVersion>,
    /// Take consent back
    withdraw: bool,
}

impl Install {
    pub(super) fn of(given: &Given) -> Self {
        Self {
            retry: given.has("retry"),
            file: given.operand().map(PathBuf::from),
        }
    }

    pub(super) async fn run(&self, context: &Context) -> Result<(), Error> {
        // The service stands in another folder.
        let file = self.file.as_deref().map(absolute).transpose()?;
        let request = Request::Install {
            retry: self.retry,
            file: file.clone(),
        };
        let config = context.config()?;
        if socket::request(&config.socket, &request)?.is_some() {
            return follow(context, &config.socket).await;
        }
        let mut updater = context.open()?;
        super::stop_on_signals(updater.stop());
        let (retry, mut bar) = (self.retry, Bar::default());
        let result = match &file {
            Some(file) => {
                updater
                    .install_bundle(file, system_time(), retry, &mut bar)
                    .await
            }
            None => {
                let asked = Asked::ByPerson { retry };
                updater.run(system_time(), asked, &mut bar).await
            }
        };
        once::end(context, &updater, result.as_ref())?;
        let result = result?;
        match result {
            Outcome::Held { version, why } => Err(Error::NotNow {
                what: format!("{version} is not installed now: {why}"),
            }),
            _ => Ok(()),
        }
    }
}

fn absolute(file: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(file).map_err(|source| {
        let path = file.display().to_string();
        let source = TarError::Io(source);
        TransportError::NoBundle { path, source }.into()
    })
}

/// Watches the service at work until it is done.
async fn follow(context: &Context, socket: &Path) -> Result<(), Error> {
    let mut bar = Bar::default();
    let mut drawn = String::new();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let Some(status) = socket::request(socket, &Request::Status)? else {
            return Err(Error::Service {
                error: "it has ended; `updater history` says what it did".to_owned(),
                exit_code: 1,
            });
        };
        let service = status.get("service").cloned().unwrap_or_default();
        if let Some(what) = service.pointer("/progress/what").and_then(Value::as_str) {
            let number = |name| service.pointer(name).and_then(Value::as_u64).unwrap_or(0);
            if drawn != what {
                what.clone_into(&mut drawn);
                bar.begin(what, number("/progress/length"));
            }
            bar.advance(number("/progress/done"));
        }
        if service.get("busy") == Some(&Value::Bool(false)) {
            bar.end();
            let said = service.pointer("/last/said").and_then(Value::as_str);
            let code = service
                .pointer("/last/exit_code")
                .and_then(Value::as_u64)
                .unwrap_or(1);
            let said = said.unwrap_or("it has ended").to_owned();
            if code == 0 {
                output::answer(context.json, &service, &format!("{said}."));
                return Ok(());
            }
            return Err(Error::Service {
                error: said,
                exit_code: u8::try_from(code).unwrap_or(1),
            });
        }
    }
}

impl Commit {
    pub(super) fn of(given: &Given) -> Self {
        Self {
            unheard: given.has("unheard"),
        }
    }

    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let unheard = self.unheard;
        if asked(context, &Request::Commit { unheard })? {
            return Ok(());
        }
        let mut updater = context.open()?;
        let result = updater.commit(unheard, system_time());
        once::end(context, &updater, result.as_ref())?;
        result.map(drop)
    }
}

impl Rollback {
    pub(super) fn of(given: &Given) -> Self {
        Self {
            why: given.value("why").unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let why = self.why.clone();
        if asked(context, &Request::Rollback { why })? {
            return Ok(());
        }
        let mut updater = context.open()?;
        let result = updater.roll_back(&self.why, system_time());
        once::end(context, &updater, result.as_ref())?;
        result.map(drop)
    }
}

pub(super) fn cancel(context: &Context) -> Result<(), Error> {
    if asked(context, &Request::Cancel)? {
        return Ok(());
    }
    match context.open() {
        Ok(mut updater) => {
            let outcome = updater.give_up(system_time())?;
            output::outcome(context.json, &outcome);
            Ok(())
        }
        // A run that listens to nobody: it stops at a signal.
        Err(Error::Locked { lock }) => {
            let text = read(&lock, 64)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let pid = text.trim().parse().ok().and_then(Pid::from_raw);
            let stopped = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
            if !stopped {
                return Err(Error::Locked { lock });
            }
            let said = format!(
                "The run of process {} stops; the next one goes on.",
                text.trim()
            );
            output::answer(context.json, &json!({"outcome": "stopping"}), &said);
            Ok(())
        }
        Err(e) => Err(e),
    }
}

impl Postpone {
    pub(super) fn of(given: &Given) -> Result<Self, Usage> {
        let time = given.operand().unwrap_or_default();
        let time = seconds(time).map_err(|why| given.wrong(&why))?;
        Ok(Self { time })
    }

    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let updater = context.look()?;
        let until = updater.postpone(self.time, system_time())?;
        let text = match until {
            Some(until) => {
                format!("Updates are put off until {until}; `updater install` goes past that.")
            }
            None => "Updates are not put off any more.".to_owned(),
        };
        output::answer(context.json, &json!({"postponed_until": until}), &text);
        Ok(())
    }
}

impl Consent {
    pub(super) fn of(given: &Given) -> Result<Self, Usage> {
        let version = given.operand().map(str::parse::<FirmwareVersion>);
        Ok(Self {
            version: version.transpose().map_err(|e| given.wrong(&e))?,
            withdraw: given.has("withdraw"),
        })
    }

    pub(super) fn run(&self, context: &Context) -> Result<(), Error> {
        let updater = context.look()?;
        let version = updater.consent(self.version.clone(), self.withdraw, system_time())?;
        let text = match self.withdraw {
            true => format!("{version} is not installed unasked."),
            false => {
                format!("{version} may be installed; the next run does, or `updater install` now.")
            }
        };
        let value = json!({"version": version, "consented": !self.withdraw});
        output::answer(context.json, &value, &text);
        if !self.withdraw {
            let _nobody_there_or_busy = socket::request(&updater.config().socket, &Request::Poll);
        }
        Ok(())
    }
}

/// Asks the service, and says what it answered; whether there is one.
fn asked(context: &Context, request: &Request) -> Result<bool, Error> {
    let answer = socket::request(&context.config()?.socket, request)?;
    if let Some(answer) = &answer {
        let said = answer.get("said").and_then(Value::as_str).unwrap_or("done");
        output::answer(context.json, answer, &format!("The service says: {said}."));
    }
    Ok(answer.is_some())
}

/// Seconds of `90m`, `12h`, `3d` or `0`.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a time such as 90m, 12h or 3d, found {text:?}");
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    if text == "0" {
        return Ok(0);
    }
    let unit = units
        .iter()
        .find(|(name, _)| text.ends_with(*name))
        .ok_or_else(wrong)?;
    let number: u64 = text
        .get(..text.len() - 1)
        .and_then(|n| n.parse().ok())
        .ok_or_else(wrong)?;
    number.checked_mul(unit.1).ok_or_else(wrong)
}

/// The exit code of an outcome that a person asked for.
pub(super) fn code(result: Result<&Outcome, &Error>) -> u8 {
    match result {
        Ok(Outcome::Held { .. }) => exit_code::HELD,
        Ok(_) => 0,
        Err(e) => exit_code::of(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let cases = [
            ("0", Some(0)),
            ("90m", Some(5400)),
            ("12h", Some(43_200)),
            ("3d", Some(259_200)),
            ("7", None),
            ("d", None),
            ("-1d", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
            ("3ä", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
