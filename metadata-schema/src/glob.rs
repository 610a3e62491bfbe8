//! Path patterns of delegations (TUF 1.0.34, section 4.5, PATHPATTERN): shell patterns as in glob(7).
//!
//! `*` and `?` match within one segment, never a `/`; `[abc]`, `[a-z]` and `[!abc]` match one character; everything else,
//! braces among it, is itself. Matching takes time in the product of the lengths at most, whatever the pattern.

/// Whether `path` matches `pattern`, segment by segment.
///
/// ```
/// use metadata_schema::glob::matches;
/// assert!(matches("targets/*.tgz", "targets/foo.tgz"));
/// assert!(!matches("*.tgz", "targets/foo.tgz"));
/// assert!(!matches("{a,b}", "a"));
/// ```
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut segments = path.split('/');
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if segment_matches(pattern, segment) => {}
            _ => return false,
        }
    }
}

enum Token {
    Any,
    One,
    Exactly(char),
    Among {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Exactly(c) => *c == character,
            Self::Among { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| (low..=high).contains(&&character))
                    != *negated
            }
        }
    }
}

fn segment_matches(pattern: &str, segment: &str) -> bool {
    let tokens = tokens(pattern);
    let text: Vec<char> = segment.chars().collect();
    let (mut t, mut c) = (0_usize, 0_usize);
    // Where to go on if the text after the last `*` does not match: that `*` takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(t), text.get(c)) {
            (None, None) => return true,
            (Some(Token::Any), _) => {
                retry = Some((t, c));
                t = t.saturating_add(1);
                continue;
            }
            (Some(token), Some(character)) if token.accepts(*character) => {
                t = t.saturating_add(1);
                c = c.saturating_add(1);
                continue;
            }
            _ => {}
        }
        match retry {
            Some((star, taken)) if taken < text.len() => {
                let taken = taken.saturating_add(1);
                retry = Some((star, taken));
                t = star.saturating_add(1);
                c = taken;
            }
            _ => return false,
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut rest = characters.as_slice();
    let mut tokens = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        tokens.push(match first {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => match bracket(tail) {
                Some((token, after)) => {
                    rest = after;
                    token
                }
                None => Token::Exactly('['),
            },
            other => Token::Exactly(*other),
        });
    }
    tokens
}

/// A bracket expression after its `[`: a `]` that stands first is one of the characters.
fn bracket(after: &[char]) -> Option<(Token, &[char])> {
    let (negated, body) = match after.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, after),
    };
    let close = body
        .iter()
        .skip(1)
        .position(|c| *c == ']')?
        .saturating_add(1);
    let (mut inner, tail) = (body.get(..close)?, body.get(close.saturating_add(1)..)?);
    let mut ranges = Vec::new();
    loop {
        match inner {
            [] => break,
            [low, '-', high, rest @ ..] => {
                ranges.push((*low, *high));
                inner = rest;
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                inner = rest;
            }
        }
    }
    Some((Token::Among { negated, ranges }, tail))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn follows_the_specification() {
        for (pattern, path, expected) in [
            ("targets/*.tgz", "targets/foo.tgz", true),
            ("targets/*.tgz", "targets/foo.txt", false),
            ("foo-version-?.tgz", "foo-version-2.tgz", true),
            ("foo-version-?.tgz", "foo-version-alpha.tgz", false),
            ("*.tgz", "foo.tgz", true),
            ("*.tgz", "targets/foo.tgz", false),
            ("foo.tgz", "foo.tgz", true),
            ("fw-*.bin", "fw-x/y.bin", false),
            ("?", "/", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
            ("*", "", true),
            ("**", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("[a", "[a", true),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
            (".*", ".x", true),
            ("*", ".x", true),
            ("é?", "éé", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        // Backtracking that tried every split would not end in the age of the universe.
        let pattern = format!("{}b", "*a".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(5000)));
    }
}
