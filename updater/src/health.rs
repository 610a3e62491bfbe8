//! Whether the firmware on trial is well: the integrator's own checks.
//!
//! Every file in the folder runs, in the order of the names; hidden ones do not, and one that is not executable is an error. Exit code 0 is good, anything else is not, and a check that
//! outlives the deadline is killed and counts as failed. They learn what they judge from the environment:
//! `UPDATER_SLOT`, `UPDATER_VERSION` and `UPDATER_IMAGE_<CLASS>` (the path of each image's place, the class in capitals).

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What checks are told.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Variables of the environment.
    pub variables: Vec<(String, String)>,
}

/// Why a firmware is not well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// A check said no.
    #[error("health check {check} failed ({status})")]
    Failed {
        /// File name of the check.
        check: String,
        /// How it ended.
        status: String,
    },
    /// A check did not end in time.
    #[error("health check {check} took longer than {seconds} s")]
    TooLong {
        /// File name of the check.
        check: String,
        /// The deadline, in seconds.
        seconds: u64,
    },
    /// A check could not be run.
    #[error("health check {check} could not be run")]
    Unusable {
        /// Path of the check.
        check: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs all checks in `folder`; a folder that is not there has none.
///
/// # Errors
/// The first check that says no, takes too long, or cannot be run.
pub fn check(
    folder: &Path,
    subject: &Subject,
    deadline: Duration,
) -> Result<Vec<String>, Unhealthy> {
    let mut passed = Vec::new();
    for path in checks(folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let unusable = |source| Unhealthy::Unusable {
            check: path.display().to_string(),
            source,
        };
        let mut command = Command::new(&path);
        command
            .envs(subject.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.spawn().map_err(unusable)?;
        match wait(child, deadline).map_err(unusable)? {
            None => {
                return Err(Unhealthy::TooLong {
                    check: name,
                    seconds: deadline.as_secs(),
                });
            }
            Some(status) if status.success() => passed.push(name),
            Some(status) => {
                return Err(Unhealthy::Failed {
                    check: name,
                    status: status.to_string(),
                });
            }
        }
    }
    Ok(passed)
}

/// The checks that would run. Asked before an installation begins, so that a broken check is found while nothing is on trial.
///
/// # Errors
/// If one of them could not be run.
pub fn checks(folder: &Path) -> Result<Vec<PathBuf>, Unhealthy> {
    let unusable = |source| Unhealthy::Unusable {
        check: folder.display().to_string(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unusable)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unusable)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let about = std::fs::metadata(&path).map_err(unusable)?;
        if hidden || !about.is_file() {
            continue;
        }
        // A check that has lost its mode bit must not make every firmware healthy.
        if about.permissions().mode() & 0o111 == 0 {
            let source = io::Error::new(io::ErrorKind::PermissionDenied, "it is not executable");
            let check = path.display().to_string();
            return Err(Unhealthy::Unusable { check, source });
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

/// Waits for the end; kills what takes longer.
fn wait(mut child: Child, deadline: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(checks: &[(&str, &str, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, script, mode) in checks {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        folder
    }

    fn judged(checks: &[(&str, &str, u32)]) -> Result<Vec<String>, String> {
        let subject = Subject {
            variables: vec![("UPDATER_SLOT".to_owned(), "B".to_owned())],
        };
        let folder = folder(checks);
        check(folder.path(), &subject, Duration::from_millis(500)).map_err(|e| e.to_string())
    }

    #[test]
    fn all_must_be_good() {
        let good = ("10-a", "[ \"$UPDATER_SLOT\" = B ]", 0o755);
        let hidden = (".backup", "exit 1", 0o755);
        assert_eq!(judged(&[good, hidden]), Ok(vec!["10-a".to_owned()]));
        assert!(
            judged(&[good, ("20-b", "exit 3", 0o755)])
                .unwrap_err()
                .contains("20-b failed")
        );
        assert!(
            judged(&[("10-a", "sleep 5", 0o755)])
                .unwrap_err()
                .contains("took longer")
        );
    }

    #[test]
    fn a_check_that_cannot_run_is_not_a_good_one() {
        let error = judged(&[("10-a", "true", 0o644)]).unwrap_err();
        assert!(error.contains("10-a could not be run"), "{error}");
    }
}
