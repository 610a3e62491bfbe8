//! Which slot starts: a back end per boot loader, behind one trait.
//!
//! | back end | state | changed by |
//! |---|---|---|
//! | [`simulated`] | a file | a rename |
//! | `u-boot`, `u-boot-bootcount` | U-Boot's environment, in two copies | one call of `fw_setenv` |
//! | `grub` | GRUB's environment block | a rename; `grub-editenv` makes the new one |
//! | `systemd-boot` | names of entries, and their versions | renames |
//! | `script` | whatever the integrator's program knows | one call of it |
//!
//! All of them keep the same promises, which `updater/tests/boot_conformance` holds them to: arming is whole or not done, a trial has
//! [`TRIES`] starts, then the old slot runs for good, and a state that makes no sense is an error that says how to mend it.

mod grub;
mod running;
mod script;
pub mod simulated;
mod systemd_boot;
mod u_boot;
mod variables;

use std::time::Duration;

use device_pki::disk::Disk;

use crate::config::{BootBackend, BootConfig};
use crate::error::BootError;
use crate::slot::{SlotGroup, SlotName, StagedSlot};
use running::Running;
use variables::{Kind, Variables};

/// Starts that an armed slot gets before the boot loader takes the other one.
pub const TRIES: u32 = 3;

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

/// The boot loader that is configured, with its state on `disk`. `slots` tell which of them runs where the boot loader does not say.
///
/// # Errors
/// If the configuration names what the back end does not have.
pub fn open(
    config: &BootConfig,
    slots: &SlotGroup,
    disk: &Disk,
) -> Result<Box<dyn BootControl + Send>, BootError> {
    let deadline = Duration::from_secs(config.deadline);
    let path = config.state();
    let (kind, usual_slots, tools): (_, _, &[&str]) = match config.backend {
        BootBackend::Simulated => (None, ["A", "B"], &[]),
        BootBackend::UBoot => (Some(Kind::Order), ["A", "B"], u_boot::PROGRAMS),
        BootBackend::UBootBootcount => (Some(Kind::Bootcount), ["2", "3"], u_boot::PROGRAMS),
        BootBackend::Grub => (Some(Kind::Grub), ["A", "B"], grub::PROGRAMS),
        BootBackend::SystemdBoot => (None, ["updater-a", "updater-b"], &[]),
        BootBackend::Script => (None, ["A", "B"], &[]),
    };
    let refused = |why: String| BootError::Configuration { why };
    if let Some(unknown) = config
        .programs
        .keys()
        .find(|p| !tools.contains(&p.as_str()))
    {
        return Err(refused(format!(
            "[boot.programs] has {unknown:?}; this back end runs {tools:?}"
        )));
    }
    let names = match &config.slots {
        Some(slots) => [slots.a.clone(), slots.b.clone()],
        None => usual_slots.map(str::to_owned),
    };
    if names.iter().any(|name| !variables::is_name(name)) || names[0] == names[1] {
        return Err(refused(format!(
            "[boot.slots] {names:?} are not two different names of letters, digits, `-`, `_` and `.`"
        )));
    }
    let running = Running::new(config, names.clone(), slots.clone());
    let program = |name: &str| {
        let configured = config.programs.get(name);
        configured.map_or_else(|| name.into(), Clone::clone)
    };
    let store = match config.backend {
        BootBackend::Simulated => {
            return Ok(Box::new(simulated::Simulated::on(disk.clone(), &path)));
        }
        BootBackend::Script => return Ok(Box::new(script::Script::new(path, deadline, running))),
        BootBackend::SystemdBoot => {
            let entries = systemd_boot::SystemdBoot::new(disk.clone(), path, names, running);
            return Ok(Box::new(entries));
        }
        BootBackend::UBoot | BootBackend::UBootBootcount => {
            let [printenv, setenv] = [program("fw_printenv"), program("fw_setenv")];
            let single = config.single_copy;
            variables::Store::UBoot(u_boot::Environment {
                config: path,
                printenv,
                setenv,
                single,
                deadline,
            })
        }
        BootBackend::Grub => variables::Store::Grub(grub::Block {
            path,
            editenv: program("grub-editenv"),
            deadline,
            disk: disk.clone(),
        }),
    };
    let kind = kind.unwrap_or(Kind::Order);
    let variables = Variables::new(running, store, kind, names, &config.names);
    Ok(Box::new(variables.map_err(refused)?))
}
