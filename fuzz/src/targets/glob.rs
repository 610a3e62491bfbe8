//! A pattern, a line feed, and a path: the matcher agrees with one that is written for clearness only.

use metadata_schema::glob::matches;

/// Longest input: the other matcher takes the product of both lengths in memory.
const MOST: usize = 4096;

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if text.len() > MOST {
        return;
    }
    let (pattern, path) = text.split_once('\n').unwrap_or((text, ""));
    assert_eq!(
        matches(pattern, path),
        clearly_matches(pattern, path),
        "{pattern:?} {path:?}"
    );
}

enum Piece {
    Star,
    One(Box<dyn Fn(char) -> bool>),
}

/// Whether the pieces of the whole pattern match all of the path: by a table of which prefixes match which.
fn clearly_matches(pattern: &str, path: &str) -> bool {
    let pieces = pieces(pattern);
    let path: Vec<char> = path.chars().collect();
    // reached[c]: the pieces so far match the first c characters.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; path.len() + 1];
        match piece {
            Piece::Star => {
                for c in 0..=path.len() {
                    next[c] = reached[c] || (c > 0 && next[c - 1] && path[c - 1] != '/');
                }
            }
            Piece::One(accepts) => {
                for c in 0..path.len() {
                    next[c + 1] = reached[c] && accepts(path[c]);
                }
            }
        }
        reached = next;
    }
    reached[path.len()]
}

fn pieces(pattern: &str) -> Vec<Piece> {
    // A bracket expression does not reach across a segment.
    let segments: Vec<Vec<Piece>> = pattern.split('/').map(segment).collect();
    let mut all = Vec::new();
    for (index, segment) in segments.into_iter().enumerate() {
        if index > 0 {
            all.push(Piece::One(Box::new(|c| c == '/')));
        }
        all.extend(segment);
    }
    all
}

fn segment(text: &str) -> Vec<Piece> {
    let characters: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let character = characters[at];
        at += 1;
        pieces.push(match character {
            '*' => Piece::Star,
            '?' => Piece::One(Box::new(|c| c != '/')),
            '[' => match closing(&characters, at) {
                Some(close) => {
                    let inside: String = characters[at..close].iter().collect();
                    at = close + 1;
                    Piece::One(Box::new(move |c| c != '/' && among(&inside, c)))
                }
                None => Piece::One(Box::new(|c| c == '[')),
            },
            other => Piece::One(Box::new(move |c| c == other)),
        });
    }
    pieces
}

/// Where the bracket expression ends whose inside begins at `from`: a `]` that stands first is inside.
fn closing(characters: &[char], from: usize) -> Option<usize> {
    let negated = characters.get(from) == Some(&'!');
    let first = from + usize::from(negated);
    (first + 1..characters.len()).find(|at| characters[*at] == ']')
}

fn among(inside: &str, character: char) -> bool {
    let (negated, set) = match inside.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, inside),
    };
    let set: Vec<char> = set.chars().collect();
    let mut found = false;
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            found |= (set[at]..=set[at + 2]).contains(&character);
            at += 3;
        } else {
            found |= set[at] == character;
            at += 1;
        }
    }
    found != negated
}
