//! What is in order on this device, and what is not: for `updater doctor`. It changes nothing.

use device_pki::{Identity, TrustAnchor, durable};
use metadata_schema::time::Timestamp;
use serde::Serialize;

use super::Updater;
use super::identity;
use super::network::{MAX_ANCHOR, Network};
use crate::bootstrap;
use crate::error::Error;
use crate::hooks;
use crate::transport::{Part, fetch};

/// A certificate that ends within so many seconds is worth a word: three weeks.
const SOON: i64 = 21 * 24 * 3600;
/// Free space below which the state folder is in danger, and below which it is tight, in bytes.
const SPACE: (u64, u64) = (1 << 20, 8 << 20);
/// Longest timestamp that is fetched to see whether the server answers, in bytes.
const MAX_TIMESTAMP: u64 = 64 * 1024;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Health {
    /// In order.
    Ok,
    /// It works, and may not for long.
    Warning,
    /// It does not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// How to mend it.
    pub mend: Option<String>,
}

/// What was found; or the error, with its hint.
fn finding(what: &'static str, found: Result<String, Error>) -> Finding {
    match found {
        Ok(found) => Finding {
            what,
            health: Health::Ok,
            found,
            mend: None,
        },
        Err(e) => Finding {
            what,
            health: Health::Wrong,
            found: e.in_one_line(),
            mend: e.hint().map(str::to_owned),
        },
    }
}

impl Finding {
    fn but(mut self, health: Health, mend: &str) -> Self {
        self.health = health;
        self.mend = Some(mend.to_owned());
        self
    }
}

impl Updater {
    /// Looks at everything that an update needs. `system` is what the system clock says.
    pub async fn doctor(&self, system: Timestamp) -> Vec<Finding> {
        let now = self
            .clock(system)
            .map_or(system, |clock| clock.reference().0);
        let mut findings = vec![
            self.identity(now),
            finding("trust anchor", self.anchor()),
            self.time(system),
            finding("slots", self.places()),
            self.boot_state(),
            finding("hooks", self.hooks()),
            self.space(),
            finding("server", self.reach(now).await),
        ];
        let last = self.memory.last.as_ref();
        let problem = last.and_then(|last| last.problem.as_ref());
        findings.push(match (last, problem) {
            (None, _) => finding("last run", Ok("none so far".to_owned())).but(
                Health::Warning,
                "start updater.service, or the timer of updater-once",
            ),
            (Some(last), None) => finding("last run", Ok(format!("{}: {}", last.at, last.said))),
            (Some(last), Some(problem)) => {
                let hint = problem.hint.as_deref().unwrap_or("`updater why` says more");
                let found = format!("{}: {}", last.at, problem.error);
                finding("last run", Ok(found)).but(Health::Warning, hint)
            }
        });
        findings
    }

    fn identity(&self, now: Timestamp) -> Finding {
        let identity = identity::load(&self.config, &self.states);
        let until = identity.as_ref().ok().and_then(Identity::certificate);
        let until = until.map(device_pki::Certificate::not_after);
        let left = until.map(|until| until.unix_seconds().saturating_sub(now.unix_seconds()));
        let described = identity.map(|identity| {
            let name = identity.device().map(|urn| urn.to_string());
            let until = until.map(|until| until.to_string()).unwrap_or_default();
            let name = name.unwrap_or_else(|| "no device's certificate".to_owned());
            format!("{name}, valid until {until}")
        });
        let finding = finding("identity", described);
        match left {
            Some(left) if left <= 0 => finding.but(
                Health::Wrong,
                "the certificate has expired: give the device a new one; if the time is wrong, set the clock",
            ),
            Some(left) if left < SOON => {
                finding.but(Health::Warning, "the certificate ends soon: renew it")
            }
            _ => finding,
        }
    }

    fn anchor(&self) -> Result<String, Error> {
        let path = &self.config.trust.anchor;
        durable::read_bounded(path, MAX_ANCHOR)
            .and_then(|pem| TrustAnchor::from_pem(&pem))
            .map_err(Error::Identity)?;
        Ok(path.display().to_string())
    }

    fn time(&self, system: Timestamp) -> Finding {
        let doubts = self.doubts(system);
        match doubts {
            Ok(doubts) if doubts.is_empty() => finding("clock", Ok(format!("{system}, plausible"))),
            Ok(doubts) => {
                let why: Vec<String> = doubts.iter().map(ToString::to_string).collect();
                let found = format!("it says {system}: {}", why.join("; "));
                finding("clock", Ok(found)).but(
                    Health::Warning,
                    "set the clock (NTP, or a clock with a battery); updates go by signed metadata until then",
                )
            }
            Err(e) => finding("clock", Err(e)),
        }
    }

    fn places(&self) -> Result<String, Error> {
        self.slots.check_distinct()?;
        let capacities = self.slots.capacities()?;
        let text =
            |(class, bytes): &(_, u64)| format!("{class} {}", crate::progress::bytes(*bytes));
        Ok(capacities.iter().map(text).collect::<Vec<_>>().join(", "))
    }

    fn boot_state(&self) -> Finding {
        let status = match self.boot_status() {
            Ok(status) => status,
            Err(e) => return finding("boot loader", Err(e)),
        };
        let next = status
            .next
            .map_or("none".to_owned(), |slot| format!("slot {slot}"));
        let found = format!("slot {} runs, next start: {next}", status.booted);
        let finding = finding("boot loader", Ok(found));
        if status.next.is_none() {
            return finding.but(Health::Wrong, "no slot would start: `updater commit` or the boot loader's own tools make one good");
        }
        if status.booted != self.state.slot && self.state.installation.slot() != Some(status.booted)
        {
            return finding.but(
                Health::Warning,
                "another slot runs than the committed one: the next run arms that again",
            );
        }
        finding
    }

    fn hooks(&self) -> Result<String, Error> {
        let mut found = Vec::new();
        for folder in hooks::FOLDERS {
            let list = hooks::list(&self.config.hooks.join(folder)).map_err(Error::HealthChecks)?;
            if !list.is_empty() {
                found.push(format!("{folder}: {}", list.len()));
            }
        }
        Ok(match found.is_empty() {
            true => format!("none below {}", self.config.hooks.display()),
            false => found.join(", "),
        })
    }

    fn space(&self) -> Finding {
        let folder = &self.config.state;
        let Ok(about) = rustix::fs::statvfs(folder) else {
            let found = format!("{} cannot be looked at", folder.display());
            return finding("state folder", Ok(found)).but(Health::Wrong, "mount it, or make it");
        };
        let free = about.f_bavail.saturating_mul(about.f_frsize);
        let found = format!(
            "{}, {} free",
            folder.display(),
            crate::progress::bytes(free)
        );
        let finding = finding("state folder", Ok(found));
        if about.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
            return finding.but(
                Health::Wrong,
                "its file system is read-only: check the medium, mount it writable",
            );
        }
        match free {
            free if free < SPACE.0 => finding.but(Health::Wrong, "make room"),
            free if free < SPACE.1 => finding.but(Health::Warning, "make room"),
            _ => finding,
        }
    }

    /// Whether the repository's server answers.
    async fn reach(&self, now: Timestamp) -> Result<String, Error> {
        let blank = bootstrap::since(&self.states)?.is_none();
        let mut network = Network::open(&self.config, &self.states, blank, now)?;
        let client = network.client();
        let found = fetch(
            client.transport,
            Part::Metadata,
            "timestamp.json",
            MAX_TIMESTAMP,
        )
        .await?;
        let server = &self.config.server.metadata;
        match found {
            Some(_) => Ok(format!("{server} answers")),
            None => Err(Error::Missing {
                what: format!("{server}/timestamp.json"),
            }),
        }
    }
}
