//! The scripts that are shipped, run by the boot loaders themselves: U-Boot on an emulated ARM machine and GRUB on an emulated PC,
//! over the environments that the updater writes. Run by `tests/boot`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use device_pki::disk::Disk;
use updater::boot::{BootControl, open};
use updater::config::{BootBackend, BootConfig};
use updater::slot::SlotGroup;
use updater::slot::SlotName::{self, A, B};

use crate::rig::{staged, tool};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/boot");
/// What a kernel would be told, as the boot loader prints it.
const KERNEL: &str = "KERNEL-TOLD";

/// A machine that can be started.
trait Machine {
    fn folder(&self) -> &Path;
    fn config(&self) -> BootConfig;
    /// Starts it, and returns what it said on its serial line.
    fn console(&self) -> String;
    /// What the boot loader keeps.
    fn environment(&self) -> Vec<u8>;
    /// Makes a change of the updater's.
    fn change(&self, change: &dyn Fn(&mut dyn BootControl)) {
        let slots = SlotGroup::new(BTreeMap::new());
        change(&mut *open(&self.config(), &slots, &Disk::default()).unwrap());
    }

    fn start(&self) -> SlotName {
        let console = self.console();
        let told = console
            .lines()
            .find_map(|line| line.trim().strip_prefix(KERNEL))
            .unwrap_or_else(|| panic!("nothing was started:\n{console}"));
        fs::write(self.folder().join("cmdline"), told).unwrap();
        let slots = [(A, "updater.slot=A"), (B, "updater.slot=B")];
        let booted = slots.into_iter().find(|(_, name)| told.contains(name));
        booted.unwrap_or_else(|| panic!("{told}")).0
    }

    fn starts(&self, count: usize) -> Vec<SlotName> {
        (0..count).map(|_| self.start()).collect()
    }
}

fn lives_through_trials(machine: &dyn Machine) {
    fs::write(machine.folder().join("cmdline"), "updater.slot=A").unwrap();
    fs::write(machine.folder().join("boot_id"), "1").unwrap();
    let factory = machine.environment();
    assert_eq!(machine.starts(2), [A, A]);
    assert_eq!(machine.environment(), factory, "a good slot is not counted");
    machine.change(&|boot| boot.mark_unbootable(B).unwrap());
    machine.change(&|boot| boot.arm(&staged(B)).unwrap());
    assert_eq!(
        machine.starts(5),
        [B, B, B, A, A],
        "three starts, and then the old slot"
    );
    machine.change(&|boot| boot.mark_unbootable(B).unwrap());
    machine.change(&|boot| boot.arm(&staged(B)).unwrap());
    assert_eq!(machine.start(), B);
    machine.change(&|boot| boot.commit(B).unwrap());
    let committed = machine.environment();
    assert_eq!(machine.starts(4), [B; 4]);
    assert_eq!(
        machine.environment(),
        committed,
        "a committed slot is not counted"
    );
    machine.change(&|boot| boot.arm(&staged(A)).unwrap());
    assert_eq!(machine.start(), A);
    machine.change(&|boot| boot.give_up(A).unwrap());
    assert_eq!(machine.starts(2), [B, B]);
}

/// Runs an emulator until it has said what the kernel would be told, or for a minute.
fn emulate(program: &str, arguments: &[&str], log: &Path) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .args(["-nographic", "-net", "none", "-no-reboot"])
        .stdin(Stdio::null())
        .stdout(fs::File::create(log).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let said = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let told = said
            .lines()
            .any(|line| line.trim().starts_with(KERNEL) && line.contains("END"));
        let ended = child.try_wait().unwrap().is_some();
        if told || ended || begin.elapsed() > Duration::from_secs(60) {
            child.kill().ok();
            child.wait().unwrap();
            return said;
        }
    }
}

struct UBoot(tempfile::TempDir);

impl UBoot {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let at = |name: &str| machine.folder().join(name).display().to_string();
        fs::write(at("flash"), vec![0; 64 << 20]).unwrap();
        // This build of U-Boot cannot write the emulated flash, so what it keeps is on the disk, behind the file system.
        let config = |place: &str| {
            format!(
                "{} {place} 0x40000
",
                at("disk")
            )
        };
        fs::write(at("fw_env.config"), config("0x1000000")).unwrap();
        fs::write(
            at("flash.config"),
            format!(
                "{} 0 0x40000
",
                at("flash")
            ),
        )
        .unwrap();
        fs::write(at("none"), "made=yes\n").unwrap();
        fs::write(at("disk"), vec![0; 16 << 20]).unwrap();
        tool("mkfs.vfat", &[&at("disk")], "");
        let disk = fs::OpenOptions::new().write(true).open(at("disk"));
        disk.unwrap().set_len(20 << 20).unwrap();
        let script = format!("{SCRIPTS}/u-boot/boot.cmd");
        let (kind, out) = ("arm64", at("boot.scr"));
        tool(
            "mkimage",
            &[
                "-A", kind, "-T", "script", "-C", "none", "-d", &script, &out,
            ],
            "",
        );
        tool("mcopy", &["-i", &at("disk"), &out, "::boot.scr"], "");
        let set = |config: &str, variables: &str| {
            let arguments = ["-c", &at(config), "-f", &at("none"), "-s", "-"];
            tool("fw_setenv", &arguments, variables);
        };
        let begin = "bootdelay=0\nbootcmd=virtio scan; virtio read 0x43000000 0x8000 0x200; \
                     env import -c 0x43000000 0x40000; load virtio 0 0x42000000 boot.scr; source 0x42000000\n";
        set("flash.config", begin);
        let mut variables = fs::read_to_string(format!("{SCRIPTS}/u-boot/factory.env")).unwrap();
        variables.push_str("bootargs_base=quiet\n");
        variables.push_str("save_environment=env export -c -s 0x40000 0x43000000; virtio write 0x43000000 0x8000 0x200\n");
        for slot in ["A", "B"] {
            let told = format!("{KERNEL} ${{bootargs}} END");
            variables.push_str(&format!("boot_slot_{slot}=echo \"{told}\"; poweroff\n"));
        }
        set("fw_env.config", &variables);
        machine
    }
}

impl Machine for UBoot {
    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn config(&self) -> BootConfig {
        BootConfig {
            path: Some(self.folder().join("fw_env.config")),
            cmdline: self.folder().join("cmdline"),
            boot_id: self.folder().join("boot_id"),
            single_copy: true,
            ..BootConfig::new(BootBackend::UBoot)
        }
    }

    fn console(&self) -> String {
        let at = |name: &str| self.folder().join(name).display().to_string();
        let arguments = [
            "-machine",
            "virt",
            "-cpu",
            "cortex-a57",
            "-m",
            "256",
            "-bios",
            "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
            "-drive",
            &format!("if=pflash,format=raw,index=1,file={}", at("flash")),
            "-drive",
            &format!("if=none,format=raw,id=disk,file={}", at("disk")),
            "-device",
            "virtio-blk-device,drive=disk",
        ];
        emulate(
            "qemu-system-aarch64",
            &arguments,
            &self.folder().join("console"),
        )
    }

    fn environment(&self) -> Vec<u8> {
        fs::read(self.folder().join("disk")).unwrap()
    }
}

struct Grub(tempfile::TempDir);

impl Grub {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let at = |name: &str| machine.folder().join(name).display().to_string();
        // The program: its own beginning only finds the file system.
        fs::write(at("early.cfg"), "set root=(hd0)\nconfigfile /grub.cfg\n").unwrap();
        let modules =
            "biosdisk ext2 normal configfile loadenv test echo serial terminal reboot halt sleep";
        let mut arguments = vec!["-O", "i386-pc", "-p", "(hd0)/", "-c"];
        let (early, core) = (at("early.cfg"), at("core.img"));
        arguments.extend([early.as_str(), "-o", core.as_str()]);
        arguments.extend(modules.split(' '));
        tool("grub-mkimage", &arguments, "");
        let mut program = fs::read("/usr/lib/grub/i386-pc/lnxboot.img").unwrap();
        program.extend(fs::read(at("core.img")).unwrap());
        fs::write(at("grub.krn"), program).unwrap();
        // The disk: an ext4 file system with the environment block and the script.
        fs::create_dir(at("files")).unwrap();
        let mut script =
            "serial --unit=0\nterminal_output serial\nset environment=(hd0)/grubenv\n".to_owned();
        for slot in ["A", "B"] {
            script.push_str(&format!(
                "function start_{slot} {{ echo \"{KERNEL} updater.slot=$slot END\"; halt; }}\n"
            ));
        }
        script.push_str(&fs::read_to_string(format!("{SCRIPTS}/grub/grub.cfg")).unwrap());
        fs::write(at("files/grub.cfg"), script).unwrap();
        tool("grub-editenv", &[&at("files/grubenv"), "create"], "");
        let variables = fs::read_to_string(format!("{SCRIPTS}/grub/factory.env")).unwrap();
        let block = at("files/grubenv");
        let mut arguments = vec![block.as_str(), "set"];
        arguments.extend(variables.lines());
        tool("grub-editenv", &arguments, "");
        fs::write(at("disk"), vec![0; 16 << 20]).unwrap();
        tool("mkfs.ext4", &["-q", "-d", &at("files"), &at("disk")], "");
        fs::create_dir(at("mounted")).unwrap();
        machine
    }

    fn mounted<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let at = |name: &str| self.folder().join(name).display().to_string();
        tool("mount", &["-o", "loop", &at("disk"), &at("mounted")], "");
        let result = look(&self.folder().join("mounted"));
        tool("umount", &[&at("mounted")], "");
        result
    }
}

impl Machine for Grub {
    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn config(&self) -> BootConfig {
        BootConfig {
            path: Some(self.folder().join("mounted/grubenv")),
            cmdline: self.folder().join("cmdline"),
            boot_id: self.folder().join("boot_id"),
            ..BootConfig::new(BootBackend::Grub)
        }
    }

    fn change(&self, change: &dyn Fn(&mut dyn BootControl)) {
        let slots = SlotGroup::new(BTreeMap::new());
        self.mounted(|_| change(&mut *open(&self.config(), &slots, &Disk::default()).unwrap()));
    }

    fn console(&self) -> String {
        let at = |name: &str| self.folder().join(name).display().to_string();
        let drive = format!("if=ide,format=raw,file={}", at("disk"));
        let arguments = ["-m", "64", "-kernel", &at("grub.krn"), "-drive", &drive];
        emulate(
            "qemu-system-x86_64",
            &arguments,
            &self.folder().join("console"),
        )
    }

    fn environment(&self) -> Vec<u8> {
        self.mounted(|root| fs::read(root.join("grubenv")).unwrap())
    }
}

#[test]
#[ignore = "needs qemu and U-Boot: run by tests/boot"]
fn u_boot_runs_what_is_shipped() {
    lives_through_trials(&UBoot::new());
}

#[test]
#[ignore = "needs qemu, GRUB and a loop device: run by tests/boot"]
fn grub_runs_what_is_shipped() {
    lives_through_trials(&Grub::new());
}
