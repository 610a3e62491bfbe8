//! The file of the audit log: appending, reading, and what a power cut leaves.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use device_pki::durable;
use metadata_schema::digest::Sha256Digest;
use metadata_schema::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::line::{Action, Deed, Line};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::schema::words::Sha256;

/// Longest line that is read or written.
pub(super) const MAX_LINE: u64 = 256 * 1024;
/// What the first line has for the digest of the line before.
pub(super) fn nothing() -> Sha256Digest {
    Sha256Digest::from_bytes([0; 32])
}

/// Where a log ends: whoever notes it can tell later whether anything before it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Head {
    /// Number of lines.
    pub lines: u64,
    /// SHA-256 of the last line.
    #[schemars(with = "Sha256")]
    pub sha256: Sha256Digest,
}

/// A log whose chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trail {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Where it ends; none if there is no log.
    pub head: Option<Head>,
    /// Logs of other copies that were joined to this one, each checked as well: the file, and its lines from the fork on.
    pub joined: Vec<(String, Vec<Line>)>,
    /// Bytes of a last line that a power cut left incomplete: the next command drops them and says so in the log.
    pub torn: u64,
}

/// The lines of a file, their chain checked.
pub(super) struct Chain {
    pub(super) lines: Vec<Line>,
    /// Digest of each line.
    pub(super) digests: Vec<Sha256Digest>,
    /// The text of each line.
    pub(super) texts: Vec<Vec<u8>>,
    pub(super) torn: u64,
}

impl Chain {
    pub(super) fn head(&self) -> Option<Head> {
        let sha256 = *self.digests.last()?;
        let lines = self.lines.last()?.n;
        Some(Head { lines, sha256 })
    }
}

/// Reads a log whose first line has this number and follows upon a line with this digest.
pub(super) fn chain(path: &Path, first: u64, mut prev: Sha256Digest) -> Result<Chain> {
    let mut chain = Chain {
        lines: Vec::new(),
        digests: Vec::new(),
        texts: Vec::new(),
        torn: 0,
    };
    if !path.exists() {
        return Ok(chain);
    }
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut reader = BufReader::new(file);
    for n in first.. {
        let mut text = Vec::new();
        let read = (&mut reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut text)
            .map_err(|e| Error::io("read", path, e))?;
        if read == 0 {
            break;
        }
        if text.pop() != Some(b'\n') {
            let length = u64::try_from(read).unwrap_or(u64::MAX);
            if length == MAX_LINE {
                return Err(broken(
                    path,
                    n,
                    format!("it has more than {MAX_LINE} bytes"),
                ));
            }
            chain.torn = length;
            break;
        }
        let line = parse(path, n, &text)?;
        if line.n != n {
            return Err(broken(
                path,
                n,
                format!("it says that it is line {}", line.n),
            ));
        }
        if line.prev != prev {
            let why = format!(
                "it follows upon a line with digest {}, the line before it has {prev}",
                line.prev
            );
            return Err(broken(path, n, why));
        }
        prev = Sha256Digest::of(&text);
        chain.digests.push(prev);
        chain.lines.push(line);
        chain.texts.push(text);
    }
    Ok(chain)
}

fn parse(path: &Path, n: u64, text: &[u8]) -> Result<Line> {
    serde_json::from_slice(text).map_err(|e| broken(path, n, format!("it cannot be read: {e}")))
}

pub(super) fn broken(path: &Path, line: u64, why: String) -> Error {
    Error::Audit {
        path: path.to_owned(),
        line,
        why,
    }
}

/// Reads and checks everything.
pub(super) fn read(layout: &Layout) -> Result<Trail> {
    let main = chain(&layout.audit(), 1, nothing())?;
    let joined = super::join::read(layout, &main)?;
    let head = main.head();
    Ok(Trail {
        lines: main.lines,
        head,
        joined,
        torn: main.torn,
    })
}

/// The end of the log, without reading the rest of it.
struct End {
    head: Option<Head>,
    /// Length of the file up to and with its last line feed.
    whole: u64,
    torn: Vec<u8>,
}

pub(super) fn head(layout: &Layout) -> Result<Option<Head>> {
    Ok(end(&layout.audit())?.head)
}

fn end(path: &Path) -> Result<End> {
    let mut end = End {
        head: None,
        whole: 0,
        torn: Vec::new(),
    };
    if !path.exists() {
        return Ok(end);
    }
    let failed = |e| Error::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    // The last line, and what was cut off after it.
    let start = length.saturating_sub(MAX_LINE.saturating_mul(2));
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut tail = Vec::new();
    file.take(MAX_LINE.saturating_mul(2))
        .read_to_end(&mut tail)
        .map_err(failed)?;
    let feed = tail.iter().rposition(|byte| *byte == b'\n');
    let cut = feed.map_or(0, |feed| feed.saturating_add(1));
    end.torn = tail.split_off(cut);
    let torn = u64::try_from(end.torn.len()).unwrap_or(u64::MAX);
    if torn >= MAX_LINE {
        return Err(broken(
            path,
            0,
            format!("its last line has more than {MAX_LINE} bytes"),
        ));
    }
    end.whole = length.saturating_sub(torn);
    tail.pop();
    if tail.is_empty() {
        return Ok(end);
    }
    let from = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |feed| feed.saturating_add(1));
    let last = tail.split_off(from);
    let line = parse(path, 0, &last)?;
    end.head = Some(Head {
        lines: line.n,
        sha256: Sha256Digest::of(&last),
    });
    Ok(end)
}

/// Appends a line, synced. A line that a power cut left incomplete is dropped first, and the log says so.
pub(super) fn append(layout: &Layout, at: Timestamp, deed: Deed) -> Result<()> {
    let path = layout.audit();
    let end = end(&path)?;
    let mut head = end.head;
    let mut text = Vec::new();
    let mut add = |deed: Deed| -> Result<()> {
        let (n, prev) = head.as_ref().map_or((1, nothing()), |head| {
            (head.lines.saturating_add(1), head.sha256)
        });
        let line = deed.into_line(n, at, layout.operator().map(str::to_owned), prev);
        let written = serde_json::to_vec(&line).map_err(|e| broken(&path, n, e.to_string()))?;
        head = Some(Head {
            lines: n,
            sha256: Sha256Digest::of(&written),
        });
        text.extend(written);
        text.push(b'\n');
        Ok(())
    };
    if !end.torn.is_empty() {
        let note = format!(
            "the last line was cut off, as by a power cut: {} bytes with sha256 {} were dropped",
            end.torn.len(),
            Sha256Digest::of(&end.torn)
        );
        add(Deed {
            note: Some(note),
            ..Deed::new(Action::Repair)
        })?;
    }
    add(deed)?;
    let failed = |e| Error::io("append to", &path, e);
    let new = !path.exists();
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    file.set_len(end.whole).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    if new {
        durable::sync_folder(layout.folder())?;
    }
    Ok(())
}
