//! Byte ranges of a request (RFC 9110, section 14): one range, or all of the file.

/// The bytes that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// From the first, so many.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// How many bytes: at least one.
        length: u64,
    },
    /// None that there are.
    Unsatisfiable,
}

/// What a `Range` field selects of a file of `size` bytes.
///
/// What is malformed, in other units, or asks for several ranges is passed over, as the RFC allows: the answer is all of
/// the file.
///
/// ```
/// use api_server::range::{Selection, select};
/// assert_eq!(select("bytes=2-3", 10), Selection::Part { first: 2, length: 2 });
/// assert_eq!(select("bytes=-4", 10), Selection::Part { first: 6, length: 4 });
/// assert_eq!(select("bytes=10-", 10), Selection::Unsatisfiable);
/// assert_eq!(select("bytes=0-1,4-5", 10), Selection::All);
/// ```
pub fn select(field: &str, size: u64) -> Selection {
    let Some(spec) = field.strip_prefix("bytes=") else {
        return Selection::All;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Selection::All;
    };
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => part(first, size.saturating_sub(1), size),
        (Some(first), Some(last)) if first <= last => part(first, last, size),
        (None, Some(0)) if first.is_empty() => Selection::Unsatisfiable,
        (None, Some(suffix)) if first.is_empty() => {
            part(size.saturating_sub(suffix), size.saturating_sub(1), size)
        }
        _ => Selection::All,
    }
}

fn part(first: u64, last: u64, size: u64) -> Selection {
    if first >= size {
        return Selection::Unsatisfiable;
    }
    let last = last.min(size.saturating_sub(1));
    let length = last.saturating_sub(first).saturating_add(1);
    Selection::Part { first, length }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let some = |first, length| Selection::Part { first, length };
        for (field, expected) in [
            ("bytes=0-0", some(0, 1)),
            ("bytes=0-99", some(0, 10)),
            ("bytes=9-", some(9, 1)),
            ("bytes=-99", some(0, 10)),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=10-11", Selection::Unsatisfiable),
            ("bytes=3-2", Selection::All),
            ("bytes=", Selection::All),
            ("bytes=-", Selection::All),
            ("bytes=+1-2", Selection::All),
            ("bytes=1-2-3", Selection::All),
            ("bytes=1--2", Selection::All),
            ("bytes=99999999999999999999-", Selection::All),
            ("items=0-1", Selection::All),
        ] {
            assert_eq!(select(field, 10), expected, "{field}");
        }
        assert_eq!(select("bytes=0-", 0), Selection::Unsatisfiable);
        assert_eq!(select("bytes=-1", 0), Selection::Unsatisfiable);
    }

    proptest::proptest! {
        #[test]
        fn a_part_is_never_outside(first: Option<u64>, last: Option<u64>, size: u64) {
            let text = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
            if let Selection::Part { first, length } = select(&format!("bytes={}-{}", text(first), text(last)), size) {
                proptest::prop_assert!(length >= 1 && first.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
