//! Which slot starts: a back end per boot loader, behind one trait.
//!
//! The back end of this version is [`simulated`]: a real implementation over a file, with the bookkeeping that U-Boot and
//! RAUC's convention have (an order of slots, and tries left for each), and a boot loader to go with it.

pub mod simulated;

use crate::error::BootError;
use crate::slot::{SlotName, StagedSlot};

/// What the boot loader says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootStatus {
    /// What tells this boot from any other.
    pub boot: String,
    /// The slot that runs now.
    pub booted: SlotName,
    /// The slot that the boot loader starts next.
    pub next: Option<SlotName>,
}

/// Changes what the boot loader does. Every call is atomic, durable when it returns, and safe to repeat.
pub trait BootControl {
    /// What the boot loader says.
    ///
    /// # Errors
    /// If its state cannot be read: an error that names the repair.
    fn status(&self) -> Result<BootStatus, BootError>;

    /// Takes a slot out of the order; never the one that runs.
    ///
    /// # Errors
    /// If the state cannot be changed.
    fn mark_unbootable(&mut self, slot: SlotName) -> Result<(), BootError>;

    /// Has the next starts try the staged slot, a bounded number of times, and then the other one again.
    ///
    /// # Errors
    /// If the state cannot be changed.
    fn arm(&mut self, staged: &StagedSlot) -> Result<(), BootError>;

    /// Makes the running slot the first choice for good.
    ///
    /// # Errors
    /// If the state cannot be changed.
    fn commit(&mut self, slot: SlotName) -> Result<(), BootError>;

    /// Takes the running slot, which is on trial, out of the order: the next start is of the other one.
    ///
    /// # Errors
    /// If the state cannot be changed.
    fn give_up(&mut self, slot: SlotName) -> Result<(), BootError>;
}
