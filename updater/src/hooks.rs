//! Folders of the integrator's programs, such as `pre-install.d`: run in the order of their names, each with a deadline.
//!
//! Hidden files and folders do not count. One that is not executable is an error: a check that has lost its mode bit must not
//! say yes to everything. Exit codes: 0 go on, 21 later, anything else no.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::program::{Ended, Program};

/// The exit code that asks for patience.
pub const LATER: i32 = 21;

/// Asked before a payload is downloaded: whether the network may be used now.
pub const PRE_DOWNLOAD: &str = "pre-download.d";
/// Asked before the first byte of the inactive slot is written.
pub const PRE_INSTALL: &str = "pre-install.d";
/// Run when the images stand in their slot, before the boot loader is told.
pub const POST_INSTALL: &str = "post-install.d";
/// Told that firmware was left; what they say decides nothing.
pub const ROLLBACK: &str = "rollback.d";

/// All folders of hooks.
pub const FOLDERS: [&str; 6] = [
    PRE_DOWNLOAD,
    PRE_INSTALL,
    POST_INSTALL,
    crate::health::REQUIRED,
    crate::health::WANTED,
    ROLLBACK,
];

/// A program in such a folder.
#[derive(Clone, Debug)]
pub struct Hook {
    /// File name.
    pub name: String,
    path: PathBuf,
}

/// What a hook says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Go on.
    Go,
    /// Not now; and what it said about it.
    Later(String),
    /// No; and how it ended.
    No(String),
    /// Nothing in time: it was killed.
    TooLong,
}

/// A hook cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("the hook {hook} cannot be run")]
pub struct Unusable {
    /// The hook or its folder.
    pub hook: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// The hooks of a folder, in the order of their names; none if it is not there.
///
/// # Errors
/// If the folder cannot be read, or one of them is not executable.
pub fn list(folder: &Path) -> Result<Vec<Hook>, Unusable> {
    let unusable = |path: &Path, source| Unusable {
        hook: path.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| unusable(folder, e))?,
    };
    let mut hooks = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unusable(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        let about = std::fs::metadata(&path).map_err(|e| unusable(&path, e))?;
        if name.starts_with('.') || !about.is_file() {
            continue;
        }
        if about.permissions().mode() & 0o111 == 0 {
            let source = io::Error::new(io::ErrorKind::PermissionDenied, "it is not executable");
            return Err(unusable(&path, source));
        }
        hooks.push(Hook { name, path });
    }
    hooks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(hooks)
}

/// Runs all hooks of a folder, up to the first that does not say go; says which that was, and what it said.
///
/// # Errors
/// If a hook cannot be run.
pub fn run(
    folder: &Path,
    variables: &[(String, String)],
    deadline: Duration,
) -> Result<Option<(String, Answer)>, Unusable> {
    for hook in list(folder)? {
        let answer = hook.run(variables, deadline)?;
        if answer != Answer::Go {
            return Ok(Some((hook.name, answer)));
        }
    }
    Ok(None)
}

impl Hook {
    /// Runs it.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn run(
        &self,
        variables: &[(String, String)],
        deadline: Duration,
    ) -> Result<Answer, Unusable> {
        let program = Program {
            variables,
            ..Program::new(&self.path, deadline)
        };
        let ended = program.run().map_err(|source| Unusable {
            hook: self.path.clone(),
            source,
        })?;
        let said = ended.describe();
        tracing::info!(hook = self.name, said, "a hook has ended");
        Ok(answer(&ended, said))
    }
}

fn answer(ended: &Ended, said: String) -> Answer {
    match ended.status {
        None => Answer::TooLong,
        Some(status) if status.success() => Answer::Go,
        Some(_) if ended.exited_with(LATER) => Answer::Later(said),
        Some(_) => Answer::No(said),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder of scripts: name, text, mode.
    pub(crate) fn folder(hooks: &[(&str, &str, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, script, mode) in hooks {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        folder
    }

    fn ran(hooks: &[(&str, &str, u32)]) -> Option<(String, Answer)> {
        run(folder(hooks).path(), &[], Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn the_first_that_does_not_say_go_decides() {
        let good = ("10-good", "true", 0o755);
        let later = ("20-later", "echo charging; exit 21", 0o755);
        let bad = ("30-bad", "exit 1", 0o755);
        assert_eq!(ran(&[good]), None);
        let said = "exit status: 21: charging".to_owned();
        assert_eq!(
            ran(&[bad, later, good]),
            Some(("20-later".to_owned(), Answer::Later(said)))
        );
        let said = "exit status: 1".to_owned();
        assert_eq!(
            ran(&[bad, good]),
            Some(("30-bad".to_owned(), Answer::No(said)))
        );
        let slow = ("10-slow", "sleep 9", 0o755);
        assert_eq!(ran(&[slow]), Some(("10-slow".to_owned(), Answer::TooLong)));
    }

    #[test]
    fn what_cannot_run_is_an_error_and_what_is_not_there_is_not() {
        let hooks = folder(&[("10-a", "true", 0o644)]);
        assert!(list(hooks.path()).is_err());
        assert!(list(&hooks.path().join("none")).unwrap().is_empty());
    }
}
