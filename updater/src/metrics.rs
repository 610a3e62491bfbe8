//! Measurements in Prometheus' text format, in a file that its node exporter reads (the textfile collector).

use std::fmt::Write as _;
use std::path::Path;

use device_pki::durable;
use metadata_schema::time::ReferenceTime;

use crate::Updater;
use crate::error::StoreError;

/// Writes the measurements of an updater, whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, updater: &Updater, now: ReferenceTime) -> Result<(), StoreError> {
    durable::write(path, text(updater, now).as_bytes(), 0o644).map_err(StoreError::Storage)
}

fn text(updater: &Updater, now: ReferenceTime) -> String {
    let (state, memory) = (updater.state(), updater.memory());
    let problem = memory.last.as_ref().and_then(|last| last.problem.as_ref());
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, labels: &str, value: i64| {
        let _in_memory = write!(
            text,
            "# HELP updater_{name} {help}\n# TYPE updater_{name} gauge\nupdater_{name}{labels} {value}\n"
        );
    };
    let info = format!(
        "{{version=\"{}\",slot=\"{}\",stage=\"{}\"}}",
        state.running.version,
        state.slot,
        state.installation.name()
    );
    gauge(
        "info",
        "What runs, and where an installation stands.",
        &info,
        1,
    );
    gauge(
        "last_run_seconds",
        "When the last run ended, by the reference time.",
        "",
        now.unix_seconds(),
    );
    gauge(
        "last_run_ok",
        "Whether the last run went well.",
        "",
        i64::from(problem.is_none()),
    );
    let code = problem.map_or(0, |problem| i64::from(problem.exit_code));
    gauge("last_run_exit_code", "Exit code of the last run.", "", code);
    let waits = memory.offered.as_ref().is_some_and(|offered| !offered.runs);
    gauge(
        "release_waits",
        "Whether a release is offered that does not run.",
        "",
        i64::from(waits),
    );
    let failed = i64::try_from(state.failed.len()).unwrap_or(i64::MAX);
    gauge(
        "failed_releases",
        "Releases that failed here and are not tried again.",
        "",
        failed,
    );
    let floor = i64::try_from(state.security_floor).unwrap_or(i64::MAX);
    gauge(
        "security_floor",
        "Highest security version that was committed.",
        "",
        floor,
    );
    text
}
