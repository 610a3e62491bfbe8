//! Columns and dates for people.

use metadata_schema::time::Timestamp;

/// Rows as lines, each column as wide as its widest cell; the last is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The day of a time: `2026-03-01`.
pub(crate) fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// The minute of a time, in UTC: `2026-03-01 18:25`.
pub(crate) fn minute(time: Timestamp) -> String {
    let text: String = time.to_string().chars().take(16).collect();
    text.replace('T', " ")
}

/// Sentences as a list; those that begin with blanks belong to the one before.
pub(crate) fn listed(lines: &[String]) -> impl Iterator<Item = String> {
    lines.iter().map(|line| match line.strip_prefix("  ") {
        Some(rest) => format!("      {rest}"),
        None => format!("  - {line}"),
    })
}

/// When something ends, seen from `now`: `2026-03-01 (in 12 days)`, `2026-03-01 (EXPIRED 2 days ago)`.
pub(crate) fn expiry(time: Timestamp, now: Timestamp) -> String {
    let day = day(time);
    if time <= now {
        format!("{day} (EXPIRED {} ago)", span(time, now))
    } else {
        format!("{day} (in {})", span(now, time))
    }
}

/// The time between two times, rounded down: `12 days`, `3 hours`, `5 minutes`.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.unix_seconds().saturating_sub(from.unix_seconds()).max(0);
    let units = [
        (48 * 3600, 86_400, "days"),
        (2 * 3600, 3600, "hours"),
        (0, 60, "minutes"),
    ];
    let (_, length, name) = units
        .into_iter()
        .find(|(least, ..)| seconds >= *least)
        .unwrap_or((0, 60, "minutes"));
    let count = seconds.checked_div(length).unwrap_or(0);
    let name = if count == 1 {
        name.trim_end_matches('s')
    } else {
        name
    };
    format!("{count} {name}")
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "b", "c"]), row(["ähm", "", "d"])];
        assert_eq!(table(&rows), ["a    b  c", "ähm     d"]);
        assert!(table(&[]).is_empty());
    }

    #[test]
    fn dates_say_how_far_they_are() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let text = |seconds| expiry(now.plus_seconds(seconds), now);
        assert_eq!(text(12 * 86_400 + 5), "2026-03-13 (in 12 days)");
        assert_eq!(text(3 * 3600), "2026-03-01 (in 3 hours)");
        assert_eq!(text(60), "2026-03-01 (in 1 minute)");
        assert_eq!(text(0), "2026-03-01 (EXPIRED 0 minutes ago)");
        assert_eq!(text(-3 * 86_400), "2026-02-26 (EXPIRED 3 days ago)");
    }
}
