//! What will soon need somebody's hands: what expires, who may no longer be missed, what lies about.
//!
//! [`gather`](Repository::doctor) looks (files, keys, the mirror); the rules that judge what was seen are pure and stand in
//! `rules`. Nothing is changed.

mod facts;
mod gather;
mod metrics;
mod mirror;
mod rules;

use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::remote::Remote;
use crate::repository::Repository;
use crate::schema::words::Time;

pub use facts::{
    CertificateFact, Facts, GroupFact, KeyFileFact, ListFact, MirrorFact, MirrorState, PersonFact,
    RoleFact, StagedFact,
};
pub use metrics::prometheus;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// What to look at.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// How far to look ahead, in days.
    pub within_days: u32,
    /// The repository's folder as commands should name it.
    pub named: String,
}

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Good to know; nothing has to be done.
    Note,
    /// Has to be done before long.
    Warning,
    /// Devices are held up now, or a secret is open.
    Critical,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// How urgent it is.
    pub severity: Severity,
    /// Which rule found it, such as `role-expires`; these names stay.
    pub check: &'static str,
    /// What it is about: a role, a person, a CA, a file.
    pub subject: String,
    /// What was found, in a sentence.
    pub text: String,
    /// The command that mends it, if one does.
    pub mend: Option<String>,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// When.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// How far ahead, in days.
    pub within_days: u32,
    /// What was found, the most urgent first.
    pub findings: Vec<Finding>,
    /// What was seen.
    pub facts: Facts,
}

impl Diagnosis {
    /// How many findings there are of one urgency.
    pub fn count(&self, severity: Severity) -> usize {
        let same = self.findings.iter().filter(|f| f.severity == severity);
        same.count()
    }

    /// Nothing that has to be done.
    ///
    /// # Errors
    /// [`Error::NeedsAttention`] if there are warnings or worse.
    pub fn healthy(&self) -> Result<()> {
        let (critical, warnings) = (
            self.count(Severity::Critical),
            self.count(Severity::Warning),
        );
        if critical == 0 && warnings == 0 {
            return Ok(());
        }
        Err(Error::NeedsAttention { critical, warnings })
    }
}

impl Repository {
    /// Looks for what needs, or will soon need, somebody's hands. Changes nothing, and takes no lock.
    ///
    /// # Errors
    /// If files of the folder cannot be read.
    pub fn doctor(&self, options: &DoctorOptions, now: Timestamp) -> Result<Diagnosis> {
        self.doctor_with(options, None, now)
    }

    /// As [`Repository::doctor`], and looks at what devices are served: at a place that is pushed to, or at any web server, by
    /// its URL.
    ///
    /// # Errors
    /// As there; a place that cannot be read is a finding.
    pub fn doctor_with(
        &self,
        options: &DoctorOptions,
        mirror: Option<&dyn Remote>,
        now: Timestamp,
    ) -> Result<Diagnosis> {
        let mut facts = self.facts(options, now)?;
        if let (Some(remote), false) = (mirror, facts.roles.is_empty()) {
            facts.mirror = Some(self.mirror(remote)?);
        }
        let findings = rules::judge(&facts, options, now);
        Ok(Diagnosis {
            at: now,
            within_days: options.within_days,
            findings,
            facts,
        })
    }
}

/// The end of the time that is looked at.
fn horizon(options: &DoctorOptions, now: Timestamp) -> Timestamp {
    now.plus_seconds(i64::from(options.within_days).saturating_mul(DAY))
}
