//! What of the manual is run.

/// A block of commands.
pub(crate) struct Block {
    /// The line of the manual at which it begins, from 1.
    pub(crate) line: usize,
    /// The time that programs are given: from `<!-- clock: TIME -->` before it.
    pub(crate) clock: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An example of output, or of a file.
    Shown,
    /// Commands: `sh`.
    Run,
    /// Commands that need programs of others: `sh peers`.
    WithPeers,
    /// What stands in for the latter where they are not run; readers do not see it: `<!-- without peers:` to `-->`.
    WithoutPeers,
}

pub(crate) fn blocks(manual: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut clock = None;
    let mut open: Option<(Block, &str)> = None;
    for (index, line) in manual.lines().enumerate() {
        if let Some((block, end)) = &mut open {
            if line.starts_with(*end) {
                blocks.extend(open.take().map(|(block, _)| block));
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        }
        let begin = |kind, end| {
            let block = Block {
                line: index + 1,
                clock: clock.clone(),
                kind,
                text: String::new(),
            };
            Some((block, end))
        };
        if let Some(time) = line.strip_prefix("<!-- clock: ") {
            clock = Some(time.trim_end_matches(" -->").to_owned());
        } else if line == "<!-- without peers:" {
            open = begin(Kind::WithoutPeers, "-->");
        } else if let Some(info) = line.strip_prefix("```") {
            let words: Vec<&str> = info.split_whitespace().collect();
            let kind = match words.as_slice() {
                ["sh"] => Kind::Run,
                ["sh", "peers"] => Kind::WithPeers,
                _ => Kind::Shown,
            };
            open = begin(kind, "```");
        }
    }
    blocks
}

#[test]
fn blocks_are_found_with_their_clock() {
    let manual = "a\n```sh\none\n```\n<!-- clock: 2026-01-01T00:00:00Z -->\n```toml\nx\n```\n\
                  ```sh peers\ntwo\nthree\n```\n<!-- without peers:\nfour\n-->\n";
    let found: Vec<(usize, bool, &str)> = Vec::from_iter(blocks(manual).iter().map(|block| {
        let text = match (block.kind, block.text.as_str()) {
            (Kind::Run, "one\n") => "run",
            (Kind::Shown, "x\n") => "shown",
            (Kind::WithPeers, "two\nthree\n") => "with",
            (Kind::WithoutPeers, "four\n") => "without",
            _ => "wrong",
        };
        (block.line, block.clock.is_some(), text)
    }));
    let expected = [
        (2, false, "run"),
        (6, true, "shown"),
        (9, true, "with"),
        (13, true, "without"),
    ];
    assert_eq!(found, expected);
}
