//! The clock of one run: what the system clock said at its start, and the floor, which is stored as soon as its evidence is
//! verified.

use metadata_schema::time::{ReferenceTime, Timestamp};
use metadata_schema::trusted::Retired;

use crate::clock::{Issued, Source, TimeFloor};
use crate::error::StoreError;
use crate::state_store::StateStore;

/// What time it is in a run.
///
/// The reference time is fixed when the root walk has ended: a root that takes keys out of force takes their word out of the
/// floor, too, and the root itself is judged by what is left. From there on nothing moves it.
#[derive(Debug)]
pub struct RunClock<'a> {
    system: Timestamp,
    floor: TimeFloor,
    settled: Option<(ReferenceTime, Source)>,
    keeper: Option<&'a StateStore>,
}

/// The floor and the reference time as the end of a walk would have them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    floor: TimeFloor,
    pub(super) reference: (ReferenceTime, Source),
}

impl<'a> RunClock<'a> {
    /// The clock of a run that began when the system clock said `system`. What the floor rises to is kept in `keeper`; without
    /// one it is only known here, see [`RunClock::floor`].
    pub fn new(system: Timestamp, floor: TimeFloor, keeper: Option<&'a StateStore>) -> Self {
        Self {
            system,
            floor,
            settled: None,
            keeper,
        }
    }

    /// The reference time, and where it comes from: until the walk has ended, what the stored floor makes of it.
    pub fn reference(&self) -> (ReferenceTime, Source) {
        self.settled
            .unwrap_or_else(|| self.floor.reference(self.system))
    }

    /// Whether the reference time is fixed.
    pub fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// What the system clock said when the run began.
    pub fn system(&self) -> Timestamp {
        self.system
    }

    /// The floor as it stands.
    pub fn floor(&self) -> TimeFloor {
        self.floor
    }

    /// What time it is if the walk ends at a root that was issued at `issued`, having retired these keys; CAs have `witnessed`
    /// a time that has passed: see [`TimeFloor::without`].
    pub(super) fn after(
        &self,
        retired: Retired,
        issued: Option<Timestamp>,
        witnessed: Option<Timestamp>,
    ) -> Settled {
        let floor = self.floor.without(retired, issued, witnessed);
        Settled {
            floor,
            reference: floor.reference(self.system),
        }
    }

    /// The walk has ended so.
    pub(super) fn settle(&mut self, settled: Settled) -> Result<(), StoreError> {
        self.settled = Some(settled.reference);
        self.keep(settled.floor)
    }

    /// This was verified.
    pub(super) fn heard(&mut self, issued: Issued) -> Result<(), StoreError> {
        self.keep(self.floor.raised(issued))
    }

    fn keep(&mut self, floor: TimeFloor) -> Result<(), StoreError> {
        if floor != self.floor {
            if let Some(keeper) = self.keeper {
                keeper.save_time_floor(floor)?;
            }
            self.floor = floor;
        }
        Ok(())
    }
}

impl From<ReferenceTime> for RunClock<'_> {
    /// The clock of a run at a time that is given: for tools and tests.
    fn from(now: ReferenceTime) -> Self {
        Self::new(now, TimeFloor::factory(Timestamp::EPOCH.min(now)), None)
    }
}
