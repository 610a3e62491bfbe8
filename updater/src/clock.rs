//! What time it is, for a device whose clock may be wrong.
//!
//! The reference time of a run is the later of the system clock and a *floor*, the highest time that is certain to have
//! passed: the build time of the firmware, and the issue times (`x-issued`) of metadata that people signed by threshold.
//! Online keys can push the floor only a step per run, so that whoever steals them cannot expire everything at once. The
//! system clock never raises the floor: a clock that was years ahead and is corrected again does no lasting harm.

use metadata_schema::time::{ReferenceTime, Timestamp};

/// Most that one run raises the floor on the word of online keys alone, in seconds: a week.
pub const ONLINE_STEP: i64 = 7 * 24 * 3600;

/// A time that has certainly passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFloor(Timestamp);

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
    /// The floor is the later of what was stored and the build time of the running firmware.
    pub fn new(stored: Option<Timestamp>, build_time: Timestamp) -> Self {
        Self(stored.map_or(build_time, |stored| stored.max(build_time)))
    }

    /// The time itself.
    pub fn time(self) -> Timestamp {
        self.0
    }

    /// The reference time of a run that begins when the system clock says `system`.
    pub fn reference(self, system: Timestamp) -> (ReferenceTime, Source) {
        if system >= self.0 {
            (system, Source::SystemClock)
        } else {
            (self.0, Source::Floor)
        }
    }

    /// Raises the floor to a time of issue that a threshold of people signed.
    #[must_use]
    pub fn raised_by_people(self, issued: Option<Timestamp>) -> Self {
        Self(issued.map_or(self.0, |issued| issued.max(self.0)))
    }

    /// Raises the floor towards a time of issue that only an online key signed, by [`ONLINE_STEP`] at most.
    #[must_use]
    pub fn raised_by_online_key(self, issued: Option<Timestamp>) -> Self {
        let cap = self.0.plus_seconds(ONLINE_STEP);
        self.raised_by_people(issued.map(|issued| issued.min(cap)))
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
        let floor = TimeFloor::new(None, time("2026-01-01T00:00:00Z"));
        assert_eq!(
            floor.reference(Timestamp::EPOCH),
            (time("2026-01-01T00:00:00Z"), Source::Floor)
        );
        // Years ahead: the reference follows, the floor does not.
        assert_eq!(
            floor.reference(time("2040-01-01T00:00:00Z")).1,
            Source::SystemClock
        );
        assert_eq!(floor.raised_by_people(None), floor);
        let raised = floor.raised_by_people(Some(time("2026-05-01T00:00:00Z")));
        assert_eq!(raised.time(), time("2026-05-01T00:00:00Z"));
        assert_eq!(
            raised.raised_by_people(Some(time("2025-01-01T00:00:00Z"))),
            raised
        );
    }

    #[test]
    fn online_keys_push_by_a_step_only() {
        let floor = TimeFloor::new(Some(time("2026-01-01T00:00:00Z")), Timestamp::EPOCH);
        let pushed = floor.raised_by_online_key(Some(time("2090-01-01T00:00:00Z")));
        assert_eq!(pushed.time(), time("2026-01-08T00:00:00Z"));
        let normal = floor.raised_by_online_key(Some(time("2026-01-02T00:00:00Z")));
        assert_eq!(normal.time(), time("2026-01-02T00:00:00Z"));
    }
}
