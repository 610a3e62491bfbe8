//! The subcommands of `devices` that change something, and what they say.

use std::io::{BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};

use api_server::store::enrolments::Enrolments as _;
use api_server::{Error, Result, SqliteStore, token};
use clap::Subcommand;
use device_pki::Clock;

/// Most serial numbers of one list.
const MOST: usize = 1_000_000;

#[derive(Debug, Subcommand)]
pub(super) enum Change {
    /// Put devices onto the list of those that may enrol
    ///
    /// A device that was revoked may enrol again after this, by its identity from the factory or a new token.
    Allow {
        /// Serial numbers
        #[arg(required_unless_present = "csv")]
        devices: Vec<String>,
        /// List of serial numbers: the first column of a CSV file; a line `serial` at its beginning is the heading
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
    },
    /// Revoke all certificates of a device, and let it enrol no more; its open connections are closed within seconds
    Revoke {
        /// Serial number
        device: String,
    },
    /// Approve of the first enrolment of a device that waits
    Approve {
        /// Serial number
        device: String,
    },
    /// Make a one-time token for a device without an identity from the factory: good for 24 hours, for one key
    ///
    /// It is printed as SERIAL:TOKEN, which is what the device's token file holds. Only its hash is kept.
    Token {
        /// Serial number
        device: String,
    },
    /// Print the list of devices that may enrol, with the state of their certificates
    List,
}

pub(super) fn run(change: Change, store: &SqliteStore, out: &mut dyn Write) -> Result<()> {
    let (by, now) = (operator(), Clock::System.now());
    let mut say = |line: &str| {
        writeln!(out, "{line}").map_err(|source| Error::Io {
            step: "write to",
            path: Path::new("standard output").to_owned(),
            source,
        })
    };
    match change {
        Change::Allow { mut devices, csv } => {
            if let Some(path) = csv {
                devices.extend(read(&path)?);
            }
            let new = store.allow(&devices, &by, now)?;
            let before = devices.len().saturating_sub(new);
            say(&format!("Allowed {new} devices, {before} were before"))
        }
        Change::Revoke { device } => {
            let revoked = store.revoke(&device, &by, now)?;
            say(&format!("Revoked {device}: {} certificates", revoked.len()))?;
            revoked
                .iter()
                .try_for_each(|serial| say(&format!("  {serial}")))
        }
        Change::Approve { device } => {
            let waited = store.approve(&device, &by, now)?;
            say(&if waited {
                format!("Approved of {device}: it gets its certificate when it asks again")
            } else {
                format!("No request of {device} waits")
            })
        }
        Change::Token { device } => {
            let text = token::new()?;
            store.token(&device, &token::hash(&text), &by, now)?;
            say(&format!("{device}:{text}"))
        }
        Change::List => store.listed()?.iter().try_for_each(|listed| {
            let state = match (listed.allowed, listed.waiting, listed.valid_until) {
                (false, _, _) => "blocked".to_owned(),
                (_, true, _) => "waits for approval".to_owned(),
                (_, _, None) => "may enrol".to_owned(),
                (_, _, Some(until)) => format!("certificate until {until}"),
            };
            say(&format!("{:<32}  {state}", listed.device))
        }),
    }
}

/// Who is at the keyboard, for the audit log: as the system says, which this program cannot check.
pub(in crate::cli) fn operator() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let name = name.unwrap_or_else(|_| "unknown".to_owned());
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn read(path: &Path) -> Result<Vec<String>> {
    let failed = |step| {
        move |source| Error::Io {
            step,
            path: path.to_owned(),
            source,
        }
    };
    let file = std::fs::File::open(path).map_err(failed("open"))?;
    let mut devices = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(failed("read"))?;
        let field = line.split([',', ';', '\t']).next().unwrap_or_default();
        let field = field.trim().trim_matches('"');
        if field.is_empty() || (number == 0 && field.eq_ignore_ascii_case("serial")) {
            continue;
        }
        if devices.len() >= MOST {
            let reason = format!("more than {MOST} serial numbers");
            return Err(Error::Config {
                what: path.display().to_string(),
                reason,
            });
        }
        devices.push(field.to_owned());
    }
    Ok(devices)
}
