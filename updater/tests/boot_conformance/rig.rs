//! A device of files: the boot loader's state, the kernel's command line, and what starts it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use device_pki::disk::Disk;
use updater::boot::{BootControl, open, simulated};
use updater::config::{BootBackend, BootConfig};
use updater::slot::{SlotGroup, SlotName, StagedSlot};

use crate::loaders;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Simulated,
    UBoot,
    UBootBootcount,
    Grub,
    SystemdBoot,
    Script,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind::Simulated,
    Kind::UBoot,
    Kind::UBootBootcount,
    Kind::Grub,
    Kind::SystemdBoot,
    Kind::Script,
];

/// What becomes of the state, and what an error says of it.
pub(crate) struct Damage {
    pub(crate) what: &'static str,
    /// File below the state, and what it holds then; none removes it.
    file: &'static str,
    bytes: Option<&'static str>,
    /// Variables that are set.
    set: &'static [&'static str],
    pub(crate) found: &'static str,
}

pub(crate) struct Rig {
    pub(crate) kind: Kind,
    pub(crate) folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

pub(crate) fn staged(slot: SlotName) -> StagedSlot {
    let group = SlotGroup::new(BTreeMap::new());
    StagedSlot::again(&group, slot, &BTreeMap::new()).unwrap()
}

/// Runs a tool, with `input`, and returns what it says.
pub(crate) fn tool(program: &str, arguments: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Rig {
    /// A device as it leaves the factory: slot A runs, slot B is empty.
    pub(crate) fn factory(kind: Kind) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let rig = Self {
            kind,
            folder: temporary.path().to_owned(),
            _temporary: Some(temporary),
        };
        loaders::factory(&rig);
        rig.booted(SlotName::A);
        rig
    }

    /// One that is there already.
    pub(crate) fn at(kind: Kind, folder: &Path) -> Self {
        Self {
            kind,
            folder: folder.to_owned(),
            _temporary: None,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn config(&self) -> BootConfig {
        let (backend, path) = match self.kind {
            Kind::Simulated => (BootBackend::Simulated, "state/boot.json"),
            Kind::UBoot => (BootBackend::UBoot, "state/fw_env.config"),
            Kind::UBootBootcount => (BootBackend::UBootBootcount, "state/fw_env.config"),
            Kind::Grub => (BootBackend::Grub, "state/grubenv"),
            Kind::SystemdBoot => (BootBackend::SystemdBoot, "state/entries"),
            Kind::Script => (BootBackend::Script, "state/boot-program"),
        };
        BootConfig {
            path: Some(self.file(path)),
            cmdline: self.file("cmdline"),
            boot_id: self.file("boot_id"),
            ..BootConfig::new(backend)
        }
    }

    pub(crate) fn open(&self) -> Box<dyn BootControl + Send> {
        let slots = SlotGroup::new(BTreeMap::new());
        open(&self.config(), &slots, &Disk::default()).unwrap()
    }

    pub(crate) fn arm(&self, slot: SlotName) {
        self.open().arm(&staged(slot)).unwrap();
    }

    /// The device starts.
    pub(crate) fn start(&self) -> SlotName {
        let slot = match self.kind {
            Kind::Simulated => simulated::power_on(&self.file("state/boot.json")).unwrap(),
            _ => loaders::start(self),
        };
        self.booted(slot);
        slot
    }

    pub(crate) fn starts(&self, count: usize) -> Vec<SlotName> {
        (0..count).map(|_| self.start()).collect()
    }

    fn booted(&self, slot: SlotName) {
        let id = fs::read_to_string(self.file("boot_id")).unwrap_or_else(|_| "0".to_owned());
        let id: u32 = id.trim().parse().unwrap();
        fs::write(self.file("boot_id"), format!("{}\n", id + 1)).unwrap();
        fs::write(
            self.file("cmdline"),
            format!("quiet updater.slot={slot} ro\n"),
        )
        .unwrap();
    }

    /// All files of the state.
    pub(crate) fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.file("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        files
    }

    /// All files, with the command line.
    pub(crate) fn save(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = self.bytes();
        for name in ["boot_id", "cmdline"] {
            files.insert(self.file(name), fs::read(self.file(name)).unwrap());
        }
        files
    }

    pub(crate) fn restore(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        for path in self.bytes().keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            fs::write(path, bytes).unwrap();
            let program = path.file_name().is_some_and(|name| name == "boot-program");
            let mode = if program { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    /// What may have happened to the state.
    pub(crate) fn damages(&self) -> Vec<Damage> {
        let file = |what, file, bytes, found| Damage {
            what,
            file,
            bytes,
            set: &[],
            found,
        };
        let set = |what, set, found| Damage {
            what,
            file: "",
            bytes: None,
            set,
            found,
        };
        match self.kind {
            Kind::Simulated => vec![
                file("torn", "boot.json", Some("{"), "EOF"),
                file("gone", "boot.json", None, "No such file"),
            ],
            Kind::UBoot => vec![
                file(
                    "both copies damaged",
                    "environment",
                    Some("x"),
                    "fw_printenv",
                ),
                file("no configuration", "fw_env.config", None, "No such file"),
                file(
                    "one copy",
                    "fw_env.config",
                    Some("# places\n/dev/null 0 0x4000\n"),
                    "1 copy",
                ),
                set("no order", &["BOOT_ORDER"], "BOOT_ORDER is not set"),
                set("another slot", &["BOOT_ORDER=A C"], "BOOT_ORDER has \"C\""),
                set("no number", &["BOOT_B_LEFT=x"], "BOOT_B_LEFT is \"x\""),
                set(
                    "trial of nothing",
                    &["BOOT_TRIAL=C"],
                    "BOOT_TRIAL has \"C\"",
                ),
            ],
            Kind::UBootBootcount => vec![
                file(
                    "both copies damaged",
                    "environment",
                    Some("x"),
                    "fw_printenv",
                ),
                set(
                    "another partition",
                    &["mender_boot_part=7"],
                    "mender_boot_part has \"7\"",
                ),
                set("no number", &["bootcount=x"], "bootcount is \"x\""),
            ],
            Kind::Grub => vec![
                file("torn", "grubenv", Some("# GRUB"), "no environment block"),
                file("emptied", "grubenv", Some(""), "no environment block"),
                file("gone", "grubenv", None, "No such file"),
                set("no order", &["ORDER="], "ORDER is not set"),
                set("another slot", &["ORDER=C"], "ORDER has \"C\""),
                set("no number", &["B_OK=yes"], "B_OK is \"yes\""),
            ],
            Kind::SystemdBoot => vec![
                file(
                    "no entry",
                    "entries/updater-b.conf",
                    None,
                    "slot B has no entry",
                ),
                file(
                    "no sort-key",
                    "entries/updater-b.conf",
                    Some("version 9\n"),
                    "no sort-key",
                ),
                file(
                    "another sort-key",
                    "entries/updater-b.conf",
                    Some("sort-key x\n"),
                    "different sort-keys",
                ),
                file(
                    "another version",
                    "entries/updater-b.conf",
                    Some("version 1.2\nsort-key firmware\n"),
                    "1.2",
                ),
                file(
                    "a default",
                    "loader.conf",
                    Some("default updater-a*\n"),
                    "default updater-a*",
                ),
            ],
            Kind::Script => vec![
                file(
                    "no answer",
                    "boot-program",
                    Some("#!/bin/sh\n"),
                    "no booted",
                ),
                file(
                    "an odd answer",
                    "boot-program",
                    Some("#!/bin/sh\necho booted=C\necho next=A\n"),
                    "\"C\"",
                ),
                file(
                    "it fails",
                    "boot-program",
                    Some("#!/bin/sh\necho broken >&2\nexit 4\n"),
                    "exit status: 4: broken",
                ),
                file("gone", "boot-program", None, "No such file"),
            ],
        }
    }
}

impl Damage {
    pub(crate) fn apply(&self, rig: &Rig) {
        let path = rig.file("state").join(self.file);
        match (self.bytes, self.set) {
            (_, set) if !set.is_empty() => loaders::set(rig, set),
            (Some(bytes), _) => {
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            (None, _) => fs::remove_file(&path).unwrap(),
        }
    }
}
