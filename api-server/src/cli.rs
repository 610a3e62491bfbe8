//! The command line: one file per subcommand.

mod devices;
mod serve;

use std::io::Write;

use api_server::Result;
use clap::{Parser, Subcommand};

/// Host the repository and take device reports, over mutual TLS
///
/// Exit codes: 0 stopped or printed, 2 usage, 3 cannot listen, 6 files or database, 8 configuration, keys or
/// certificates, 1 anything else.
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
}

impl Cli {
    pub(crate) fn run(self, out: &mut dyn Write) -> Result<()> {
        match self.command {
            Command::Serve(args) => args.run(),
            Command::Devices(args) => args.run(out),
        }
    }
}
