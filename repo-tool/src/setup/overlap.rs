//! Whether two path patterns have a path in common: of two products, the first would answer for it.

/// Longest segment that is compared: longer ones count as overlapping.
const MAX_SEGMENT: usize = 256;

/// Whether some path may match both patterns. Sets like `[a-z]` count as any character: rather one warning too many.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('/').collect(), b.split('/').collect());
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| segments(a, b))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Exactly(char),
}

fn tokens(segment: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = segment.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => {
                // A set takes at least one character, which may be `]`.
                let set = rest.as_str();
                let end = set.char_indices().skip(1).find(|(_, c)| *c == ']');
                match end.and_then(|(end, _)| set.get(end.saturating_add(1)..)) {
                    Some(after) => {
                        rest = after.chars();
                        Token::One
                    }
                    None => Token::Exactly(c),
                }
            }
            c => Token::Exactly(c),
        });
    }
    tokens
}

/// Row by row over the tokens of `a`: which beginnings of `b` have a text in common with the tokens so far.
fn segments(a: &str, b: &str) -> bool {
    let (a, b) = (tokens(a), tokens(b));
    if a.len() > MAX_SEGMENT || b.len() > MAX_SEGMENT {
        return true;
    }
    // In the first row, only stars of `b` match the empty text.
    let mut row = vec![true];
    row.extend(b.iter().scan(true, |so_far, token| {
        *so_far &= *token == Token::Any;
        Some(*so_far)
    }));
    for left in &a {
        let above_first = row.first().copied().unwrap_or(false);
        let mut next = vec![above_first && *left == Token::Any];
        for (right, pair) in b.iter().zip(row.windows(2)) {
            let (diagonal, above) = match pair {
                [diagonal, above] => (*diagonal, *above),
                _ => (false, false),
            };
            let beside = next.last().copied().unwrap_or(false);
            let meet = match (left, right) {
                (Token::Any, _) | (_, Token::Any) => above || beside || diagonal,
                (Token::Exactly(x), Token::Exactly(y)) => diagonal && x == y,
                _ => diagonal,
            };
            next.push(meet);
        }
        row = next;
    }
    row.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn patterns_with_a_common_path_overlap() {
        for (a, b) in [
            ("a/*", "a/*"),
            ("a/*", "*/b"),
            ("x*y", "xy"),
            ("a*c", "ab*"),
            ("?", "a"),
            ("[abc]x", "ax"),
            ("*", "*"),
            ("*a*", "b?c*"),
        ] {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("a/*", "b/*"),
            ("a/*", "a/*/*"),
            ("a*", "b*"),
            ("*a", "*b"),
            ("?", "ab"),
            ("[abc]", "ab"),
            ("x", ""),
        ] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
    }
}
