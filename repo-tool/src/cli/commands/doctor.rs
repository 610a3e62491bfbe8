use std::path::PathBuf;

use clap::Args;
use device_pki::durable;
use repo_tool::doctor::{Finding, Severity, prometheus};
use repo_tool::{Diagnosis, DoctorOptions, Place, Result, remote};

use crate::Context;

/// Say what expires, who may no longer be missed, and what else needs somebody's hands
///
/// Looks at published metadata, certificates, revocation lists, online keys, staged events and the clock, and changes
/// nothing. Each finding names the command that mends it. For monitoring: ends with 0 if nothing has to be done, with 10 if
/// something has to be done before long, with 11 if devices are held up now or a secret is open.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Folder of the repository
    folder: PathBuf,

    /// How far to look ahead, in days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    within: u32,

    /// Also look whether devices are served what is published here, at this folder or URL; if nothing is given, at `to` in
    /// `[publish]` of repo.toml
    #[arg(long, value_name = "FOLDER|URL")]
    url: Option<Place>,

    /// Write metrics for Prometheus to this file (of node_exporter's textfile collector), whole or not at all
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
}

impl DoctorArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let options = DoctorOptions {
            within_days: self.within,
            named: self.folder.display().to_string(),
        };
        let repository = context.open(&self.folder)?;
        let place = repository.destination_if_any(self.url)?;
        let mirror = place.as_ref().map(remote::open).transpose()?;
        let diagnosis = repository.doctor_with(&options, mirror.as_deref(), context.now)?;
        if let Some(path) = &self.prometheus {
            durable::write(path, prometheus(&diagnosis).as_bytes(), durable::PUBLIC)?;
        }
        context.output.answer(&diagnosis, || lines(&diagnosis));
        diagnosis.healthy()
    }
}

fn lines(diagnosis: &Diagnosis) -> Vec<String> {
    let mut lines: Vec<String> = diagnosis.findings.iter().flat_map(finding).collect();
    let facts = &diagnosis.facts;
    let todo = diagnosis.count(Severity::Warning) + diagnosis.count(Severity::Critical);
    if todo == 0 {
        lines.push(format!(
            "Nothing has to be done within {} days: {} roles, {} certificates and {} revocation lists looked at.",
            diagnosis.within_days,
            facts.roles.len(),
            facts.certificates.len(),
            facts.lists.len()
        ));
    }
    lines
}

fn finding(finding: &Finding) -> Vec<String> {
    let severity = match finding.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "warning",
        _ => "note",
    };
    let head = format!("{severity:<8}  {}: {}", finding.subject, finding.text);
    let mend = finding.mend.iter().map(|mend| format!("{:10}{mend}", ""));
    std::iter::once(head).chain(mend).collect()
}
