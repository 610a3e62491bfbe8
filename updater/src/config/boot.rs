//! `[boot]`: the boot loader.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use metadata_schema::release::SlotClass;
use serde::Deserialize;

/// The boot loader, and how it is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootConfig {
    /// Which one it is.
    pub backend: BootBackend,
    /// Its state: what kind of file that is depends on the back end, and so does the default.
    pub path: Option<PathBuf>,
    /// The command that restarts the device; without, somebody else does.
    pub restart: Option<Vec<String>>,
    /// What the boot loader calls the slots.
    pub slots: Option<BootSlots>,
    /// Names of variables that differ from the convention's.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// Programs that differ from the usual ones.
    #[serde(default)]
    pub programs: BTreeMap<String, PathBuf>,
    /// Seconds that a program may take.
    #[serde(default = "default_deadline")]
    pub deadline: u64,
    /// Accept a U-Boot environment without a second copy, which a power cut can destroy.
    #[serde(default)]
    pub single_copy: bool,
    /// The parameter of the kernel's command line that names the running slot.
    #[serde(default = "default_slot_parameter")]
    pub slot_parameter: String,
    /// The kernel's command line.
    #[serde(default = "default_cmdline")]
    pub cmdline: PathBuf,
    /// What tells this boot from any other.
    #[serde(default = "default_boot_id")]
    pub boot_id: PathBuf,
}

/// The boot loaders that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BootBackend {
    /// One in a file: see [`crate::boot::simulated`].
    Simulated,
    /// U-Boot with an order of slots, and starts left for each.
    UBoot,
    /// U-Boot with its own boot counter and `altbootcmd`.
    UBootBootcount,
    /// GRUB with an environment block.
    Grub,
    /// systemd-boot, which counts boots in the names of its entries.
    SystemdBoot,
    /// A program of the integrator's.
    Script,
}

/// What the boot loader calls the slots: names, numbers of partitions, or entries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootSlots {
    /// Slot A.
    pub a: String,
    /// Slot B.
    pub b: String,
}

/// The two boot partitions of an eMMC, as a slot class: see [`crate::slot::EmmcBoot`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmmcBootConfig {
    /// The class of image that they hold.
    pub class: SlotClass,
    /// The eMMC, as `/dev/mmcblk0`.
    pub device: PathBuf,
    /// Where the kernel's locks are.
    #[serde(default = "default_sysfs")]
    pub sysfs: PathBuf,
    /// The program `mmc` of mmc-utils.
    #[serde(default = "default_mmc")]
    pub mmc: PathBuf,
}

fn default_sysfs() -> PathBuf {
    PathBuf::from("/sys")
}

fn default_mmc() -> PathBuf {
    PathBuf::from("mmc")
}

fn default_deadline() -> u64 {
    30
}

fn default_slot_parameter() -> String {
    "updater.slot".to_owned()
}

fn default_cmdline() -> PathBuf {
    PathBuf::from("/proc/cmdline")
}

fn default_boot_id() -> PathBuf {
    PathBuf::from("/proc/sys/kernel/random/boot_id")
}

impl BootConfig {
    /// A boot loader with all defaults.
    pub fn new(backend: BootBackend) -> Self {
        Self {
            backend,
            path: None,
            restart: None,
            slots: None,
            names: BTreeMap::new(),
            programs: BTreeMap::new(),
            deadline: default_deadline(),
            single_copy: false,
            slot_parameter: default_slot_parameter(),
            cmdline: default_cmdline(),
            boot_id: default_boot_id(),
        }
    }

    /// Where its state is kept: the configured path, or where it usually is.
    pub fn state(&self) -> PathBuf {
        let usual = match self.backend {
            BootBackend::UBoot | BootBackend::UBootBootcount => "/etc/fw_env.config",
            BootBackend::Grub => "/boot/grub/grubenv",
            BootBackend::SystemdBoot => "/boot/loader/entries",
            BootBackend::Script => "/etc/updater/boot",
            BootBackend::Simulated => "/var/lib/updater/boot.json",
        };
        self.path.clone().unwrap_or_else(|| PathBuf::from(usual))
    }

    /// Paths are relative to `folder`; programs without a folder are looked up in `PATH`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        for path in [&mut self.cmdline, &mut self.boot_id] {
            *path = folder.join(&*path);
        }
        if let Some(path) = &mut self.path {
            *path = folder.join(&*path);
        }
        for program in self.programs.values_mut() {
            if program.components().count() > 1 {
                *program = folder.join(&*program);
            }
        }
    }
}
