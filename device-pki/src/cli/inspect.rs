use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::inspect::inspect;
use device_pki::{Result, durable};

use super::say;

/// Longest file that is read.
const LIMIT: u64 = 32 * 1024 * 1024;

/// Say in words what a certificate, chain, revocation list or key is
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Files in PEM, or revocation lists in DER
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl InspectArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        for file in &self.files {
            let bytes = durable::read_bounded(file, LIMIT)?;
            for line in inspect(&file.display().to_string(), &bytes)? {
                say(out, &line)?;
            }
        }
        Ok(())
    }
}
