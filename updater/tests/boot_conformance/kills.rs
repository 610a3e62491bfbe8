//! Changes that are killed at each of their system calls: what the boot loader then starts is as before or as after, and the same
//! change, made again, is whole.

use std::env;
use std::path::Path;
use std::process::Command;

use updater::slot::SlotName::B;

use crate::outlook;
use crate::rig::{KINDS, Kind, Rig};

/// System calls that may change files.
const CALLS: &[&str] = &[
    "write",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "fsync",
    "fdatasync",
];

fn change(rig: &Rig, name: &str) {
    match name {
        "mark-unbootable" => rig.open().mark_unbootable(B).unwrap(),
        "arm" => rig.arm(B),
        "commit" => rig.open().commit(B).unwrap(),
        "give-up" => rig.open().give_up(B).unwrap(),
        other => panic!("{other}"),
    }
}

/// What the process does that is killed: named by its environment.
#[test]
#[ignore = "started by the test below"]
fn one_change() {
    let (Some(kind), Some(folder)) = (env::var_os("RIG_KIND"), env::var_os("RIG_FOLDER")) else {
        return;
    };
    let kind = KINDS
        .into_iter()
        .find(|k| *kind == *format!("{k:?}"))
        .unwrap();
    let rig = Rig::at(kind, Path::new(&folder));
    change(&rig, &env::var("RIG_CHANGE").unwrap());
}

/// Runs a change and kills whoever makes the `when`-th call of this name; says whether it came so far.
fn killed(rig: &Rig, name: &str, call: &str, when: usize) -> bool {
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=SIGKILL:when={when}"))
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "kills::one_change",
            "--ignored",
            "--test-threads",
            "1",
        ])
        .env("RIG_KIND", format!("{:?}", rig.kind))
        .env("RIG_FOLDER", &rig.folder)
        .env("RIG_CHANGE", name)
        .output()
        .unwrap();
    !status.status.success()
}

fn survives(kind: Kind) {
    let mut kills = 0;
    for name in ["mark-unbootable", "arm", "commit", "give-up"] {
        let rig = Rig::factory(kind);
        if matches!(name, "commit" | "give-up") {
            rig.arm(B);
            assert_eq!(rig.start(), B);
        }
        let (before, old) = (rig.save(), outlook(&rig));
        change(&rig, name);
        let new = outlook(&rig);
        assert!(old != new || name == "mark-unbootable", "{kind:?} {name}");
        for call in CALLS {
            let mut when = 1;
            loop {
                rig.restore(&before);
                // A tool that is killed is an error of the change, or the process that makes it is killed itself.
                let came_so_far = killed(&rig, name, call, when);
                let found = outlook(&rig);
                assert!(
                    found == old || found == new,
                    "{kind:?} {name}, {call} {when}: {found:?}"
                );
                change(&rig, name);
                assert_eq!(outlook(&rig), new, "{kind:?} {name} again, {call} {when}");
                if !came_so_far {
                    break;
                }
                when += 1;
                kills += 1;
                assert!(when < 500, "{kind:?} {name}: {call} without end");
            }
        }
    }
    assert!(kills >= 15, "{kind:?}: {kills}");
}

macro_rules! killed_anywhere {
    ($($name:ident $kind:ident)*) => { $(
        #[test]
        #[ignore = "needs strace and the boot loaders' tools: run by tests/peers"]
        fn $name() {
            survives(Kind::$kind);
        }
    )* };
}

killed_anywhere! {
    u_boot_killed_anywhere UBoot
    u_boot_bootcount_killed_anywhere UBootBootcount
    grub_killed_anywhere Grub
    systemd_boot_killed_anywhere SystemdBoot
}
