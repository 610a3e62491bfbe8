//! What time it is, for a device whose clock may be wrong.
//!
//! The reference time of a run is the later of the system clock and a *floor*, the highest time that has certainly passed:
//! the build time of the firmware, and the issue times (`x-issued`) in metadata that people signed by threshold, as far as
//! the timestamp that leads to it was issued no earlier: two clocks that do not know of each other must agree, so one
//! person's wrong clock does no harm. Online keys alone can push the floor by [`ONLINE_STEP`] beyond what people signed, in
//! total, so that whoever steals them cannot expire everything. The system clock never raises the floor: a clock that was
//! years ahead and is corrected again does no lasting harm.

use metadata_schema::time::{ReferenceTime, Timestamp};
use serde::{Deserialize, Serialize};

/// How far beyond the word of people the floor follows online keys alone, in seconds: a week.
pub const ONLINE_STEP: i64 = 7 * 24 * 3600;

/// A time that has certainly passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFloor {
    /// On the word of a threshold of people, or of the firmware's build time.
    people: Timestamp,
    /// On the word of an online key: not more than [`ONLINE_STEP`] later.
    online: Timestamp,
}

/// Where the reference time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The system clock, which is not before the floor.
    SystemClock,
    /// The floor: the system clock says something earlier, and is not trusted.
    Floor,
}

impl TimeFloor {
    /// The floor of a device that knows nothing but the build time of its firmware.
    pub fn factory(build_time: Timestamp) -> Self {
        Self {
            people: build_time,
            online: build_time,
        }
    }

    /// The same floor under newer firmware.
    #[must_use]
    pub fn at_least(self, build_time: Timestamp) -> Self {
        Self {
            people: self.people.max(build_time),
            online: self.online.max(build_time),
        }
    }

    /// The time itself.
    pub fn time(self) -> Timestamp {
        self.people.max(self.online)
    }

    /// The reference time of a run that begins when the system clock says `system`.
    pub fn reference(self, system: Timestamp) -> (ReferenceTime, Source) {
        if system >= self.time() {
            (system, Source::SystemClock)
        } else {
            (self.time(), Source::Floor)
        }
    }

    /// Raises the floor to what was issued: `people` by thresholds of people, `online` by the timestamp that leads there.
    #[must_use]
    pub fn raised(self, people: &[Option<Timestamp>], online: Option<Timestamp>) -> Self {
        let Some(online) = online else { return self };
        let newest = people.iter().flatten().max().copied();
        let people = newest.map_or(self.people, |issued| self.people.max(issued.min(online)));
        let cap = people.plus_seconds(ONLINE_STEP);
        Self {
            people,
            online: self.online.max(online.min(cap)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn wrong_clocks_do_no_lasting_harm() {
        let floor = TimeFloor::factory(time("2026-01-01T00:00:00Z"));
        let (reference, source) = floor.reference(Timestamp::EPOCH);
        assert_eq!((reference, source), (floor.time(), Source::Floor));
        // Years ahead: the reference follows, the floor does not.
        let ahead = floor.reference(time("2040-01-01T00:00:00Z"));
        assert_eq!(ahead.1, Source::SystemClock);
        let now = Some(time("2026-05-02T00:00:00Z"));
        let raised = floor.raised(&[Some(time("2026-05-01T00:00:00Z")), None], now);
        assert_eq!(raised.time(), time("2026-05-02T00:00:00Z"));
        assert_eq!(
            raised.raised(&[Some(time("2025-01-01T00:00:00Z"))], now),
            raised
        );
        assert_eq!(
            raised.at_least(time("2026-06-01T00:00:00Z")).time(),
            time("2026-06-01T00:00:00Z")
        );
    }

    #[test]
    fn a_person_whose_clock_is_years_ahead_does_no_harm() {
        let floor = TimeFloor::factory(time("2026-01-01T00:00:00Z"));
        let honest = time("2026-05-01T00:00:00Z");
        let raised = floor.raised(&[Some(time("2035-01-01T00:00:00Z"))], Some(honest));
        assert_eq!(raised.time(), honest);
    }

    #[test]
    fn online_keys_push_by_a_step_in_total() {
        let mut floor = TimeFloor::factory(time("2026-01-01T00:00:00Z"));
        for _run in 0..100 {
            floor = floor.raised(
                &[Some(time("2025-12-01T00:00:00Z"))],
                Some(time("2090-01-01T00:00:00Z")),
            );
        }
        assert_eq!(floor.time(), time("2026-01-08T00:00:00Z"));
    }

    proptest::proptest! {
        #[test]
        fn never_falls(steps in proptest::collection::vec((0_i64..10_000, 0_i64..10_000), 0..20)) {
            let mut floor = TimeFloor::factory(Timestamp::EPOCH);
            for (people, online) in steps {
                let at = Timestamp::from_unix_seconds;
                let raised = floor.raised(&[Some(at(people))], Some(at(online)));
                proptest::prop_assert!(raised.time() >= floor.time());
                floor = raised;
            }
        }
    }
}
