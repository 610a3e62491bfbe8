//! When a certificate is renewed, and when a failed attempt is repeated. Pure.

use metadata_schema::digest::Sha256Digest;
use metadata_schema::time::Timestamp;

/// Pause after the first failed attempt, in seconds; each further one is twice as long.
const FIRST_PAUSE: i64 = 60;
/// Longest pause: half a day.
const LONGEST_PAUSE: i64 = 12 * 3600;

/// From when on a certificate is renewed: two thirds of its life, and up to a twelfth of it later, by the device's seed, so that
/// devices that were certified together do not come back together.
///
/// ```
/// use updater::identity::schedule::renewal;
/// let [from, until] = ["2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"].map(|t| t.parse().unwrap());
/// let due = renewal(from, until, "urn:example:device:SN-1");
/// assert!(due >= "2026-03-02T00:00:00Z".parse().unwrap() && due < "2026-03-09T12:00:00Z".parse().unwrap());
/// ```
pub fn renewal(not_before: Timestamp, not_after: Timestamp, seed: &str) -> Timestamp {
    let life = not_after
        .unix_seconds()
        .saturating_sub(not_before.unix_seconds())
        .max(0);
    let two_thirds = (life / 3).saturating_mul(2);
    let digest = Sha256Digest::of(format!("{not_after} {seed}").as_bytes());
    let part = digest
        .as_bytes()
        .iter()
        .take(2)
        .fold(0_i64, |part, byte| part * 256 + i64::from(*byte));
    // 0 to 65,535 of 65,536 parts; a life is less than 2^39 seconds.
    let jitter = (life / 12).saturating_mul(part) / 65_536;
    not_before.plus_seconds(two_thirds.saturating_add(jitter))
}

/// Whether another attempt may be made now, after `failures` in a row, the last one at `last`. A time that lies in the future was
/// noted by a clock that was wrong, and does not count.
pub fn may_try(failures: u32, last: Timestamp, asked_to_wait: i64, now: Timestamp) -> bool {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = if failures == 0 {
        0
    } else {
        FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE)
    };
    let pause = pause.max(asked_to_wait.clamp(0, LONGEST_PAUSE));
    now < last || now >= last.plus_seconds(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn devices_that_were_certified_together_renew_apart() {
        let (from, until) = (time("2026-01-01T00:00:00Z"), time("2026-04-01T00:00:00Z"));
        let mut due: Vec<i64> = (0..1000)
            .map(|n| renewal(from, until, &format!("urn:example:device:SN-{n}")).unix_seconds())
            .collect();
        due.sort_unstable();
        let life = until.unix_seconds() - from.unix_seconds();
        let (first, last) = (due[0] - from.unix_seconds(), due[999] - from.unix_seconds());
        assert!(
            first >= life * 2 / 3 && last < life * 3 / 4,
            "{first} {last}"
        );
        let busiest = due
            .windows(50)
            .map(|some| some[49] - some[0])
            .min()
            .unwrap();
        assert!(busiest > life / 12 / 50, "{busiest}");
        // The next certificate's turn is another one.
        let next = renewal(
            from.plus_seconds(60),
            until.plus_seconds(60),
            "urn:example:device:SN-0",
        );
        let this = renewal(from, until, "urn:example:device:SN-0");
        assert_ne!(next.unix_seconds() - this.unix_seconds(), 60);
    }

    #[test]
    fn a_certificate_without_life_or_end_has_its_time_too() {
        let from = time("2026-01-01T00:00:00Z");
        assert_eq!(renewal(from, from, "x"), from);
        assert_eq!(renewal(from, Timestamp::EPOCH, "x"), from);
        assert!(renewal(from, Timestamp::MAX, "x") < Timestamp::MAX);
    }

    #[test]
    fn pauses_double_up_to_half_a_day() {
        let now = time("2026-01-01T00:00:00Z");
        let waits = |failures, asked| {
            (0..100_000)
                .step_by(10)
                .find(|s| may_try(failures, now, asked, now.plus_seconds(*s)))
                .unwrap()
        };
        assert_eq!(
            [0, 1, 2, 3, 11, 40].map(|n| waits(n, 0)),
            [0, 60, 120, 240, 43_200, 43_200]
        );
        assert_eq!(waits(1, 300), 300);
        assert_eq!(waits(1, i64::MAX), 43_200);
        assert!(
            may_try(9, now, 0, now.plus_seconds(-1)),
            "the clock was wrong"
        );
    }
}
