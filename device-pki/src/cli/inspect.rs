use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::explain::explain;
use device_pki::inspect::{chain, inspect};
use device_pki::{Clock, Crl, Result, Revocations, TrustAnchor, durable};
use metadata_schema::time::Timestamp;

use super::say;

/// Longest file that is read.
const LIMIT: u64 = 32 * 1024 * 1024;

/// Say in words what a certificate, chain, revocation list or key is
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// Files in PEM, or revocation lists in DER
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Say as well for what each chain would be accepted under this trust anchor, and why not for the rest
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// Revocation list that counts there; may be given several times
    #[arg(long = "crl", value_name = "FILE", requires = "anchor")]
    crls: Vec<PathBuf>,
    /// Take this for the current time, such as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    at: Option<Timestamp>,
}

impl InspectArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let anchor = self
            .anchor
            .as_deref()
            .map(|path| TrustAnchor::from_pem(&durable::read_bounded(path, LIMIT)?));
        let anchor = anchor.transpose()?;
        let lists = self.crls.iter().map(|path| Crl::load(path));
        let lists = Revocations::new(lists.collect::<Result<_>>()?);
        let now = self.at.unwrap_or_else(|| Clock::System.now());
        for file in &self.files {
            let bytes = durable::read_bounded(file, LIMIT)?;
            let what = file.display().to_string();
            let mut lines = inspect(&what, &bytes)?;
            let chain = chain(&what, &bytes)?;
            if let Some(anchor) = &anchor
                && !chain.is_empty()
            {
                lines.extend(explain(&chain, anchor, &lists, now));
            }
            for line in lines {
                say(out, &line)?;
            }
        }
        Ok(())
    }
}
