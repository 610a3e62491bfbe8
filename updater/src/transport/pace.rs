//! Whether an answer comes fast enough: silence, least rate, and time in all. Pure; time is an argument.

use std::time::Duration;

use super::NetworkLimits;

/// What became too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slow {
    /// Nothing came for as long as silence may be.
    Silence,
    /// Less came within a window than the least; so much did.
    Rate(u64),
    /// The file takes longer than it may in all.
    Total,
}

/// The time that was spent waiting for one answer, and what came meanwhile.
#[derive(Debug)]
pub(super) struct Pace {
    silence: Duration,
    window: Duration,
    least: u64,
    total: Duration,
    silent_for: Duration,
    window_for: Duration,
    in_window: u64,
    waited: Duration,
}

impl Pace {
    /// For an answer of at most `length` bytes.
    pub(super) fn new(limits: &NetworkLimits, length: u64) -> Self {
        Self {
            silence: limits.silence,
            window: limits.window,
            least: limits.least(),
            total: limits.total_for(length),
            silent_for: Duration::ZERO,
            window_for: Duration::ZERO,
            in_window: 0,
            waited: Duration::ZERO,
        }
    }

    /// How long to wait for the next piece before there is something to judge.
    pub(super) fn patience(&self) -> Duration {
        let silence = self.silence.saturating_sub(self.silent_for);
        let window = self.window.saturating_sub(self.window_for);
        let total = self.total.saturating_sub(self.waited);
        silence.min(window).min(total)
    }

    /// Takes account of a wait, at whose end so many bytes came.
    ///
    /// # Errors
    /// What became too much.
    pub(super) fn waited(&mut self, time: Duration, bytes: u64) -> Result<(), Slow> {
        self.waited = self.waited.saturating_add(time);
        self.window_for = self.window_for.saturating_add(time);
        self.in_window = self.in_window.saturating_add(bytes);
        if bytes > 0 {
            self.silent_for = Duration::ZERO;
        } else {
            self.silent_for = self.silent_for.saturating_add(time);
        }
        if self.silent_for >= self.silence {
            return Err(Slow::Silence);
        }
        if self.window_for >= self.window {
            let came = self.in_window;
            self.window_for = Duration::ZERO;
            self.in_window = 0;
            if came < self.least {
                return Err(Slow::Rate(came));
            }
        }
        if self.waited >= self.total {
            return Err(Slow::Total);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The outcome of pieces that come at intervals, and after how many seconds.
    fn outcome(every: u64, bytes: u64, length: u64) -> (Option<Slow>, u64) {
        let mut pace = Pace::new(&NetworkLimits::DEFAULT, length);
        let mut seconds = 0;
        for _ in 0..length.div_ceil(bytes.max(1)) {
            let mut left = Duration::from_secs(every);
            loop {
                let wait = pace.patience().min(left);
                left = left.saturating_sub(wait);
                seconds += wait.as_secs();
                let came = if left.is_zero() { bytes } else { 0 };
                if let Err(slow) = pace.waited(wait, came) {
                    return (Some(slow), seconds);
                }
                if left.is_zero() {
                    break;
                }
            }
        }
        (None, seconds)
    }

    #[test]
    fn a_table_of_paces() {
        let cases = [
            ("all at once", (0, 1000, 1000), (None, 0)),
            ("exactly the least rate", (1, 512, 102_400), (None, 200)),
            ("a byte a second", (1, 1, 1000), (Some(Slow::Rate(60)), 60)),
            (
                "a byte now and then",
                (29, 1, 1000),
                (Some(Slow::Rate(2)), 60),
            ),
            ("silence", (31, 1000, 1000), (Some(Slow::Silence), 30)),
            (
                "a burst, then a trickle",
                (25, 12_800, 1 << 20),
                (Some(Slow::Rate(25_600)), 60),
            ),
        ];
        for (name, (every, bytes, length), expected) in cases {
            assert_eq!(outcome(every, bytes, length), expected, "{name}");
        }
    }

    #[test]
    fn the_time_in_all_is_bounded_whatever_the_rate() {
        let limits = NetworkLimits {
            total: SECOND * 10,
            ..NetworkLimits::DEFAULT
        };
        let mut pace = Pace::new(&limits, 0);
        let ended =
            (0..100).find_map(|second| pace.waited(SECOND, 1000).err().map(|e| (second, e)));
        assert_eq!(ended, Some((9, Slow::Total)));
    }
}
