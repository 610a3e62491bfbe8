//! The power is cut at every step of a device's life, on a disk that keeps no more than it promised: the real updater, a real server,
//! a simulated disk. Whatever is found then: the old or the new firmware boots, whole; trusted versions and the floors of the clock and
//! of security never fall; the next runs finish the job.
//!
//! `cargo test` looks at some hundred disks; `tests/crash` at every second piece of an image and
//! everything else, and at a thousand more by lot, half of them cut off again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::result_large_err,
    reason = "tests"
)]

mod disk;
mod fate;
mod flash;
mod journal;
mod phases;
mod renewal;
mod rig;
#[path = "../device/world.rs"]
#[allow(dead_code, reason = "the tests of a device use more of it")]
mod world;

use fate::Lot;
use flash::{Fault, Flash};
use phases::{Cut, PHASES, Phase, cut_by_lot};
use rig::{Act, Rig, Trusted};

/// Cuts by lot, besides every one that is enumerated.
const BY_LOT: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn the_power_may_be_cut_at_any_step_of_a_devices_life() {
    let mut rig = Rig::new().await;
    let mut looked = 0;
    for phase in PHASES {
        let cut = Cut::whole(&mut rig, phase).await;
        for (steps, found) in cut.disks(3, 1, 8) {
            rig.lay_out(&found);
            say(&cut, steps, "");
            rig.check(&cut.before, phase.boots, phase.ends).await;
            looked += 1;
        }
        cut.leave(&rig);
    }
    assert!(looked > 250, "{looked} disks");
}

/// All of few unsynced things, many of more; and then by lot, with a second cut in every other way back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute or two: run tests/crash"]
async fn the_power_is_cut_a_thousand_times_by_lot_and_everywhere() {
    let mut rig = Rig::new().await;
    let mut table = Table::default();
    let mut lot = Lot::new(20);
    for (number, phase) in PHASES.iter().enumerate() {
        let cut = Cut::whole(&mut rig, phase).await;
        let disks = cut.disks(8, 4, 2);
        let enumerated = disks.len();
        for (steps, found) in disks {
            rig.lay_out(&found);
            say(&cut, steps, "");
            rig.check(&cut.before, phase.boots, phase.ends).await;
        }
        let mut twice = 0;
        let share = BY_LOT * (number + 1) / PHASES.len() - BY_LOT * number / PHASES.len();
        for round in 0..share {
            let (steps, found) = cut.by_lot(&mut lot);
            rig.lay_out(&found);
            say(&cut, steps, "by lot");
            if round % 2 == 1 {
                let trusted = rig.looked(&cut.before, phase.boots);
                twice += usize::from(again(&rig, &trusted, phase, &mut lot).await);
            }
            rig.check(&cut.before, phase.boots, phase.ends).await;
        }
        cut.leave(&rig);
        table.add(phase.name, [cut.steps.len(), enumerated, share, twice]);
    }
    table.print();
    assert!(table.total()[2] == BY_LOT && table.total()[1] > 1000);
}

/// The flash fails, or lies, at one in `every` steps and readings of each phase. Whatever it does, the device boots whole firmware, trusts
/// nothing older, says what is wrong, and finishes on a flash that is well again.
async fn a_flash_that_lies(every: usize) -> usize {
    let mut rig = Rig::new().await;
    let mut broken = 0;
    for phase in PHASES {
        let cut = Cut::whole(&mut rig, phase).await;
        cut.begin(&rig);
        let (storage, flash) = Flash::storage(None);
        let _as_before = rig.act_on(storage, phase.act).await;
        let [steps, reads] = flash.counted();
        for fault in Fault::ALL {
            let end = if fault.is_of_steps() { steps } else { reads };
            for at in (1..=end).step_by(every) {
                cut.begin(&rig);
                let (storage, flash) = Flash::storage(Some((fault, at)));
                let done = rig.act_on(storage, phase.act).await;
                println!("{}: cut after {at}: {flash}: {done:?}", phase.name);
                let failed = flash.broken();
                if failed.is_empty() {
                    continue;
                }
                broken += 1;
                rig.says_why(&done, fault, &failed);
                rig.check(&cut.before, phase.boots, phase.ends).await;
            }
        }
        cut.leave(&rig);
    }
    broken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_may_fail_or_lie_at_any_moment() {
    let broken = a_flash_that_lies(29).await;
    assert!(broken > 80, "{broken} faults");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: run tests/crash"]
async fn a_flash_fails_and_lies_everywhere() {
    let broken = a_flash_that_lies(7).await;
    println!(
        "{broken} faults of the flash: every seventh step and reading of every phase, by six faults; nothing was lost"
    );
}

/// Cuts the way back off, too, if there is one.
async fn again(rig: &Rig, trusted: &Trusted, phase: &Phase, lot: &mut Lot) -> bool {
    rig.world.restart();
    let start = rig.disk();
    let (_, steps) = rig.act(Act::Once).await;
    let (_, found) = cut_by_lot(&start, &steps, lot);
    rig.lay_out(&found);
    rig.looked(trusted, phase.boots);
    !steps.is_empty()
}

/// What is shown of a test that fails: where the power was cut.
fn say(cut: &Cut<'_>, steps: usize, how: &str) {
    let last = steps.checked_sub(1).map(|last| cut.steps[last].to_string());
    println!(
        "{}: cut after {steps} steps {how}, {}",
        cut.phase.name,
        last.unwrap_or_default()
    );
}

/// What was cut, for people.
#[derive(Default)]
struct Table(Vec<(&'static str, [usize; 4])>);

impl Table {
    fn add(&mut self, name: &'static str, counts: [usize; 4]) {
        self.0.push((name, counts));
    }

    fn total(&self) -> [usize; 4] {
        let mut total = [0; 4];
        for (_, counts) in &self.0 {
            for (sum, count) in total.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        total
    }

    fn print(&self) {
        let heads = ["steps", "disks", "by lot", "cut again", "lost"];
        let heads = heads.map(|head| format!("{head:>10}")).concat();
        println!("\n{:<32}{heads}", "power cuts");
        let total = self.total();
        for (name, counts) in self.0.iter().chain(&[("in all", total)]) {
            let counts = counts.map(|count| format!("{count:>10}")).concat();
            // Whatever is lost ends the test.
            println!("{name:<32}{counts}{:>10}", 0);
        }
    }
}
