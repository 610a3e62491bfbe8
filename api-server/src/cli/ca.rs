use std::io::Write;
use std::path::{Path, PathBuf};

use api_server::store::enrolments::Enrolments as _;
use api_server::{Error, Result};
use clap::{Args, Subcommand};
use device_pki::Clock;

/// Let the CA in the server issue certificates, or none
///
/// Disabled, it certifies nobody, and what it issued stays good: for maintenance, or until an investigation has ended. A CA that
/// is not to be trusted any more is revoked instead: `device-pki revoke PKI "NAME OF THE CA"`, and everything that it issued
/// is refused.
#[derive(Debug, Args)]
pub(super) struct CaArgs {
    /// Folder of the server's data
    #[arg(long, value_name = "DIR", global = true, env = "API_SERVER_DATA")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issue no certificates
    Disable,
    /// Issue certificates again
    Enable,
    /// Say which of the two it is
    Status,
}

impl CaArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let store = super::store(self.data.as_deref())?;
        let (by, now) = (super::devices::operator(), Clock::System.now());
        match self.command {
            Command::Disable => store.enable(false, &by, now).map(drop)?,
            Command::Enable => store.enable(true, &by, now).map(drop)?,
            Command::Status => {}
        }
        let line = if store.enabled()? {
            "The CA issues certificates"
        } else {
            "The CA issues no certificates; what it issued stays good"
        };
        writeln!(out, "{line}").map_err(|source| Error::Io {
            step: "write to",
            path: Path::new("standard output").to_owned(),
            source,
        })
    }
}
