//! The command line: one file per subcommand.

mod audit;
mod ca;
mod devices;
mod serve;

use std::io::Write;
use std::path::Path;

use api_server::{Error, Result, SqliteStore};
use clap::{Parser, Subcommand};

/// Host the repository and take device reports, over mutual TLS
///
/// Exit codes: 0 stopped or printed, 2 usage, 3 cannot listen, 6 files or database, 8 configuration, keys,
/// certificates, devices or the audit log, 1 anything else.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Devices(devices::DevicesArgs),
    Ca(ca::CaArgs),
    Audit(audit::AuditArgs),
}

impl Cli {
    pub(crate) fn run(self, out: &mut dyn Write) -> Result<()> {
        match self.command {
            Command::Serve(args) => args.run(),
            Command::Devices(args) => args.run(out),
            Command::Ca(args) => args.run(out),
            Command::Audit(args) => args.run(out),
        }
    }
}

/// The store of a server that has kept data: none is made here.
fn store(data: Option<&Path>) -> Result<SqliteStore> {
    let unusable = |what: String, reason: &str| Error::Config {
        what,
        reason: reason.to_owned(),
    };
    let data = data.ok_or_else(|| unusable("--data".to_owned(), "it is not given"))?;
    if !data.join("registry.sqlite").is_file() {
        let what = data.display().to_string();
        return Err(unusable(what, "no server has kept data there"));
    }
    SqliteStore::open(data)
}
