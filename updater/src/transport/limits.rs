//! Named bounds on what fetching a file may take. All can be configured (`[network]` in `updater.toml`), none can be left out.

use std::time::Duration;

/// What a server may ask of a device's patience.
///
/// ```
/// use std::time::Duration;
/// use updater::transport::NetworkLimits;
/// // A timestamp of at most 16 KiB, at 512 bytes a second: half a minute besides the five that every file gets.
/// assert_eq!(NetworkLimits::DEFAULT.total_for(16 * 1024), Duration::from_secs(300 + 32));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Longest that a connection may take: name, TCP, proxy and TLS.
    pub connect: Duration,
    /// Longest silence, both before an answer begins and in the midst of one.
    pub silence: Duration,
    /// Least that has to come, in bytes per second, as a mean over each `window`. Below it an answer is given up as a slow
    /// retrieval attack (TUF specification, section 1.5.2).
    pub minimum_rate: u64,
    /// Over which time the rate is taken. Only time that is spent waiting counts, not what a slow storage takes.
    pub window: Duration,
    /// Longest that any file may take, besides its length at the minimum rate: see [`NetworkLimits::total_for`].
    pub total: Duration,
    /// Most attempts at one file.
    pub attempts: u32,
    /// Pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
    /// Longest pause that a server may ask for (`Retry-After`). One that asks for more is left alone until the next run.
    pub retry_after: Duration,
    /// Most redirects that are followed for one file.
    pub redirects: usize,
}

impl NetworkLimits {
    /// What holds unless something else is configured.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(30),
        silence: Duration::from_secs(30),
        minimum_rate: 512,
        window: Duration::from_secs(60),
        total: Duration::from_secs(300),
        attempts: 4,
        pause: Duration::from_millis(500),
        retry_after: Duration::from_secs(60),
        redirects: 3,
    };

    /// Longest that a file of at most `length` bytes may take, with all attempts and pauses.
    pub fn total_for(&self, length: u64) -> Duration {
        let at_the_least_rate = length / self.minimum_rate.max(1);
        self.total
            .saturating_add(Duration::from_secs(at_the_least_rate))
    }

    /// Bytes that have to come within each window.
    pub fn least(&self) -> u64 {
        let milliseconds = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        self.minimum_rate.saturating_mul(milliseconds) / 1000
    }

    /// Pause after the attempt with this number (from 1), before randomness makes it shorter.
    pub fn pause_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        self.pause.saturating_mul(1 << doublings)
    }
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_length() {
        let limits = NetworkLimits::DEFAULT;
        let hours = limits.total_for(32 * 1024 * 1024).as_secs() / 3600;
        assert_eq!(hours, 18);
        assert_eq!(limits.total_for(0), limits.total);
        let none = NetworkLimits {
            minimum_rate: 0,
            ..NetworkLimits::DEFAULT
        };
        assert!(none.total_for(u64::MAX) > limits.total);
    }

    #[test]
    fn pauses_double_and_do_not_overflow() {
        let limits = NetworkLimits::DEFAULT;
        let pauses = [1, 2, 3].map(|attempt| limits.pause_after(attempt).as_millis());
        assert_eq!(pauses, [500, 1000, 2000]);
        assert!(limits.pause_after(u32::MAX) < Duration::from_secs(24 * 3600));
    }
}
