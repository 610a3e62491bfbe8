//! Maintenance windows: `Mon-Fri 02:00-05:00`, `Sat,Sun 00:00-24:00`, `22:00-04:00` (every day). Pure.
//!
//! Times are those of the clock on the wall, which is so many seconds ahead of UTC. A window that ends at or before the time at
//! which it begins ends on the next day, and belongs to the day on which it begins.

use std::fmt;
use std::str::FromStr;

use metadata_schema::time::Timestamp;
use serde::Deserialize;

const DAY: i64 = 24 * 3600;
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A window of each week.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Window {
    text: String,
    /// Monday first.
    days: [bool; 7],
    /// Seconds of the day.
    from: i64,
    /// Seconds after `from`: a day at most.
    lasts: i64,
}

/// Where the clock on the wall is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Zone {
    /// Where the device is set up to be (`/etc/localtime`).
    Local,
    /// So many seconds ahead of UTC.
    Ahead(i32),
}

/// Whether a window is open; with none, it is always.
pub fn is_open(windows: &[Window], now: Timestamp, offset: i32) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.contains(now, offset))
}

/// When the next window opens; none if there are none.
pub fn opens(windows: &[Window], now: Timestamp, offset: i32) -> Option<Timestamp> {
    let wall = now.unix_seconds().saturating_add(i64::from(offset));
    let today = wall.div_euclid(DAY);
    (0..=7).find_map(|days| {
        let day = today.saturating_add(days);
        let begins = |window: &Window| {
            let at = day.saturating_mul(DAY).saturating_add(window.from);
            (window.is_on(day) && at > wall).then_some(at)
        };
        let first = windows.iter().filter_map(begins).min()?;
        Some(Timestamp::from_unix_seconds(
            first.saturating_sub(i64::from(offset)),
        ))
    })
}

impl Window {
    fn contains(&self, now: Timestamp, offset: i32) -> bool {
        let wall = now.unix_seconds().saturating_add(i64::from(offset));
        let (day, second) = (wall.div_euclid(DAY), wall.rem_euclid(DAY));
        let since = second.saturating_sub(self.from);
        let today = self.is_on(day) && (0..self.lasts).contains(&since);
        let since = since.saturating_add(DAY);
        today || self.is_on(day.saturating_sub(1)) && (0..self.lasts).contains(&since)
    }

    /// Whether it begins on this day, counted from 1970-01-01, a Thursday.
    fn is_on(&self, day: i64) -> bool {
        let weekday = usize::try_from(day.saturating_add(3).rem_euclid(7));
        weekday.is_ok_and(|day| self.days.get(day) == Some(&true))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{:?} is not a window: expected such as \"Mon-Fri 02:00-05:00\", \"Sat,Sun 00:00-24:00\" or \"22:00-04:00\"",
                text.chars().take(60).collect::<String>()
            )
        };
        let (days, times) = text.trim().rsplit_once(' ').unwrap_or(("", text.trim()));
        let (from, to) = times.split_once('-').ok_or_else(wrong)?;
        let from = seconds(from).filter(|from| *from < DAY).ok_or_else(wrong)?;
        let to = seconds(to).filter(|to| *to <= DAY).ok_or_else(wrong)?;
        let lasts = if to > from {
            to - from
        } else {
            to + DAY - from
        };
        Ok(Self {
            text: text.trim().to_owned(),
            days: weekdays(days).ok_or_else(wrong)?,
            from,
            lasts,
        })
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no time zone: expected \"local\", \"UTC\" or such as \"+02:00\"")
        };
        match text.as_str() {
            "local" => return Ok(Self::Local),
            "UTC" | "Z" => return Ok(Self::Ahead(0)),
            _ => {}
        }
        ahead(&text).map(Self::Ahead).ok_or_else(wrong)
    }
}

/// Seconds ahead of UTC, of `+02:00` or `-0330`.
pub fn ahead(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits = rest.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2).filter(|_| digits.len() == 4)?;
    let whole = i32::try_from(seconds(&format!("{hours}:{minutes}"))?).ok()?;
    (whole <= 15 * 3600).then_some(sign * whole)
}

/// Seconds since midnight, of `05:30`.
fn seconds(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, most: i64| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = text.parse().ok().filter(|_| plain)?;
        (number <= most).then_some(number)
    };
    Some(number(hours, 24)? * 3600 + number(minutes, 59)? * 60)
}

/// The days of `Mon-Fri`, `Sat,Sun`, `daily` or nothing, which is every day.
fn weekdays(text: &str) -> Option<[bool; 7]> {
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() || text == "daily" {
        return Some([true; 7]);
    }
    let index = |name: &str| NAMES.iter().position(|known| *known == name.trim());
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (index(first)?, index(last)?);
        loop {
            *days.get_mut(day)? = true;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_table_of_windows() {
        // 2026-01-05 is a Monday.
        let cases = [
            ("Mon-Fri 02:00-05:00", "2026-01-05T02:00:00Z", 0, true),
            ("Mon-Fri 02:00-05:00", "2026-01-05T05:00:00Z", 0, false),
            ("Mon-Fri 02:00-05:00", "2026-01-04T03:00:00Z", 0, false),
            ("Fri-Mon 02:00-05:00", "2026-01-04T03:00:00Z", 0, true),
            ("sat,SUN 00:00-24:00", "2026-01-04T23:59:59Z", 0, true),
            ("22:00-04:00", "2026-01-05T03:59:59Z", 0, true),
            ("22:00-04:00", "2026-01-05T04:00:00Z", 0, false),
            ("Sun 22:00-04:00", "2026-01-05T03:00:00Z", 0, true),
            ("Mon 22:00-04:00", "2026-01-05T03:00:00Z", 0, false),
            ("daily 00:00-00:00", "2026-01-05T12:00:00Z", 0, true),
            ("Mon 00:00-01:00", "2026-01-04T22:30:00Z", 7200, true),
            ("Sun 20:00-21:00", "2026-01-05T01:30:00Z", -5 * 3600, true),
        ];
        for (window, now, offset, expected) in cases {
            let open = is_open(&[window.parse().unwrap()], at(now), offset);
            assert_eq!(open, expected, "{window} at {now} {offset:+}");
        }
        assert!(is_open(&[], at("2026-01-05T00:00:00Z"), 0));
    }

    #[test]
    fn says_when_the_next_one_opens() {
        let windows = ["Mon-Fri 02:00-05:00", "Sat 12:00-13:00"].map(|w| w.parse().unwrap());
        let next = |now, offset| opens(&windows, at(now), offset).unwrap().to_string();
        assert_eq!(next("2026-01-05T01:00:00Z", 0), "2026-01-05T02:00:00Z");
        assert_eq!(next("2026-01-05T02:00:00Z", 0), "2026-01-06T02:00:00Z");
        assert_eq!(next("2026-01-09T06:00:00Z", 0), "2026-01-10T12:00:00Z");
        assert_eq!(next("2026-01-10T14:00:00Z", 3600), "2026-01-12T01:00:00Z");
        let weekly = ["Mon 02:00-02:01".parse().unwrap()];
        let next = opens(&weekly, at("2026-01-05T02:00:00Z"), 0).unwrap();
        assert_eq!(next.to_string(), "2026-01-12T02:00:00Z");
        assert_eq!(opens(&[], at("2026-01-05T02:00:00Z"), 0), None);
    }

    #[test]
    fn refuses_what_is_no_window_or_zone() {
        for text in [
            "",
            "Mon",
            "Mon 2-5",
            "Mon 02:00",
            "Foo 02:00-03:00",
            "Mon 24:00-03:00",
            "Mon 02:60-03:00",
            "Mon- 02:00-03:00",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        let zone = |text: &str| Zone::try_from(text.to_owned());
        assert_eq!(zone("+02:00"), Ok(Zone::Ahead(7200)));
        assert_eq!(zone("-0330"), Ok(Zone::Ahead(-12_600)));
        assert_eq!(
            (zone("UTC"), zone("local")),
            (Ok(Zone::Ahead(0)), Ok(Zone::Local))
        );
        for text in ["", "2", "+2", "+99:00", "Europe/Berlin"] {
            assert!(zone(text).is_err(), "{text}");
        }
    }
}
