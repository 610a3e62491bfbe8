use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use device_pki::durable::{self, Replacement};
use firmware_delta::{
    Applier, Built, DiffError, DiffOptions, DiffProgress, DiffStage, Expectation, Limits,
    PatchError, SeekImage, Summary, VerifiedOld,
};
use repo_tool::{Error, Progress, Result};

use super::payload_diff::DiffArgs;
use super::payload_table::{parts, table};
use crate::Context;
use crate::bar::Bar;
use crate::output::{bytes, percent};

/// Make, apply and inspect payloads by hand
#[derive(Args, Debug)]
pub(crate) struct PayloadArgs {
    #[command(subcommand)]
    command: PayloadCommand,
}

#[derive(Debug, Subcommand)]
enum PayloadCommand {
    /// Make the delta payload that turns OLD into NEW
    ///
    /// Images of squashfs are compared unpacked, which makes a payload a tenth of the size; the device packs again what
    /// changed, bit for bit. What that costs it is said beside the size.
    ///
    /// Both images are held in memory: in all some seven bytes for each of their bytes, eleven from 2 GiB on, and a third of a GiB.
    /// `--memory` sets a bound.
    Diff(DiffArgs),
    /// Make the full payload of NEW
    Full { new: PathBuf, payload: PathBuf },
    /// Apply a payload; OLD is not read for a full one
    Apply {
        old: PathBuf,
        payload: PathBuf,
        new: PathBuf,
    },
    /// Say what a payload is made of
    Inspect { payload: PathBuf },
}

impl PayloadArgs {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match &self.command {
            PayloadCommand::Diff(diff) => diff.run(context),
            PayloadCommand::Full { new, payload } => {
                let mut new = BufReader::new(open(new)?);
                let mut spool = tempfile::tempfile_in(folder_of(payload))
                    .map_err(|e| io("make a file beside", payload, e))?;
                make(payload, context, |to, progress| {
                    let options = DiffOptions::default();
                    firmware_delta::full(&mut new, &options, &mut spool, to, progress)
                })
            }
            PayloadCommand::Apply { old, payload, new } => apply(old, payload, new, context),
            PayloadCommand::Inspect { payload } => {
                let summary = inspect(payload)?;
                answer(&summary, context);
                Ok(())
            }
        }
    }
}

pub(super) fn make(
    path: &Path,
    context: &Context,
    maker: impl FnOnce(&mut dyn Write, &(dyn Fn(DiffProgress) + Sync)) -> Result<Built, DiffError>,
) -> Result<()> {
    let bar = Bar::new(context.output.json);
    let name = path.display().to_string();
    let mut to = Into(Replacement::begin(path, durable::PUBLIC)?);
    let built = maker(&mut to, &|now| {
        let stage = match now.stage {
            DiffStage::Unpack => "unpacking",
            DiffStage::Index => "indexing",
            DiffStage::Match => "comparing",
            DiffStage::Compress => "compressing",
            _ => "writing",
        };
        bar.show(Progress {
            file: &name,
            stage,
            done: now.done,
            total: now.total,
        });
    });
    bar.finish();
    built.map_err(|source| Error::Diff {
        path: name,
        source: Box::new(source),
    })?;
    to.0.finish()?;
    answer(&inspect(path)?, context);
    Ok(())
}

/// A file that gets its name when it is whole.
struct Into(Replacement);

impl Write for Into {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Applies by what the payload's own header says: this shows that it works, not that it can be trusted.
fn apply(old: &Path, payload: &Path, new: &Path, context: &Context) -> Result<()> {
    let summary = inspect(payload)?;
    let refused = |source| refused(payload, source);
    let header = &summary.header;
    let expected = Expectation {
        head: summary.head,
        new: header.new,
        old: header.old,
    };
    let verified = match &header.old {
        None => VerifiedOld::none(),
        Some(id) => {
            let image = SeekImage::whole(open(old)?).map_err(|e| io("read", old, e))?;
            firmware_delta::verify_old(image, id).map_err(refused)?
        }
    };
    let mut applier = Applier::new(expected, Limits::default(), verified).map_err(refused)?;
    let file = File::create(new).map_err(|e| io("make", new, e))?;
    let mut to = BufWriter::new(file);
    let mut from = BufReader::new(open(payload)?);
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut piece).map_err(|e| io("read", payload, e))?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        applier.push(bytes, &mut to).map_err(refused)?;
    }
    applier.finish().map_err(refused)?;
    to.flush().map_err(|e| io("write", new, e))?;
    answer(&summary, context);
    Ok(())
}

fn answer(summary: &Summary, context: &Context) {
    let header = &summary.header;
    let head = hex::encode(summary.head);
    let old = header.old.map(|old| hex::encode(old.sha256));
    let new = hex::encode(header.new.sha256);
    let value = serde_json::json!({
        "head": head,
        "kind": summary.kind().to_string(),
        "bytes": header.payload_length,
        "frames": header.frames,
        "new": { "sha256": new, "bytes": header.new.length },
        "old": old,
        "parts": parts(summary),
    });
    context.output.answer(&value, || {
        let (length, image) = (header.payload_length, header.new.length);
        let share = percent(length, image);
        let mut lines = vec![
            format!("head    {head}"),
            format!("kind    {}", summary.kind()),
            format!("length  {length} ({}, {share} of the image)", bytes(length)),
            format!("frames  {}", header.frames),
            format!("new     {new} ({image} bytes)"),
            format!("old     {}", old.as_deref().unwrap_or("none")),
        ];
        lines.extend(table(summary));
        lines
    });
}

fn inspect(path: &Path) -> Result<Summary> {
    firmware_delta::inspect(&mut BufReader::new(open(path)?)).map_err(|e| refused(path, e))
}

pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| io("open", path, e))
}

pub(super) fn io(step: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        step,
        path: path.to_owned(),
        source,
    }
}

fn refused(path: &Path, source: PatchError) -> Error {
    Error::Payload {
        path: path.to_owned(),
        source: Box::new(source),
    }
}
