//! U-Boot's environment, through libubootenv's `fw_printenv` and `fw_setenv`.
//!
//! The environment stands in two copies, of which `fw_setenv` writes the one that is not in force, with a checksum and a higher number.
//! All variables of a change go into one such write, so a power cut leaves the old ones or the new ones. An environment
//! with a single copy is refused unless the configuration accepts it.

use std::path::PathBuf;
use std::time::Duration;

use super::running::{read, unreadable};
use super::variables::{Values, values};
use crate::error::BootError;
use crate::program::Program;

/// What the configuration may give other paths for.
pub(super) const PROGRAMS: &[&str] = &["fw_printenv", "fw_setenv"];

/// Longest `fw_env.config`, in bytes.
const MAX_CONFIG: u64 = 64 * 1024;

/// The environment.
#[derive(Debug)]
pub(super) struct Environment {
    /// `fw_env.config`: where the copies are.
    pub(super) config: PathBuf,
    pub(super) printenv: PathBuf,
    pub(super) setenv: PathBuf,
    /// Whether a single copy is accepted.
    pub(super) single: bool,
    pub(super) deadline: Duration,
}

impl Environment {
    pub(super) fn read(&self, names: &[&str]) -> Result<Values, BootError> {
        const REPAIR: &str = "check that fw_env.config names the environment's places and size; `saveenv` in U-Boot, or `fw_setenv -f \
                              defaults -s factory.env`, writes one that is damaged";
        let failed = |why: String| unreadable(&self.config, why, REPAIR);
        self.check_copies()?;
        let config = self.config.to_string_lossy();
        let mut arguments = vec!["-c", &config];
        arguments.extend(names);
        let program = Program {
            arguments: &arguments,
            ..Program::new(&self.printenv, self.deadline)
        };
        let tool = self.printenv.display();
        let ended = program.run().map_err(|e| failed(format!("{tool}: {e}")))?;
        if !ended.exited_with(0) {
            return Err(failed(format!("{tool}: {}", ended.describe())));
        }
        let text = String::from_utf8(ended.output).map_err(|e| failed(format!("{tool}: {e}")))?;
        Ok(values(&text))
    }

    pub(super) fn write(&self, changes: &Values) -> Result<(), BootError> {
        let failed = |why: String| BootError::Unwritable {
            path: self.config.clone(),
            why,
        };
        let script: String = changes
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        let program = Program {
            arguments: &["-c", &self.config.to_string_lossy(), "-s", "-"],
            input: script.as_bytes(),
            ..Program::new(&self.setenv, self.deadline)
        };
        let tool = self.setenv.display();
        let ended = program.run().map_err(|e| failed(format!("{tool}: {e}")))?;
        if ended.exited_with(0) {
            Ok(())
        } else {
            Err(failed(format!("{tool}: {}", ended.describe())))
        }
    }

    fn check_copies(&self) -> Result<(), BootError> {
        const REPAIR: &str = "build U-Boot with CONFIG_SYS_REDUNDAND_ENVIRONMENT and name both copies, or accept the risk with [boot] \
                              single_copy = true";
        let bytes = read(&self.config, MAX_CONFIG)
            .map_err(|why| unreadable(&self.config, why, "install libubootenv's configuration"))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim);
        let copies = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .count();
        if copies < 2 && !self.single {
            let found =
                format!("it names {copies} copy of the environment, which a power cut can destroy");
            return Err(unreadable(&self.config, found, REPAIR));
        }
        Ok(())
    }
}
