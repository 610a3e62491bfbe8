//! Entries, by the Boot Loader Specification: pure.

use std::cmp::Reverse;
use std::path::PathBuf;

use crate::slot::SlotName;

/// What the name of an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No counter: it starts as often as anybody likes.
    Good,
    /// Starts left, and done.
    Trial { left: u32, done: u32 },
    /// systemd-boot does not see it.
    Unbootable,
}

impl State {
    pub(super) fn is_trial(self) -> bool {
        matches!(self, Self::Trial { .. })
    }

    /// The name of the file of an entry in this state.
    pub(super) fn file(self, name: &str) -> String {
        match self {
            Self::Good => format!("{name}.conf"),
            Self::Trial { left, done: 0 } => format!("{name}+{left}.conf"),
            Self::Trial { left, done } => format!("{name}+{left}-{done}.conf"),
            Self::Unbootable => format!("{name}.unbootable"),
        }
    }
}

/// The slot and the state that a file's name says; none for files that are not ours.
pub(super) fn named(file: &str, names: &[String; 2]) -> Option<(SlotName, State)> {
    let (stem, unbootable) = match file.strip_suffix(".unbootable") {
        Some(stem) => (stem, true),
        None => (file.strip_suffix(".conf")?, false),
    };
    let (name, counter) = match stem.rsplit_once('+') {
        Some((name, counter)) => (name, Some(counter)),
        None => (stem, None),
    };
    let slots = [SlotName::A, SlotName::B].into_iter().zip(names);
    let (slot, _) = slots.into_iter().find(|(_, known)| *known == name)?;
    let state = match counter {
        _ if unbootable => State::Unbootable,
        None => State::Good,
        Some(counter) => {
            let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
            let (left, done) = (left.parse().ok()?, done.parse().ok()?);
            State::Trial { left, done }
        }
    };
    Some((slot, state))
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) slot: SlotName,
    pub(super) state: State,
    pub(super) path: PathBuf,
    pub(super) version: u64,
    sort_key: String,
    machine: String,
    text: String,
}

impl Entry {
    pub(super) fn read(
        slot: SlotName,
        state: State,
        path: PathBuf,
        text: String,
    ) -> Result<Self, String> {
        let version = key(&text, "version").unwrap_or("0");
        let version = version
            .parse()
            .map_err(|_| format!("its version {version:?} is not a number"))?;
        let sort_key = key(&text, "sort-key")
            .ok_or("it has no sort-key")?
            .to_owned();
        let machine = key(&text, "machine-id").unwrap_or_default().to_owned();
        Ok(Self {
            slot,
            state,
            path,
            version,
            sort_key,
            machine,
            text,
        })
    }

    /// Its text with another version.
    pub(super) fn with_version(&self, version: u64) -> String {
        let others = self
            .text
            .lines()
            .filter(|line| line.split_whitespace().next() != Some("version"));
        let mut text: String = others.flat_map(|line| [line, "\n"]).collect();
        text.push_str(&format!("version {version}\n"));
        text
    }
}

/// The value of a key; the last one, if it is there more than once.
fn key<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix(name)?;
        rest.starts_with([' ', '\t']).then(|| rest.trim())
    });
    values.next_back()
}

/// What `loader.conf` starts whatever the order is.
pub(super) fn default_of(loader: &str) -> Option<&str> {
    key(loader, "default")
}

/// Versions only count among entries with one sort-key and one machine.
pub(super) fn disagreement(entries: &[Entry]) -> Option<String> {
    let mut of: Vec<(&str, &str)> = entries
        .iter()
        .map(|e| (e.sort_key.as_str(), e.machine.as_str()))
        .collect();
    of.sort_unstable();
    of.dedup();
    (of.len() > 1).then(|| format!("the entries have different sort-keys or machine-ids: {of:?}"))
}

/// The slot that systemd-boot starts next: entries with starts left first, then by version, then by name.
pub(super) fn next(entries: &[Entry]) -> Option<SlotName> {
    let started = entries.iter().filter_map(|entry| match entry.state {
        State::Unbootable => None,
        State::Good => Some((false, entry)),
        State::Trial { left, .. } => Some((left == 0, entry)),
    });
    // One without starts left is only taken if there is nothing else: that is not what we want to be started.
    let good = started.filter(|(bad, _)| !bad);
    let first = good.min_by_key(|(bad, entry)| (*bad, Reverse((entry.version, &entry.path))));
    first.map(|(_, entry)| entry.slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> [String; 2] {
        ["fw-a", "fw-b+x"].map(str::to_owned)
    }

    #[test]
    fn names_of_files_say_the_slot_and_what_is_left() {
        let of = |file: &str| named(file, &names());
        assert_eq!(of("fw-a.conf"), Some((SlotName::A, State::Good)));
        let trial = |left, done| Some((SlotName::A, State::Trial { left, done }));
        assert_eq!(of("fw-a+3.conf"), trial(3, 0));
        assert_eq!(of("fw-a+0-3.conf"), trial(0, 3));
        assert_eq!(
            of("fw-a.unbootable"),
            Some((SlotName::A, State::Unbootable))
        );
        for other in [
            "fw-a",
            "fw-a+.conf",
            "fw-a+x.conf",
            "fw-a+1-.conf",
            "fw-ab.conf",
            "fw-a.conf.bak",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        for state in [
            State::Good,
            State::Trial { left: 2, done: 1 },
            State::Trial { left: 3, done: 0 },
        ] {
            assert_eq!(of(&state.file("fw-a")), Some((SlotName::A, state)));
        }
    }

    fn entry(slot: SlotName, state: State, version: u64) -> Entry {
        let path = PathBuf::from(state.file(&slot.to_string()));
        let text = format!("title T\nversion {version}\nsort-key fw\n");
        Entry::read(slot, state, path, text).unwrap()
    }

    #[test]
    fn the_highest_version_with_starts_left_comes_first() {
        use SlotName::{A, B};
        let trial = |left| State::Trial { left, done: 0 };
        let (old, new) = (entry(A, State::Good, 1), |left| entry(B, trial(left), 2));
        assert_eq!(next(&[old.clone(), new(1)]), Some(B));
        assert_eq!(next(&[old.clone(), new(0)]), Some(A));
        assert_eq!(next(&[old, entry(B, State::Unbootable, 2)]), Some(A));
        assert_eq!(next(&[new(0)]), None);
    }

    #[test]
    fn a_version_is_replaced_and_the_rest_stays() {
        let entry = entry(SlotName::A, State::Good, 4);
        assert_eq!(entry.with_version(10), "title T\nsort-key fw\nversion 10\n");
        let read =
            |text: &str| Entry::read(SlotName::A, State::Good, PathBuf::new(), text.to_owned());
        assert!(
            read("version 1.2\nsort-key x\n")
                .unwrap_err()
                .contains("not a number")
        );
        assert!(read("version 1\n").unwrap_err().contains("sort-key"));
        assert_eq!(default_of("timeout 3\ndefault  auto*\n"), Some("auto*"));
        assert_eq!(default_of("defaults x\n#default y\n"), None);
    }
}
