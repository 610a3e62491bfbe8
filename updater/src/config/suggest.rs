//! What somebody may have meant who wrote a member that is not known.

/// An error of the configuration, with a suggestion if it is about a name that is nearly a known one. The library names what it
/// expected between backquotes, after what it found.
pub(super) fn suggested(error: &str) -> String {
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
    let nearest = names.map(|name| (distance(found, name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= (found.len() / 3).max(1) => {
            format!("{error}\ndid you mean `{name}`?")
        }
        _ => error.to_owned(),
    }
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
