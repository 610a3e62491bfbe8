//! The boot loader's own image, in the two boot partitions of an eMMC.
//!
//! One of them is in force, as `PARTITION_CONFIG` of the extended CSD says (JESD84-B51, 7.4.69); the other one is what is written. The
//! switch is one register, which the eMMC changes whole or not at all. It is made once the new firmware has been committed, and only
//! if the other partition then holds the image that was signed: before that, the new firmware is tried with the old boot
//! loader. There are no tries for a boot loader: one that does not work leaves a device that does not start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use metadata_schema::release::SlotClass;

use super::Place;
use crate::config::EmmcBootConfig;
use crate::error::SlotError;
use crate::lifecycle::ImageRef;
use crate::program::Program;

/// How long the tool may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The boot partitions of an eMMC.
#[derive(Clone, Debug)]
pub struct EmmcBoot {
    class: SlotClass,
    device: PathBuf,
    sysfs: PathBuf,
    mmc: PathBuf,
}

/// What `PARTITION_CONFIG` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InForce {
    /// 0 or 1.
    partition: u8,
    /// Whether the eMMC acknowledges a start.
    acknowledged: bool,
}

impl EmmcBoot {
    /// The boot partitions that are configured.
    pub fn new(config: &EmmcBootConfig) -> Self {
        Self {
            class: config.class.clone(),
            device: config.device.clone(),
            sysfs: config.sysfs.clone(),
            mmc: config.mmc.clone(),
        }
    }

    /// The class of image that they hold.
    pub fn class(&self) -> &SlotClass {
        &self.class
    }

    /// The one in force, and the other one, which may be written.
    ///
    /// # Errors
    /// If it cannot be told.
    pub(super) fn places(&self) -> Result<(Place, Place), SlotError> {
        let active = self.in_force()?.partition;
        Ok((self.place(active), self.place(1_u8.saturating_sub(active))))
    }

    /// Has the partition with this image in force, if one of them holds it; says whether that was a change. The image is read and
    /// compared right before.
    ///
    /// # Errors
    /// If the state cannot be read or changed.
    pub fn settle(&self, image: &ImageRef) -> Result<bool, SlotError> {
        let now = self.in_force()?;
        let other = 1_u8.saturating_sub(now.partition);
        if self.place(now.partition).holds(image).is_ok() {
            return Ok(false);
        }
        if let Err(e) = self.place(other).holds(image) {
            tracing::warn!(error = %e, "no boot partition holds the boot loader of what runs: it stays");
            return Ok(false);
        }
        let number = other.saturating_add(1).to_string();
        let acknowledged = if now.acknowledged { "1" } else { "0" };
        self.run(&["bootpart", "enable", &number, acknowledged])?;
        let found = self.in_force()?;
        if found.partition == other {
            return Ok(true);
        }
        Err(self.unknown(format!(
            "partition {found:?} is in force after boot{other} was enabled"
        )))
    }

    fn in_force(&self) -> Result<InForce, SlotError> {
        let said = self.run(&["extcsd", "read"])?;
        in_force(&said).map_err(|found| self.unknown(found))
    }

    fn place(&self, partition: u8) -> Place {
        let mut path = self.device.clone().into_os_string();
        path.push(format!("boot{partition}"));
        let path = PathBuf::from(path);
        let name = path.file_name().unwrap_or_default();
        let force_ro = self.sysfs.join("block").join(name).join("force_ro");
        Place::new(path).locked_by(force_ro)
    }

    fn run(&self, arguments: &[&str]) -> Result<String, SlotError> {
        let device = self.device.to_string_lossy();
        let arguments: Vec<&str> = arguments.iter().copied().chain([&*device]).collect();
        let program = Program {
            arguments: &arguments,
            ..Program::new(&self.mmc, DEADLINE)
        };
        let tool = self.mmc.display();
        let ended = program
            .run()
            .map_err(|e| self.unknown(format!("{tool}: {e}")))?;
        if ended.exited_with(0) {
            Ok(String::from_utf8_lossy(&ended.output).into_owned())
        } else {
            Err(self.unknown(format!(
                "{tool} {}: {}",
                arguments.join(" "),
                ended.describe()
            )))
        }
    }

    fn unknown(&self, found: String) -> SlotError {
        SlotError::BootPartition {
            device: self.device.clone(),
            found,
        }
    }
}

/// What `mmc extcsd read` says: bits 3 to 5 are the partition, 1 or 2; bit 6 is the acknowledgement.
fn in_force(said: &str) -> Result<InForce, String> {
    let digits = said.split("PARTITION_CONFIG: 0x").nth(1);
    let digits: Option<String> =
        digits.map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect());
    let config = digits.and_then(|digits| u8::from_str_radix(&digits, 16).ok());
    let config = config.ok_or("`mmc extcsd read` has no PARTITION_CONFIG")?;
    let partition = match (config >> 3) & 7 {
        1 => 0,
        2 => 1,
        other => {
            return Err(format!(
                "PARTITION_CONFIG 0x{config:02x} starts from partition {other}"
            ));
        }
    };
    Ok(InForce {
        partition,
        acknowledged: config & 0x40 != 0,
    })
}

/// A partition that may be written; it is locked again when this goes.
#[derive(Debug)]
pub(super) struct Unlocked(PathBuf);

impl Unlocked {
    pub(super) fn new(force_ro: &Path) -> std::io::Result<Self> {
        set(force_ro, b"0")?;
        Ok(Self(force_ro.to_owned()))
    }
}

impl Drop for Unlocked {
    fn drop(&mut self) {
        if let Err(error) = set(&self.0, b"1") {
            tracing::warn!(%error, "the boot partition stays writable until the next start");
        }
    }
}

/// A file of the kernel's is written in place.
fn set(file: &Path, value: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use metadata_schema::digest::Sha256Digest;

    use super::*;
    use crate::boot::simulated::Simulated;
    use crate::slot::{SlotGroup, SlotName};

    /// The tool, over a file in the place of the register. It sets it to what the specification says.
    const MMC: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
case "$1 $2" in
    "extcsd read") echo "Extended CSD rev 1.8"; echo "Boot configuration bytes [PARTITION_CONFIG: $(cat register)]" ;;
    "bootpart enable") printf '0x%02x\n' $(($3 * 8 + $4 * 64)) > register ;;
    *) exit 2 ;;
esac
"#;

    fn emmc(register: &str) -> (tempfile::TempDir, EmmcBoot) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("mmc"), MMC).unwrap();
        std::fs::set_permissions(at("mmc"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(at("register"), register).unwrap();
        for partition in ["mmcblk0boot0", "mmcblk0boot1"] {
            std::fs::write(at(partition), [partition.len().to_le_bytes()[0]; 4096]).unwrap();
            std::fs::create_dir_all(at("sys/block").join(partition)).unwrap();
            std::fs::write(at("sys/block").join(partition).join("force_ro"), "1").unwrap();
        }
        let config = EmmcBootConfig {
            class: "bootloader".parse().unwrap(),
            device: at("mmcblk0"),
            sysfs: at("sys"),
            mmc: at("mmc"),
        };
        (folder, EmmcBoot::new(&config))
    }

    /// Installs an image beside what runs in slot `booted`.
    fn install(folder: &Path, emmc: &EmmcBoot, booted: SlotName, bytes: &[u8]) -> ImageRef {
        let group = SlotGroup::new(BTreeMap::new())
            .with_emmc(emmc, booted)
            .unwrap();
        let image = ImageRef {
            length: u64::try_from(bytes.len()).unwrap(),
            sha256: Sha256Digest::of(bytes),
        };
        let (inactive, class) = (group.inactive(booted), emmc.class());
        let place = group.place(inactive.name(), class).unwrap().path();
        let locked = folder.join("sys/block").join(place.file_name().unwrap());
        let locked = locked.join("force_ro");
        let mut boot = Simulated::install(&folder.join("boot.json")).unwrap();
        let open = inactive.begin(&mut boot).unwrap();
        assert!(
            open.write(class, 5000, 0).is_err(),
            "larger than the partition"
        );
        let mut writer = open.write(class, image.length, 0).unwrap();
        assert_eq!(std::fs::read(&locked).unwrap(), b"0");
        writer.write_all(bytes).unwrap();
        writer.finish(&image).unwrap();
        assert_eq!(std::fs::read(&locked).unwrap(), b"1");
        image
    }

    #[test]
    fn what_is_not_in_force_is_written_and_the_switch_is_made_when_it_is_committed() {
        let (folder, emmc) = emmc("0x48");
        let register = || std::fs::read_to_string(folder.path().join("register")).unwrap();
        let holds = |n: u8| std::fs::read(folder.path().join(format!("mmcblk0boot{n}"))).unwrap();
        let factory = holds(0);
        let first = install(folder.path(), &emmc, SlotName::A, &[1; 4000]);
        assert_eq!((register().as_str(), holds(0)), ("0x48", factory));
        assert!(holds(1).starts_with(&[1; 4000]));
        assert!(emmc.settle(&first).unwrap());
        assert_eq!(register(), "0x50\n", "boot1, acknowledged as before");
        assert!(!emmc.settle(&first).unwrap());
        // The next one goes into the other partition, whatever slot runs.
        let second = install(folder.path(), &emmc, SlotName::A, &[2; 3000]);
        assert!(holds(0).starts_with(&[2; 3000]) && holds(1).starts_with(&[1; 4000]));
        // It was not committed: what runs has the first one, which stays.
        assert!(!emmc.settle(&first).unwrap());
        // It was damaged since it was staged: the switch is not made.
        std::fs::write(folder.path().join("mmcblk0boot0"), [3; 4096]).unwrap();
        assert!(!emmc.settle(&second).unwrap());
        assert_eq!(register(), "0x50\n");
    }

    #[test]
    fn a_register_that_is_not_understood_is_an_error() {
        for (register, found) in [
            ("0x38", "starts from partition 7"),
            ("0x00", "partition 0"),
            ("?", "no PARTITION_CONFIG"),
        ] {
            let (_folder, emmc) = emmc(register);
            let error = emmc.places().unwrap_err().to_string();
            assert!(
                error.contains(found) && error.contains("mmcblk0"),
                "{error}"
            );
        }
    }
}
