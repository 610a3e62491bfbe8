//! What somebody may have meant who wrote a name that is not known.

/// An error of the configuration, with a suggestion if it is about a name that is nearly a known one. The library names what it
/// expected between backquotes, after what it found.
pub(crate) fn suggested(error: &str) -> String {
    let error = error.trim_end();
    let unknown = error
        .find("unknown field `")
        .or_else(|| error.find("unknown variant `"));
    let Some(text) = unknown.and_then(|at| error.get(at..)) else {
        return error.to_owned();
    };
    let mut names = text.split('`').skip(1).step_by(2);
    let Some(found) = names.next() else {
        return error.to_owned();
    };
    match nearest(found, names) {
        Some(name) => format!("{error}\ndid you mean `{name}`?"),
        None => error.to_owned(),
    }
}

/// The one of `names` that is nearest to `found`, if it is near enough to have been meant: a third of its letters differ at most.
pub(crate) fn nearest<'n>(found: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let (distance, name) = names.map(|name| (distance(found, name), name)).min()?;
    (distance <= (found.len() / 3).max(1)).then_some(name)
}

/// How many letters have to be put in, taken out or changed to make one name of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (b, above) in other.bytes().zip(row.iter().skip(1).copied()) {
            left = (before + usize::from(a != b)).min(above + 1).min(left + 1);
            before = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("chanel", "channel", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ];
        for (one, other, expected) in cases {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let text = "unknown field `meterd`, expected one of `automatic`, `metered`, `pin`\n";
        assert!(suggested(text).ends_with("did you mean `metered`?"));
        let far = "unknown field `colour`, expected `pin` or `metered`";
        assert_eq!(suggested(far), far);
        assert_eq!(suggested("missing field `pin`"), "missing field `pin`");
    }
}
