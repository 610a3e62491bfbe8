//! `docs/INTEGRATION.md`, followed: its commands make a disk, over loop devices, with real environments of boot loaders, and the
//! updater takes releases from a server into it; its configuration is one; and it names the files that are shipped.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use updater::config::Config;

fn source() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

fn guide() -> String {
    fs::read_to_string(source().join("docs/INTEGRATION.md")).unwrap()
}

/// The blocks that begin with one of these lines, with the line at which they do, from 1.
fn blocks(guide: &str, kinds: &[(&str, &str)]) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (index, line) in guide.lines().enumerate() {
        match &mut open {
            Some((begin, end, text)) if line == *end => {
                blocks.push((*begin, std::mem::take(text)));
                open = None;
            }
            Some((_, _, text)) => writeln!(text, "{line}").unwrap(),
            None => {
                let kind = kinds.iter().find(|(begin, _)| line == *begin);
                open = kind.map(|(_, end)| (index + 1, *end, String::new()));
            }
        }
    }
    assert!(open.is_none(), "a block without an end");
    blocks
}

#[test]
fn its_configuration_is_one() {
    let tables = blocks(&guide(), &[("```toml", "```")]);
    let (_, whole) = tables
        .iter()
        .find(|(_, text)| text.contains("[device]"))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("updater.toml");
    let load = |text: &str| {
        fs::write(&file, text).unwrap();
        Config::load(&file).map_err(|e| e.to_string())
    };
    let config = load(whole).unwrap();
    let (_, emmc) = tables
        .iter()
        .find(|(_, text)| text.contains("[emmc_boot]"))
        .unwrap();
    let with_emmc = load(&format!("{whole}\n{emmc}")).unwrap();
    assert_eq!(with_emmc.emmc_boot.unwrap().mmc, Path::new("mmc"));
    // What it shows as defaults are defaults.
    let mut shown = String::new();
    let mut in_boot = false;
    for line in whole.lines() {
        in_boot = if line.starts_with('[') {
            line.starts_with("[boot]")
        } else {
            in_boot
        };
        let line = line
            .strip_prefix("# ")
            .filter(|l| in_boot && l.contains(" = "))
            .unwrap_or(line);
        writeln!(shown, "{line}").unwrap();
    }
    let spelled = load(&shown).unwrap();
    assert_eq!(spelled.boot.state(), config.boot.state());
    assert_eq!(spelled.boot.deadline, config.boot.deadline);
    assert_eq!(spelled.boot.slot_parameter, config.boot.slot_parameter);
    assert_eq!(spelled.boot.single_copy, config.boot.single_copy);
    assert!(spelled.boot.slots.is_some() && config.boot.slots.is_none());
}

#[test]
fn it_names_every_file_that_is_shipped() {
    let guide = guide();
    let mut shipped = 0;
    for folder in fs::read_dir(source().join("updater/boot")).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(source()).unwrap().display().to_string();
            assert!(guide.contains(&name), "{name}");
            shipped += 1;
        }
    }
    assert!(shipped >= 9, "{shipped}");
    for (begin, _) in guide.match_indices("updater/boot/") {
        let name: String = guide[begin..]
            .chars()
            .take_while(|c| !" `\"".contains(*c))
            .collect();
        let found = source().join(&name).exists() || name.ends_with("updater-*");
        assert!(found, "{name} is not there");
    }
}

/// Loop devices that the commands made: they go, whatever happens.
struct Cleaner(PathBuf);

impl Drop for Cleaner {
    fn drop(&mut self) {
        let _not_mounted = Command::new("umount")
            .arg(self.0.join("data"))
            .stderr(Stdio::null())
            .status();
        for device in fs::read_to_string(self.0.join("loops"))
            .unwrap_or_default()
            .lines()
        {
            let _gone = Command::new("losetup").args(["-d", device]).status();
        }
    }
}

#[test]
#[ignore = "needs loop devices, and tools of boot loaders: run by tests/peers"]
fn its_commands_make_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let _cleaner = Cleaner(folder.path().to_owned());
    let disk = fs::File::create(at("disk")).unwrap();
    disk.set_len(128 << 20).unwrap();
    let image: Vec<u8> = (0..4_u32 << 20)
        .map(|i| (i >> 9).to_le_bytes()[0])
        .collect();
    fs::write(at("rootfs.img"), &image).unwrap();

    let text = guide();
    let run = blocks(
        &text,
        &[("```sh factory", "```"), ("<!-- on a file:", "-->")],
    );
    assert_eq!(run.len(), 13, "blocks");
    let mut script = "set -euo pipefail\n".to_owned();
    script.push_str("trap 'echo \"FAILED in the block at line $BLOCK: $BASH_COMMAND\" >&2' ERR\n");
    script.push_str("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n");
    script.push_str(HIDDEN);
    for (line, block) in &run {
        writeln!(script, "BLOCK={line}\n{block}").unwrap();
    }
    let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    for (port, listener) in PORTS.iter().zip(&listeners) {
        let free = listener.local_addr().unwrap().port().to_string();
        script = script.replace(port, &free);
    }
    drop(listeners);
    let path = env::var_os("PATH").unwrap();
    let path = env::join_paths(std::iter::once(crate::programs()).chain(env::split_paths(&path)));
    let output = Command::new("timeout")
        .args(["180", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("DISK", at("disk"))
        .env("ROOT", at("root"))
        .env("LOOPS", at("loops"))
        .env("SOURCE", source())
        .env("HOME", folder.path())
        .env("PATH", path.unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    let answers = fs::read_to_string(at("answers")).unwrap_or_default();
    let log = fs::read_to_string(at("server.log")).unwrap_or_default();
    assert!(output.status.success(), "{said}\n{answers}\n{log}");
    let answers: Vec<serde_json::Value> = answers
        .lines()
        .map(|answer| serde_json::from_str(answer).unwrap())
        .collect();
    // First one status for each boot loader, of a device that runs what the factory wrote.
    let (made, updated) = answers.split_at(4);
    for answer in made {
        assert_eq!(slots(answer), ("A", "A"), "{answer}");
    }
    // Then: enrol, doctor, once, once, status; once, once, once, why, status.
    let [_, _, _, _, second, _, _, _, why, last] = updated else {
        panic!("{} answers: {updated:?}", updated.len())
    };
    for answer in [second, last] {
        assert_eq!(slots(answer), ("B", "B"), "{answer}");
        assert_eq!(answer["running"]["version"], "1.1.0", "{answer}");
    }
    assert!(why.to_string().contains("1.2.0"), "{why}");
    // The boot loader's environment as libubootenv reads it: on trial, then without the slot that was left.
    assert!(printed.contains("BOOT_ORDER=B A"), "{printed}");
    assert!(printed.contains("BOOT_TRIAL=B"), "{printed}");
    assert!(printed.contains("BOOT_ORDER=B\n"), "{printed}");
    assert!(fs::read(at("diskp4")).unwrap().starts_with(&image));
}

/// Which slot runs, and which is started next.
fn slots(status: &serde_json::Value) -> (&str, &str) {
    let of = |name: &str| status[name].as_str().unwrap_or("?");
    (of("booted"), of("next"))
}

/// The guide's own ports, in the place of which free ones are used.
const PORTS: [&str; 2] = ["18443", "18444"];

/// What the reader does not see: the device's command line from the beginning, and the answers for the test.
const HIDDEN: &str = r#"
echo 'ro panic=10 updater.slot=A' > cmdline
updater() {
    mkdir -p "${2%.toml}.d"
    printf '[boot]\ncmdline = "%s/cmdline"\n' "$PWD" > "${2%.toml}.d/10-trial.toml"
    command updater --json "$@" >> answers
}
"#;
