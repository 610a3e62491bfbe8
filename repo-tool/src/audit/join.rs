//! Logs of two copies of a repository that went on apart: one of them stays the log, the other's lines since the fork are
//! kept beside it, and a line in the log names their end.

use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::line::{Action, Deed, Fork, Line};
use super::log::{Chain, Head, broken, chain, nothing};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::repository::Repository;

/// What became of the log of another copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "how")]
#[non_exhaustive]
pub enum Joined {
    /// This log has all its lines already.
    Known,
    /// It had all lines of this log and these more, which were appended.
    Continued {
        /// How many.
        lines: u64,
    },
    /// Both went on after a line that they share: the other's lines are kept in a file of their own.
    Forked {
        /// The last line that both have; 0 if none.
        at: u64,
        /// How many lines this log has after it.
        ours: u64,
        /// How many the other has.
        theirs: u64,
        /// Where those are kept now.
        file: String,
    },
}

impl Repository {
    /// Joins the log of another copy of this repository to this one. The caller holds the lock.
    pub(crate) fn join_log(&self, theirs: &Path, now: Timestamp) -> Result<Option<Joined>> {
        if !theirs.is_file() {
            return Ok(None);
        }
        let layout = &self.layout;
        let other = chain(theirs, 1, nothing())?;
        let ours = chain(&layout.audit(), 1, nothing())?;
        let Some(end) = other.head() else {
            return Ok(None);
        };
        let shared = ours
            .digests
            .iter()
            .zip(&other.digests)
            .take_while(|(a, b)| a == b)
            .count();
        if shared == other.digests.len() || is_joined(&ours, &end) {
            return Ok(Some(Joined::Known));
        }
        let tail: Vec<&[u8]> = other.texts.iter().skip(shared).map(Vec::as_slice).collect();
        let count = |lines: usize| u64::try_from(lines).unwrap_or(u64::MAX);
        if shared == ours.digests.len() {
            let mut whole: Vec<&[u8]> = ours.texts.iter().map(Vec::as_slice).collect();
            whole.extend(&tail);
            durable::write(&layout.audit(), &lines(&whole), durable::PUBLIC)?;
            return Ok(Some(Joined::Continued {
                lines: count(tail.len()),
            }));
        }
        let file = file_of(layout, &end.sha256);
        if let Some(folder) = file.parent() {
            durable::create_dir_durable(folder, 0o755)?;
        }
        durable::write(&file, &lines(&tail), durable::PUBLIC)?;
        let fork = Fork {
            after: count(shared),
            lines: count(tail.len()),
            sha256: end.sha256,
        };
        let deed = Deed {
            fork: Some(fork),
            ..Deed::new(Action::Join)
        };
        self.record(now, deed)?;
        Ok(Some(Joined::Forked {
            at: count(shared),
            ours: count(ours.digests.len().saturating_sub(shared)),
            theirs: count(tail.len()),
            file: file.display().to_string(),
        }))
    }
}

fn lines(texts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for text in texts {
        all.extend_from_slice(text);
        all.push(b'\n');
    }
    all
}

fn file_of(layout: &Layout, end: &Sha256Digest) -> PathBuf {
    layout.audit_joined().join(format!("{end}.jsonl"))
}

fn is_joined(ours: &Chain, end: &Head) -> bool {
    let mut forks = ours.lines.iter().filter_map(|line| line.fork);
    forks.any(|fork| fork.sha256 == end.sha256)
}

/// Reads and checks the logs that were joined to `main`.
pub(super) fn read(layout: &Layout, main: &Chain) -> Result<Vec<(String, Vec<Line>)>> {
    let mut joined = Vec::new();
    for line in &main.lines {
        let Some(Fork {
            after: at,
            sha256: end,
            ..
        }) = line.fork
        else {
            continue;
        };
        let path = file_of(layout, &end);
        if !path.is_file() {
            return Err(Error::Audit {
                path: layout.audit(),
                line: line.n,
                why: format!("the log that it joins is missing: {}", path.display()),
            });
        }
        let index = usize::try_from(at).unwrap_or(usize::MAX).checked_sub(1);
        let prev = index.map_or(Some(nothing()), |index| main.digests.get(index).copied());
        let prev =
            prev.ok_or_else(|| broken(&layout.audit(), line.n, format!("there is no line {at}")))?;
        let fork = chain(&path, at.saturating_add(1), prev)?;
        if fork.digests.last() != Some(&end) || fork.torn > 0 {
            return Err(broken(
                &path,
                0,
                format!("its last line should have sha256 {end}"),
            ));
        }
        joined.push((path.display().to_string(), fork.lines));
    }
    Ok(joined)
}
