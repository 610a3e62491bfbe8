use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use device_pki::doctor::{Finding, Severity, examine};
use device_pki::folder::PkiFolder;
use device_pki::{Clock, Error, Result};
use metadata_schema::time::Timestamp;

use super::say;

/// Say what expires when, and what to do about it
///
/// Needs no key. Ends with exit code 1 if something has expired or is overdue, and with 0 otherwise.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Folder of the PKI
    dir: PathBuf,
    /// Days ahead that are looked at
    #[arg(long, default_value_t = 14)]
    days: u32,
    /// Only what needs attention
    #[arg(long)]
    quiet: bool,
    /// As JSON, one finding on a line
    #[arg(long)]
    json: bool,
    /// Take this for the current time, such as 2030-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    at: Option<Timestamp>,
}

impl DoctorArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<()> {
        let pki = PkiFolder::open(&self.dir)?;
        let now = self.at.unwrap_or_else(|| Clock::System.now());
        let mut findings = examine(&pki, now, self.days)?;
        findings.retain(|finding| !self.quiet || finding.severity != Severity::Well);
        for finding in &findings {
            say(out, &line(finding, self.json)?)?;
        }
        let late = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Late)
            .count();
        if late > 0 {
            return Err(Error::Unwell { late });
        }
        Ok(())
    }
}

fn line(finding: &Finding, json: bool) -> Result<String> {
    if json {
        return serde_json::to_string(finding).map_err(|e| Error::Malformed {
            what: "finding".to_owned(),
            expected: "JSON",
            reason: e.to_string(),
        });
    }
    let mark = match finding.severity {
        Severity::Well => "ok  ",
        Severity::Soon => "soon",
        Severity::Late => "LATE",
    };
    let mut line = format!("{mark}  {}  {}", finding.until, finding.what);
    if let Some(advice) = &finding.advice {
        line.push_str(&format!("\n      {advice}"));
    }
    Ok(line)
}
