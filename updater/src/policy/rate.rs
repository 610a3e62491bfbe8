//! A cap on the bandwidth of downloads. Pure; time is an argument.

use std::num::NonZeroU64;
use std::time::Duration;

/// How far a download may be ahead of its rate, in time: bursts stay short.
const BURST: Duration = Duration::from_millis(250);

/// What a download has taken, against what it may.
#[derive(Clone, Debug)]
pub struct Cap {
    bytes_per_second: u64,
    /// When what was taken so far has been earned, since the download began.
    earned: Duration,
}

impl Cap {
    /// A cap in bytes per second.
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.get(),
            earned: Duration::ZERO,
        }
    }

    /// Takes account of bytes that came when the download was `now` old; how long to wait before the next. Time that was not
    /// used is not saved up.
    pub fn took(&mut self, bytes: u64, now: Duration) -> Duration {
        let nanoseconds = bytes.saturating_mul(1_000_000_000) / self.bytes_per_second;
        self.earned = self
            .earned
            .max(now)
            .saturating_add(Duration::from_nanos(nanoseconds));
        let ahead = self.earned.saturating_sub(now);
        if ahead <= BURST {
            Duration::ZERO
        } else {
            ahead
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_takes_as_long_as_it_has_to() {
        let mut cap = Cap::new(NonZeroU64::new(100_000).unwrap());
        let mut now = Duration::ZERO;
        for _ in 0..1000 {
            now += Duration::from_millis(1) + cap.took(10_000, now);
        }
        let seconds = now.as_secs_f64();
        assert!((99.0..103.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up_and_nothing_overflows() {
        let mut cap = Cap::new(NonZeroU64::new(1000).unwrap());
        assert_eq!(cap.took(100, Duration::from_secs(3600)), Duration::ZERO);
        assert_eq!(
            cap.took(2000, Duration::from_secs(3600)),
            Duration::from_millis(2100)
        );
        assert!(cap.took(u64::MAX, Duration::MAX) < Duration::MAX);
    }
}
