//! Boot loaders: what `updater/boot` ships, step by step, over the real environments. (`tests/boot` runs what is shipped itself.)

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use updater::boot::{TRIES, simulated::Simulated};
use updater::slot::SlotName;

use crate::rig::{Kind, Rig, tool};

/// What the integrator's program is in these tests: shell over one file, which it replaces whole.
const PROGRAM: &str = r#"#!/bin/sh
set -eu
cd "$(dirname "$0")"
. ./script-state
other() { if [ "$1" = A ]; then echo B; else echo A; fi; }
put() {
    printf 'first=%s\ntrial=%s\nleft=%s\nother=%s\n' "$@" > new
    if ! cmp -s new script-state; then sync new; mv new script-state; fi
    rm -f new
}
case $1 in
    status)
        next=$first
        if [ -n "$trial" ] && [ "$left" = 0 ]; then next=$(other "$first"); fi
        printf '{"booted": "%s", "next": "%s"}\n' "$(sed 's/.*slot=\(.\).*/\1/' ../cmdline)" "$next" ;;
    mark-unbootable | give-up) put "$(other "$2")" "" 0 no ;;
    arm) put "$2" "$2" 3 yes ;;
    commit) put "$2" "" 0 "$other" ;;
esac
"#;

const ENTRY: &str = "title   Firmware SLOT\nsort-key firmware\nversion 1\nlinux   /SLOT/vmlinuz\noptions root=/dev/null updater.slot=SLOT\n";

pub(crate) fn factory(rig: &Rig) {
    let state = rig.file("state");
    fs::create_dir(&state).unwrap();
    match rig.kind {
        Kind::Simulated => drop(Simulated::install(&state.join("boot.json")).unwrap()),
        Kind::UBoot | Kind::UBootBootcount => {
            let environment = state.join("environment");
            fs::write(&environment, [0; 0x8000]).unwrap();
            let place = environment.display();
            let config = format!("# device offset size\n{place} 0 0x4000\n{place} 0x4000 0x4000\n");
            fs::write(state.join("fw_env.config"), config).unwrap();
            let variables = if rig.kind == Kind::UBoot {
                include_str!("../../boot/u-boot/factory.env")
            } else {
                include_str!("../../boot/u-boot-bootcount/factory.env")
            };
            let config = state.join("fw_env.config").display().to_string();
            fs::write(rig.file("none"), "made=yes\n").unwrap();
            let none = rig.file("none").display().to_string();
            tool(
                "fw_setenv",
                &["-c", &config, "-f", &none, "-s", "-"],
                variables,
            );
        }
        Kind::Grub => {
            let file = state.join("grubenv").display().to_string();
            tool("grub-editenv", &[&file, "create"], "");
            let variables = include_str!("../../boot/grub/factory.env");
            let mut arguments = vec![file.as_str(), "set"];
            arguments.extend(variables.lines().filter(|line| !line.is_empty()));
            tool("grub-editenv", &arguments, "");
        }
        Kind::SystemdBoot => {
            let entries = state.join("entries");
            fs::create_dir(&entries).unwrap();
            fs::write(state.join("loader.conf"), "timeout 0\n").unwrap();
            fs::write(entries.join("updater-a.conf"), ENTRY.replace("SLOT", "A")).unwrap();
            fs::write(
                entries.join("updater-b.unbootable"),
                ENTRY.replace("SLOT", "B"),
            )
            .unwrap();
            fs::write(entries.join("other.conf"), "title Another system\n").unwrap();
        }
        Kind::Script => {
            fs::write(
                state.join("script-state"),
                "first=A\ntrial=\nleft=0\nother=no\n",
            )
            .unwrap();
            fs::write(state.join("boot-program"), PROGRAM).unwrap();
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(state.join("boot-program"), mode).unwrap();
        }
    }
}

fn variables(rig: &Rig) -> BTreeMap<String, String> {
    let text = match rig.kind {
        Kind::Grub => {
            let file = rig.file("state/grubenv").display().to_string();
            tool("grub-editenv", &[&file, "list"], "")
        }
        Kind::Script => fs::read_to_string(rig.file("state/script-state")).unwrap(),
        _ => {
            let config = rig.file("state/fw_env.config").display().to_string();
            tool("fw_printenv", &["-c", &config], "")
        }
    };
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// Sets variables as a boot loader or a person does.
pub(crate) fn set(rig: &Rig, pairs: &[&str]) {
    let path = rig.config().path.unwrap().display().to_string();
    if rig.kind == Kind::Grub {
        let mut arguments = vec![path.as_str(), "set"];
        arguments.extend(pairs);
        tool("grub-editenv", &arguments, "");
    } else {
        let lines = pairs.iter().map(|pair| match pair.split_once('=') {
            Some(_) => format!("{pair}\n"),
            None => format!("{pair}=\n"),
        });
        tool(
            "fw_setenv",
            &["-c", &path, "-s", "-"],
            &lines.collect::<String>(),
        );
    }
}

fn slot(name: &str) -> SlotName {
    match name {
        "A" | "2" => SlotName::A,
        "B" | "3" => SlotName::B,
        other => panic!("{other}"),
    }
}

pub(crate) fn start(rig: &Rig) -> SlotName {
    if rig.kind == Kind::SystemdBoot {
        return systemd_boot(rig);
    }
    let variables = variables(rig);
    let value = |name: &str| variables.get(name).map_or("", String::as_str);
    let number = |name: &str| value(name).parse::<u32>().unwrap_or_default();
    match rig.kind {
        Kind::UBoot => {
            for name in value("BOOT_ORDER").split(' ') {
                let left = format!("BOOT_{name}_LEFT");
                if number(&left) > 0 {
                    if value("BOOT_TRIAL") == name {
                        set(rig, &[&format!("{left}={}", number(&left) - 1)]);
                    }
                    return slot(name);
                }
            }
        }
        Kind::UBootBootcount => {
            // U-Boot counts by itself while an upgrade is on trial, and then runs altbootcmd.
            if value("upgrade_available") == "1" {
                let count = number("bootcount") + 1;
                set(rig, &[&format!("bootcount={count}")]);
                if count > number("bootlimit") {
                    let other = slot(value("mender_boot_part")).other();
                    let part = if other == SlotName::A { "2" } else { "3" };
                    set(
                        rig,
                        &[
                            &format!("mender_boot_part={part}"),
                            "upgrade_available=0",
                            "bootcount=0",
                        ],
                    );
                    return other;
                }
            }
            return slot(value("mender_boot_part"));
        }
        Kind::Grub => {
            for name in value("ORDER").split(' ') {
                let tried = format!("{name}_TRY");
                let on_trial = value("TRIAL") == name;
                if value(&format!("{name}_OK")) == "1" && !(on_trial && number(&tried) >= TRIES) {
                    if on_trial {
                        set(rig, &[&format!("{tried}={}", number(&tried) + 1)]);
                    }
                    return slot(name);
                }
            }
        }
        _ => {
            let first = slot(value("first"));
            if value("trial").is_empty() {
                return first;
            }
            if number("left") == 0 {
                return first.other();
            }
            let text = fs::read_to_string(rig.file("state/script-state")).unwrap();
            let (old, new) = (number("left"), number("left") - 1);
            let text = text.replace(&format!("left={old}"), &format!("left={new}"));
            fs::write(rig.file("state/script-state"), text).unwrap();
            return first;
        }
    }
    panic!("{rig:?}: nothing starts: {variables:?}");
}

/// systemd-boot: entries without starts left last, then by sort-key, then the highest version; and counts by renaming.
fn systemd_boot(rig: &Rig) -> SlotName {
    let folder = rig.file("state/entries");
    let mut entries = Vec::new();
    for file in fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".conf") else {
            continue;
        };
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let key = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim().to_owned())
        };
        let (id, counter) = stem
            .split_once('+')
            .map_or((stem, None), |(id, c)| (id, Some(c)));
        let counter = counter.map(|counter| {
            let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
            (left.parse::<u32>().unwrap(), done.parse::<u32>().unwrap())
        });
        let bad = counter.is_some_and(|(left, _)| left == 0);
        let version: i64 = key("version")
            .unwrap_or_default()
            .parse()
            .unwrap_or_default();
        let order = (bad, key("sort-key").is_none(), key("sort-key"), -version);
        entries.push((order, name.clone(), id.to_owned(), counter, key("options")));
    }
    entries.sort();
    let (_, name, id, counter, options) = entries.into_iter().next().unwrap();
    if let Some((left, done)) = counter.filter(|(left, _)| *left > 0) {
        let counted = format!("{id}+{}-{}.conf", left - 1, done + 1);
        fs::rename(folder.join(name), folder.join(counted)).unwrap();
    }
    slot(&options.unwrap().rsplit('=').next().unwrap()[..1])
}
