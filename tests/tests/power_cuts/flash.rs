//! A flash that lies or fails: bits that turn over when they are read, errors of reading and writing, no space left, a file system that
//! the kernel has made read-only.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use device_pki::disk::{Disk, Step, Watch};
use updater::storage::Storage;

/// What is wrong with the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One step fails: `EIO`.
    StepFails,
    /// From a step on, nothing can be written: `ENOSPC`. Files can still be removed and given other names.
    Full,
    /// From a step on, nothing can be changed: `EROFS`.
    ReadOnly,
    /// Reading fails once: `EIO`.
    ReadFails,
    /// A bit is read wrong once.
    Flips,
    /// A bit is wrong whenever this place is read, whatever is written there.
    Stuck,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::StepFails,
        Self::Full,
        Self::ReadOnly,
        Self::ReadFails,
        Self::Flips,
        Self::Stuck,
    ];

    /// Whether it comes with a step, or else with reading.
    pub(crate) fn is_of_steps(self) -> bool {
        matches!(self, Self::StepFails | Self::Full | Self::ReadOnly)
    }

    /// What the machine says of it; of wrong bits it says nothing.
    pub(crate) fn is_called(self) -> Option<&'static str> {
        match self {
            Self::StepFails | Self::ReadFails => Some("Input/output error"),
            Self::Full => Some("No space left on device"),
            Self::ReadOnly => Some("Read-only file system"),
            Self::Flips | Self::Stuck => None,
        }
    }
}

/// How far it has come, and where it broke.
#[derive(Debug, Default)]
struct Seen {
    steps: usize,
    reads: usize,
    /// What was touched when it failed.
    broken: Vec<PathBuf>,
    /// Where a wrong bit is.
    place: u64,
}

/// A flash with one fault at one place.
#[derive(Debug)]
pub(crate) struct Flash {
    fault: Option<(Fault, usize)>,
    seen: Mutex<Seen>,
}

impl Flash {
    /// A storage whose flash breaks at the step, or the reading, with this number; or which is only counted.
    pub(crate) fn storage(fault: Option<(Fault, usize)>) -> (Storage, Arc<Self>) {
        let seen = Mutex::default();
        let flash = Arc::new(Self { fault, seen });
        let disk = Disk::watched(Arc::<Self>::clone(&flash));
        (Storage::on(disk), flash)
    }

    /// How many steps and readings there were.
    pub(crate) fn counted(&self) -> [usize; 2] {
        let seen = self.seen.lock().unwrap();
        [seen.steps, seen.reads]
    }

    /// What was touched when it failed.
    pub(crate) fn broken(&self) -> Vec<PathBuf> {
        self.seen.lock().unwrap().broken.clone()
    }
}

impl Watch for Flash {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap();
        seen.steps += 1;
        let Some((fault, at)) = self.fault else {
            return Ok(());
        };
        let now = match fault {
            Fault::StepFails => seen.steps == at,
            Fault::Full => {
                seen.steps >= at
                    && matches!(
                        step,
                        Step::Create(_) | Step::Write(..) | Step::MakeFolder(_)
                    )
            }
            Fault::ReadOnly => {
                seen.steps >= at && !matches!(step, Step::Sync(_) | Step::SyncFolder(_))
            }
            _ => false,
        };
        if !now {
            return Ok(());
        }
        seen.broken.push(path(step).to_owned());
        Err(io::Error::from_raw_os_error(match fault {
            Fault::Full => 28,
            Fault::ReadOnly => 30,
            _ => 5,
        }))
    }

    fn read(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap();
        // The end of a file is read, too, and has no bits.
        if bytes.is_empty() {
            return Ok(());
        }
        seen.reads += 1;
        let Some((fault, at)) = self.fault.filter(|(fault, _)| !fault.is_of_steps()) else {
            return Ok(());
        };
        if seen.reads == at {
            seen.place = offset + bytes.len() as u64 / 2;
            seen.broken.push(path.to_owned());
        } else if fault != Fault::Stuck || seen.broken.first().is_none_or(|broken| broken != path) {
            return Ok(());
        }
        if fault == Fault::ReadFails {
            return Err(io::Error::from_raw_os_error(5));
        }
        let inside = seen
            .place
            .checked_sub(offset)
            .and_then(|at| bytes.get_mut(at as usize));
        if let Some(byte) = inside {
            *byte ^= 1 << (at % 8);
        }
        Ok(())
    }
}

fn path<'a>(step: Step<'a>) -> &'a Path {
    match step {
        Step::Create(path)
        | Step::Write(path, ..)
        | Step::Sync(path)
        | Step::Rename(_, path)
        | Step::Remove(path)
        | Step::MakeFolder(path)
        | Step::RemoveFolder(path)
        | Step::SyncFolder(path) => path,
        other => panic!("{other:?} touches nothing that is known"),
    }
}

impl fmt::Display for Flash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}", self.fault, self.broken().first())
    }
}
