//! Help, from the table of commands.

use std::fmt::Write as _;

use super::arguments::{EVERYWHERE, Flag, Usage};
use super::verbs::{GROUPS, Verb};

/// How long a line gets.
const WIDTH: usize = 100;
const ABOUT: &str = "Keep a device's firmware up to date: verify, install, try, keep or roll back";
const CODES: &[(&str, &str)] = &[
    ("0", "done, or nothing to do"),
    ("1", "anything that is not below"),
    ("2", "usage"),
    ("3", "network: try again"),
    ("4", "metadata refused"),
    ("5", "payload refused"),
    (
        "6",
        "slot or storage failed; the running firmware is untouched",
    ),
    ("7", "boot switch or trial failed"),
    ("8", "configuration or identity"),
    (
        "9",
        "not now: a policy, a hook or the state of the device is against it",
    ),
];

/// The help of `verb`, or of the whole program.
pub(super) fn help(verb: Option<&Verb>) -> String {
    let mut text = String::new();
    match verb {
        None => {
            line(&mut text, ABOUT);
            line(&mut text, "\nUsage: updater [OPTIONS] COMMAND");
            for group in GROUPS {
                let rows = group
                    .verbs
                    .iter()
                    .map(|verb| (verb.name.to_owned(), verb.about));
                table(&mut text, group.heading, rows);
            }
        }
        Some(verb) => {
            paragraph(&mut text, verb.about);
            if !verb.more.is_empty() {
                text.push('\n');
                paragraph(&mut text, verb.more);
            }
            text.push('\n');
            line(&mut text, &usage(verb));
            let operand = verb.operand.iter();
            let rows = operand.map(|operand| (operand.name.to_owned(), operand.about));
            table(&mut text, "Argument", rows);
        }
    }
    let own: &[Flag] = verb.map_or(&[], |verb| verb.flags);
    let rows = own
        .iter()
        .chain(EVERYWHERE)
        .map(|flag| (long(flag), flag.about));
    table(&mut text, "Options", rows);
    if verb.is_none() {
        let rows = CODES
            .iter()
            .map(|(code, about)| ((*code).to_owned(), *about));
        table(&mut text, "Exit codes", rows);
        line(
            &mut text,
            "\n`updater COMMAND --help` says more of a command.",
        );
    }
    text
}

/// What a person reads whose arguments cannot be understood.
pub(super) fn refusal(wrong: &Usage) -> String {
    let (usage, of) = match wrong.verb {
        Some(verb) => (usage(verb), format!(" {}", verb.name)),
        None => ("Usage: updater [OPTIONS] COMMAND".to_owned(), String::new()),
    };
    format!("Error: {}\n\n{usage}\nSee `updater{of} --help`.", wrong.why)
}

fn usage(verb: &Verb) -> String {
    let operand = verb.operand.as_ref().map_or_else(String::new, |operand| {
        if operand.needed {
            format!(" {}", operand.name)
        } else {
            format!(" [{}]", operand.name)
        }
    });
    format!("Usage: updater {} [OPTIONS]{operand}", verb.name)
}

fn long(flag: &Flag) -> String {
    match flag.value {
        Some(value) => format!("--{} {value}", flag.name),
        None => format!("--{}", flag.name),
    }
}

/// Rows under a heading, what they say beside their names; nothing, if there are none.
fn table(text: &mut String, heading: &str, rows: impl Iterator<Item = (String, &'static str)>) {
    let rows: Vec<_> = rows.collect();
    let Some(widest) = rows.iter().map(|(name, _)| name.len()).max() else {
        return;
    };
    line(text, &format!("\n{heading}:"));
    for (name, about) in rows {
        let mut name = name.as_str();
        for part in wrapped(about, WIDTH.saturating_sub(widest + 4)) {
            line(text, &format!("  {name:widest$}  {part}"));
            name = "";
        }
    }
}

fn paragraph(text: &mut String, words: &str) {
    for part in wrapped(words, WIDTH) {
        line(text, &part);
    }
}

/// The words in lines of at most `width` letters; a word that is longer has its own.
fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.len() + 1 + word.len() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _written = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::super::verbs;
    use super::*;

    #[test]
    fn every_command_is_in_the_help_and_has_its_own() {
        let whole = help(None);
        for verb in verbs::all() {
            assert!(
                whole.contains(&format!("\n  {} ", verb.name)),
                "{}",
                verb.name
            );
            let own = help(Some(verb));
            assert!(own.contains(&usage(verb)), "{own}");
            for flag in verb.flags {
                assert!(own.contains(&long(flag)), "{own}");
            }
        }
        assert!(whole.lines().all(|line| line.len() <= WIDTH), "{whole}");
    }

    #[test]
    fn words_are_wrapped() {
        assert_eq!(
            wrapped("a bb ccc dddddd e", 4),
            ["a bb", "ccc", "dddddd", "e"]
        );
        assert_eq!(wrapped("", 4), [""]);
    }
}
