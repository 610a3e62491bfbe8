//! What every boot back end promises, held against each of them over the real files and tools, with a boot loader of its
//! convention that starts the device: arming is whole or not done, starts of a trial count down, then the old slot runs for good,
//! committing may be repeated, and a state that makes no sense is an error that says how to mend it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic, in its helpers as well"
)]

mod configuration;
mod kills;
mod loaders;
mod rig;
mod shipped;

use updater::error::BootError;
use updater::slot::SlotName::{self, A, B};

use rig::{Kind, Rig};

/// Starts that are looked at: the three of a trial, and three after it.
const STARTS: usize = 6;

fn holds_for(kind: Kind) {
    let rig = Rig::factory(kind);
    a_good_slot_does_not_wear_out(&rig);
    a_trial_is_bounded_and_falls_back(&rig);
    committing_lasts_and_may_be_repeated(&rig);
    giving_up_goes_back(&rig);
    what_makes_no_sense_is_an_error(&rig);
}

fn a_good_slot_does_not_wear_out(rig: &Rig) {
    let status = rig.open().status().unwrap();
    assert_eq!((status.booted, status.next), (A, Some(A)), "{rig:?}");
    assert_eq!(rig.starts(2 * STARTS), [A; 2 * STARTS], "{rig:?}");
    rig.open().mark_unbootable(B).unwrap();
    rig.open().mark_unbootable(B).unwrap();
    assert_eq!(rig.starts(STARTS), [A; STARTS], "{rig:?}");
    let refused = rig.open().mark_unbootable(A);
    assert!(
        matches!(refused, Err(BootError::Running { slot: A })),
        "{refused:?}"
    );
    // A new boot is told from the one before, and one boot from itself is not.
    let boot = rig.open().status().unwrap().boot;
    assert_eq!(rig.open().status().unwrap().boot, boot);
    rig.start();
    assert_ne!(rig.open().status().unwrap().boot, boot);
}

fn a_trial_is_bounded_and_falls_back(rig: &Rig) {
    rig.arm(B);
    rig.arm(B);
    assert_eq!(rig.open().status().unwrap().next, Some(B), "{rig:?}");
    assert_eq!(rig.starts(STARTS), [B, B, B, A, A, A], "{rig:?}");
    // What the updater does on the next run: it keeps what runs, and takes the other one out.
    rig.open().mark_unbootable(B).unwrap();
    rig.open().commit(A).unwrap();
    assert_eq!(rig.starts(2 * STARTS), [A; 2 * STARTS], "{rig:?}");
    // Armed again in the midst of a trial: all starts are there again.
    rig.arm(B);
    assert_eq!(rig.start(), B, "{rig:?}");
    assert!(matches!(
        rig.open().commit(A),
        Err(BootError::NotRunning { slot: A })
    ));
    rig.open().give_up(B).unwrap();
    assert_eq!(rig.start(), A, "{rig:?}");
    rig.arm(B);
    assert_eq!(rig.starts(STARTS), [B, B, B, A, A, A], "{rig:?}");
    // Keeping what runs ends a trial of the other slot that is under way.
    rig.arm(B);
    rig.open().commit(A).unwrap();
    assert_eq!(rig.starts(STARTS), [A; STARTS], "{rig:?}");
}

fn committing_lasts_and_may_be_repeated(rig: &Rig) {
    rig.arm(B);
    assert_eq!(rig.start(), B, "{rig:?}");
    rig.open().commit(B).unwrap();
    let once = rig.bytes();
    rig.open().commit(B).unwrap();
    assert_eq!(rig.bytes(), once, "{rig:?}: a second commit writes nothing");
    assert_eq!(rig.starts(2 * STARTS), [B; 2 * STARTS], "{rig:?}");
    assert_eq!(rig.open().status().unwrap().next, Some(B), "{rig:?}");
}

fn giving_up_goes_back(rig: &Rig) {
    rig.open().mark_unbootable(A).unwrap();
    rig.arm(A);
    assert_eq!(rig.start(), A, "{rig:?}");
    rig.open().give_up(A).unwrap();
    rig.open().give_up(A).unwrap();
    assert_eq!(rig.open().status().unwrap().next, Some(B), "{rig:?}");
    assert_eq!(rig.starts(STARTS), [B; STARTS], "{rig:?}");
    rig.open().commit(B).unwrap();
}

fn what_makes_no_sense_is_an_error(rig: &Rig) {
    let good = rig.save();
    for damage in rig.damages() {
        damage.apply(rig);
        let mut boot = rig.open();
        let changes = [
            boot.status().map(drop),
            boot.mark_unbootable(A),
            boot.arm(&rig::staged(A)),
            boot.commit(B),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let error = change.expect_err(damage.what);
            let BootError::Unreadable { repair, why, .. } = &error else {
                panic!("{rig:?} {} {index}: {error:?}", damage.what);
            };
            assert!(!repair.is_empty(), "{rig:?} {}", damage.what);
            assert!(why.contains(damage.found), "{rig:?} {}: {why}", damage.what);
        }
        rig.restore(&good);
        assert_eq!(rig.open().status().unwrap().next, Some(B), "{rig:?}");
    }
}

/// The next starts, with the state as it is afterwards.
fn outlook(rig: &Rig) -> Vec<SlotName> {
    let state = rig.save();
    let starts = rig.starts(STARTS);
    rig.restore(&state);
    starts
}

#[test]
fn simulated() {
    holds_for(Kind::Simulated);
}

#[test]
fn systemd_boot() {
    holds_for(Kind::SystemdBoot);
}

#[test]
fn script() {
    holds_for(Kind::Script);
}

#[test]
#[ignore = "needs libubootenv-tool: run by tests/peers"]
fn u_boot_with_an_order() {
    holds_for(Kind::UBoot);
}

#[test]
#[ignore = "needs libubootenv-tool: run by tests/peers"]
fn u_boot_with_its_boot_counter() {
    holds_for(Kind::UBootBootcount);
}

#[test]
#[ignore = "needs grub-editenv: run by tests/peers"]
fn grub() {
    holds_for(Kind::Grub);
}
