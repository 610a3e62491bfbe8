//! GRUB's environment block, through `grub-editenv`.
//!
//! `grub-editenv` empties the file before it writes it. So it works on a copy, which then takes the place of the block by a rename: on a
//! file system with a journal a power cut leaves the old block or the new one. GRUB itself writes into the sectors of the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use device_pki::disk::Disk;
use device_pki::durable::PUBLIC;

use super::running::{in_full, read, unreadable};
use super::variables::{Values, values};
use crate::error::BootError;
use crate::program::{Ended, Program};

/// What the configuration may give another path for.
pub(super) const PROGRAMS: &[&str] = &["grub-editenv"];

/// Longest block, in bytes; it usually has 1024.
const MAX_BLOCK: u64 = 64 * 1024;
/// How a block begins.
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

/// The block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) path: PathBuf,
    pub(super) editenv: PathBuf,
    pub(super) deadline: Duration,
    pub(super) disk: Disk,
}

impl Block {
    pub(super) fn read(&self) -> Result<Values, BootError> {
        const REPAIR: &str = "`grub-editenv FILE create`, then set the variables as docs/INTEGRATION.md says for the factory";
        let failed = |why: String| unreadable(&self.path, why, REPAIR);
        self.block(&self.path).map_err(failed)?;
        let ended = self.edit(&self.path, &["list"]).map_err(failed)?;
        let text = String::from_utf8(ended.output).map_err(|e| failed(e.to_string()))?;
        Ok(values(&text))
    }

    pub(super) fn write(&self, changes: &Values) -> Result<(), BootError> {
        let failed = |why: String| BootError::Unwritable {
            path: self.path.clone(),
            why,
        };
        // A rename would replace a link, and not what it leads to.
        let place = std::fs::canonicalize(&self.path).map_err(|e| failed(e.to_string()))?;
        let copy = place.with_extension("updater");
        let old = self.block(&place).map_err(failed)?;
        let lasting = |done: device_pki::Result<()>| done.map_err(|e| failed(in_full(&e)));
        lasting(self.disk.write(&copy, &old, PUBLIC))?;
        let pairs: Vec<String> = changes
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let arguments: Vec<&str> = ["set"]
            .into_iter()
            .chain(pairs.iter().map(String::as_str))
            .collect();
        let made = self.edit(&copy, &arguments).and_then(|_| self.block(&copy));
        let new = made.map_err(failed)?;
        if new.len() != old.len() {
            // GRUB finds the block by its sectors and does not let it grow.
            return Err(failed(format!(
                "the block would have {} bytes, and has {}",
                new.len(),
                old.len()
            )));
        }
        lasting(self.disk.write(&place, &new, PUBLIC))?;
        lasting(self.disk.remove_file(&copy))
    }

    fn block(&self, path: &Path) -> Result<Vec<u8>, String> {
        let bytes = read(path, MAX_BLOCK)?;
        if bytes.starts_with(SIGNATURE) {
            Ok(bytes)
        } else {
            Err(format!(
                "{} bytes that are no environment block",
                bytes.len()
            ))
        }
    }

    fn edit(&self, file: &Path, arguments: &[&str]) -> Result<Ended, String> {
        let file = file.to_string_lossy();
        let arguments: Vec<&str> = [&*file]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let program = Program {
            arguments: &arguments,
            ..Program::new(&self.editenv, self.deadline)
        };
        let tool = self.editenv.display();
        let ended = program.run().map_err(|e| format!("{tool}: {e}"))?;
        if ended.exited_with(0) {
            Ok(ended)
        } else {
            Err(format!("{tool}: {}", ended.describe()))
        }
    }
}
