//! Whether the firmware on trial is well: the integrator's own checks, `health.d/required` and `health.d/wanted`.
//!
//! All required checks have to say yes (exit code 0). One that says *later* (21) is asked again until the deadline has passed.
//! What the wanted ones say is told and decides nothing. How they run: [`crate::hooks`].

use std::path::Path;
use std::time::{Duration, Instant};

use crate::hooks::{self, Answer, Unusable};

/// Where the checks are that decide, below the folder of hooks.
pub const REQUIRED: &str = "health.d/required";
/// Where the checks are that only say something.
pub const WANTED: &str = "health.d/wanted";
/// How long to wait before a check that said *later* is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a firmware is not well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// A check said no.
    #[error("health check {check} failed ({how})")]
    Failed {
        /// File name of the check.
        check: String,
        /// How it ended.
        how: String,
    },
    /// A check did not end in time, or never said anything but *later*.
    #[error("health check {check} took longer than {seconds} s")]
    TooLong {
        /// File name of the check.
        check: String,
        /// The deadline, in seconds.
        seconds: u64,
    },
    /// A check could not be run.
    #[error("health check {} could not be run: {}", .0.hook.display(), .0.source)]
    Unusable(Unusable),
}

/// Runs all checks in `folder`; a folder that is not there has none. Returns the names of those that said yes.
///
/// # Errors
/// The first check that says no, takes longer than `deadline`, or cannot be run.
pub fn check(
    folder: &Path,
    variables: &[(String, String)],
    deadline: Duration,
) -> Result<Vec<String>, Unhealthy> {
    let mut passed = Vec::new();
    for hook in hooks::list(folder).map_err(Unhealthy::Unusable)? {
        let begin = Instant::now();
        let too_long = || Unhealthy::TooLong {
            check: hook.name.clone(),
            seconds: deadline.as_secs(),
        };
        loop {
            let left = deadline.saturating_sub(begin.elapsed());
            match hook.run(variables, left).map_err(Unhealthy::Unusable)? {
                Answer::Go => break,
                Answer::TooLong => return Err(too_long()),
                Answer::Later(_) if left <= PAUSE => return Err(too_long()),
                Answer::Later(_) => std::thread::sleep(PAUSE),
                Answer::No(how) => {
                    let check = hook.name;
                    return Err(Unhealthy::Failed { check, how });
                }
            }
        }
        passed.push(hook.name);
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::tests::folder;

    fn judged(checks: &[(&str, &str, u32)]) -> Result<Vec<String>, String> {
        let variables = [("UPDATER_SLOT".to_owned(), "B".to_owned())];
        let folder = folder(checks);
        check(folder.path(), &variables, Duration::from_secs(3)).map_err(|e| e.to_string())
    }

    #[test]
    fn all_must_be_good() {
        let good = ("10-a", "[ \"$UPDATER_SLOT\" = B ]", 0o755);
        let hidden = (".backup", "exit 1", 0o755);
        assert_eq!(judged(&[good, hidden]), Ok(vec!["10-a".to_owned()]));
        let error = judged(&[good, ("20-b", "echo no modem; exit 3", 0o755)]).unwrap_err();
        assert_eq!(error, "health check 20-b failed (exit status: 3: no modem)");
        let error = judged(&[("10-a", "sleep 5", 0o755)]).unwrap_err();
        assert!(error.contains("took longer"), "{error}");
    }

    #[test]
    fn one_that_says_later_is_asked_again() {
        let once = "if [ -e \"$0.asked\" ]; then exit 0; fi; touch \"$0.asked\"; exit 21";
        assert_eq!(
            judged(&[("10-a", once, 0o755)]),
            Ok(vec!["10-a".to_owned()])
        );
        let error = judged(&[("10-a", "exit 21", 0o755)]).unwrap_err();
        assert!(error.contains("took longer"), "{error}");
    }

    #[test]
    fn a_check_that_cannot_run_is_not_a_good_one() {
        let error = judged(&[("10-a", "true", 0o644)]).unwrap_err();
        assert!(error.contains("10-a could not be run"), "{error}");
    }
}
