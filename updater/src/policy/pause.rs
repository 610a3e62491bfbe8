//! How long a device waits between polls. Pure; randomness is an argument.

use std::time::Duration;

/// The longest pause after the first run that failed by the network.
const FIRST_RETRY: Duration = Duration::from_secs(30);

/// How long to wait after a run: the interval, and up to a tenth longer, for devices that were switched on together drift apart.
/// After the `failures`-th run in a row that failed and may succeed by waiting, half a minute, doubled each time up to the
/// interval; of which each device waits a part that `random` chooses, at least half.
pub fn pause(interval: Duration, failures: u32, random: u8) -> Duration {
    let part = |of: Duration| of.saturating_mul(u32::from(random)) / u32::from(u8::MAX);
    let doublings = match failures.checked_sub(1) {
        None => return interval.saturating_add(part(interval / 10)),
        Some(doublings) => doublings,
    };
    let longest = FIRST_RETRY
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(interval);
    let half = longest / 2;
    half.saturating_add(part(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_run_that_failed_by_the_network_is_followed_sooner_by_the_next() {
        let seconds = |failures, random| pause(HOUR, failures, random).as_secs();
        assert_eq!([seconds(0, 0), seconds(0, 255)], [3600, 3960]);
        assert_eq!([seconds(1, 0), seconds(1, 255)], [15, 30]);
        assert_eq!([seconds(2, 0), seconds(2, 255)], [30, 60]);
        assert_eq!([seconds(7, 0), seconds(7, 255)], [960, 1920]);
        for failures in [8, 100, u32::MAX] {
            assert_eq!([seconds(failures, 0), seconds(failures, 255)], [1800, 3600]);
        }
        let short = Duration::from_secs(10);
        assert_eq!(pause(short, 1, 255), short);
        assert_eq!(pause(Duration::MAX, 0, 255), Duration::MAX);
    }
}
