//! The life of a device in phases, each of which the power may be cut in.

use std::collections::BTreeSet;
use std::path::Path;

use updater::error::Error;

use crate::disk::{CrashingDisk, Fate, Found, Made, outline};
use crate::fate::{Every, Lot, Subset, Torn};
use crate::rig::{Act, Rig, Trusted};

/// A part of a device's life.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// What is published before: a version, and what it is made of.
    release: Option<(&'static str, u64)>,
    /// Whether the device restarts before.
    restart: bool,
    pub(crate) act: Act,
    /// What may boot at any instant of it.
    pub(crate) boots: &'static [&'static str],
    /// What may run when everything is done.
    pub(crate) ends: &'static [&'static str],
}

const fn phase(name: &'static str, act: Act, ends: &'static [&'static str]) -> Phase {
    Phase {
        name,
        release: None,
        restart: false,
        act,
        boots: ends,
        ends,
    }
}

const OLD: &[&str] = &["0.9.0", "1.0.0"];
const NEW: &[&str] = &["1.0.0", "1.1.0"];
const BAD: &[&str] = &["1.1.0", "1.2.0"];
const BROUGHT: &[&str] = &["1.1.0", "1.3.0"];

/// All of them, in their order.
pub(crate) const PHASES: &[Phase] = &[
    Phase {
        release: Some(("1.0.0", 1)),
        boots: OLD,
        ..phase("beginning and full install", Act::Once, &["1.0.0"])
    },
    Phase {
        restart: true,
        boots: OLD,
        ..phase("trial and commit", Act::Once, &["1.0.0"])
    },
    Phase {
        release: Some(("1.1.0", 3)),
        boots: NEW,
        ..phase(
            "delta, stopped on its way",
            Act::StoppedAt(1_100_000),
            &["1.1.0"],
        )
    },
    Phase {
        boots: NEW,
        ..phase("delta, gone on with, armed", Act::Once, &["1.1.0"])
    },
    Phase {
        restart: true,
        boots: NEW,
        ..phase("trial and commit of the delta", Act::Once, &["1.1.0"])
    },
    Phase {
        boots: NEW,
        ..phase("back at a person's word, armed", Act::RollBack, NEW)
    },
    Phase {
        boots: NEW,
        ..phase("that is given up", Act::GiveUp, NEW)
    },
    Phase {
        release: Some(("1.2.0", 5)),
        boots: BAD,
        ..phase("install of what is not well", Act::Once, &["1.1.0"])
    },
    Phase {
        restart: true,
        boots: BAD,
        ..phase("failed trial", Act::Once, &["1.1.0"])
    },
    Phase {
        restart: true,
        ..phase("back in the old slot", Act::Once, &["1.1.0"])
    },
    Phase {
        release: Some(("1.3.0", 7)),
        boots: BROUGHT,
        ..phase("a bundle, installed", Act::Bundle, &["1.3.0"])
    },
    Phase {
        restart: true,
        boots: BROUGHT,
        ..phase("its trial and commit", Act::Bundle, &["1.3.0"])
    },
];

/// What is cut: the disk before, the steps, and what held before.
pub(crate) struct Cut<'a> {
    pub(crate) phase: &'a Phase,
    pub(crate) start: CrashingDisk,
    pub(crate) steps: Vec<Made>,
    pub(crate) before: Trusted,
    /// The disk when it is done.
    end: Found,
}

impl<'a> Cut<'a> {
    /// Does what happens in a phase once, whole, to count its steps.
    pub(crate) async fn whole(rig: &mut Rig, phase: &'a Phase) -> Self {
        if let Some((version, seed)) = phase.release {
            rig.release(version, seed);
        }
        rig.by(phase.act, phase.release.is_some());
        if phase.restart {
            rig.world.restart();
        }
        let before = rig.trusted();
        let start = rig.disk();
        let (done, steps) = rig.act(phase.act).await;
        match (phase.act, done) {
            (Act::StoppedAt(_), Err(Error::Stopped))
            | (_, Ok(_) | Err(Error::TrialFailed { .. })) => {}
            (_, done) => panic!("{}: {done:?}", phase.name),
        }
        // What the steps make is what is there: nothing is written that is not told.
        let mut disk = start.clone();
        for made in &steps {
            disk.step(made);
        }
        let end = rig.disk().crash(&mut Every(true));
        let outlined = |found: &Found| {
            let mut outlined = outline(found);
            // The lock is the kernel's; its file says who held it.
            outlined.remove(Path::new("state/lock"));
            outlined
        };
        let told = disk.crash(&mut Every(true));
        assert!(
            outlined(&end) == outlined(&told),
            "{}: something is written past the disk",
            phase.name
        );
        Self {
            phase,
            start,
            steps,
            before,
            end,
        }
    }

    /// Goes back to where the phase begins.
    pub(crate) fn begin(&self, rig: &Rig) {
        rig.lay_out(&self.start.crash(&mut Every(true)));
    }

    /// Goes on from the whole phase.
    pub(crate) fn leave(&self, rig: &Rig) {
        rig.lay_out(&self.end);
    }

    /// A disk that may be found after a step, both by lot.
    pub(crate) fn by_lot(&self, lot: &mut Lot) -> (usize, Found) {
        cut_by_lot(&self.start, &self.steps, lot)
    }

    /// Every disk that may be found after each step: of few unsynced things every subset, of many `lots` by lot. Each is looked at
    /// once. Of the steps that write an image one in `every` is cut.
    pub(crate) fn disks(&self, most: usize, lots: usize, every: usize) -> Vec<(usize, Found)> {
        let mut disks = Vec::new();
        let mut known = BTreeSet::new();
        let mut disk = self.start.clone();
        let mut lot = Lot::new(7);
        let mut writes = 0_usize;
        for steps in 0..=self.steps.len() {
            if let Some(made) = steps.checked_sub(1).and_then(|last| self.steps.get(last)) {
                disk.step(made);
                writes += usize::from(made.is_of_an_image());
                if made.is_of_an_image() && !writes.is_multiple_of(every) {
                    continue;
                }
            }
            let unsynced = disk.unsynced();
            let mut fates: Vec<Box<dyn Fate>> = Vec::new();
            if unsynced <= most {
                for kept in 0..1_u64 << unsynced {
                    for torn in [Torn::Whole, Torn::Half] {
                        fates.push(Box::new(Subset { kept, torn }));
                    }
                }
            } else {
                fates.extend([true, false].map(|kept| Box::new(Every(kept)) as Box<dyn Fate>));
                for _ in 0..lots {
                    fates.push(Box::new(Lot::new(lot.below(usize::MAX) as u64)));
                }
            }
            for mut fate in fates {
                let found = disk.crash(&mut *fate);
                if known.insert(outline(&found)) {
                    disks.push((steps, found));
                }
            }
        }
        disks
    }
}

/// A disk that may be found after one of these steps, both by lot.
pub(crate) fn cut_by_lot(start: &CrashingDisk, steps: &[Made], lot: &mut Lot) -> (usize, Found) {
    let made = lot.below(steps.len() + 1);
    let mut disk = start.clone();
    for step in &steps[..made] {
        disk.step(step);
    }
    (made, disk.crash(lot))
}
