//! `payload diff`: in memory, or within a bound.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use device_pki::durable;
use firmware_delta::format::Codecs;
use firmware_delta::{
    DiffError, DiffOptions, LEAST_DIFF_MEMORY, SeekImage, StreamCodec, diff_memory,
};
use repo_tool::Result;

use super::payload::{folder_of, io, make, open};
use crate::Context;
use crate::output::bytes;

/// Longest image that is read into memory here.
const LIMIT: u64 = 16 << 30;

/// How many times its size an image of compressed blocks may unpack to.
const UNPACKED: u64 = 4;

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    old: PathBuf,
    new: PathBuf,
    payload: PathBuf,
    /// Compress by LZMA2 where that is smaller: usually by a tenth, decoded at a tenth of the speed
    #[arg(long)]
    lzma2: bool,
    /// Compare images of compressed blocks as they are, for devices that cannot pack them
    #[arg(long)]
    packed: bool,
    /// Unpack squashfs by Zstandard too, for devices that were built to pack it
    #[arg(long, conflicts_with = "packed")]
    zstd_blocks: bool,
    /// Most seconds of processor time, by the forecast, that a device may need; above that, the image is compared
    /// as it is and compressed by Zstandard alone
    #[arg(long, value_name = "SECONDS")]
    device_seconds: Option<u64>,
    /// Work in about this much memory, such as 2G, 512M at least. Images that need more are compared piece by piece: the
    /// payload is larger then, addresses in code are not predicted and compressed blocks not unpacked
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "device_seconds")]
    memory: Option<u64>,
}

impl DiffArgs {
    pub(super) fn run(&self, context: &Context) -> Result<()> {
        if let Some(memory) = self.memory {
            let needed = self.needed()?;
            if needed > memory {
                let (needed, memory_text) = (bytes(needed), bytes(memory));
                context.output.say(&format!(
                    "in memory this would take about {needed}: comparing piece by piece in {memory_text}"
                ));
                return self.within(memory, context);
            }
        }
        self.in_memory(context)
    }

    /// About what comparing both images in memory takes.
    fn needed(&self) -> Result<u64> {
        let length = |path: &Path| -> Result<u64> {
            let file = open(path)?;
            let mut mark = Vec::new();
            let read = (&file).take(4).read_to_end(&mut mark);
            read.map_err(|e| io("read", path, e))?;
            let length = SeekImage::whole(file).map_err(|e| io("read", path, e))?;
            let length = firmware_delta::OldImage::length(&length);
            let unpacks = !self.packed && mark == *b"hsqs";
            Ok(length.saturating_mul(if unpacks { UNPACKED } else { 1 }))
        };
        Ok(diff_memory(length(&self.old)?, length(&self.new)?))
    }

    fn options(&self) -> DiffOptions {
        let mut options = DiffOptions::default();
        if self.packed {
            options.containers = Codecs::STORED;
        } else if self.zstd_blocks {
            options.containers = Codecs::KNOWN;
        }
        if self.lzma2 {
            options.codec = StreamCodec::Lzma2;
        }
        options
    }

    fn in_memory(&self, context: &Context) -> Result<()> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let options = self.options();
        let most = self
            .device_seconds
            .map(|seconds| seconds.saturating_mul(1000));
        make(&self.payload, context, |to, progress| {
            let mut made = Vec::new();
            let mut built = firmware_delta::diff(&old, &new, &options, &mut made, progress)?;
            let cost = firmware_delta::inspect(&mut made.as_slice()).map(|made| made.cost());
            let too_slow =
                matches!((cost, most), (Ok(cost), Some(most)) if cost.milliseconds > most);
            if too_slow {
                made.clear();
                let mut plain = DiffOptions::default();
                plain.containers = Codecs::STORED;
                built = firmware_delta::diff(&old, &new, &plain, &mut made, progress)?;
            }
            let failed = |source| DiffError::Write { source };
            to.write_all(&made).map_err(failed)?;
            Ok(built)
        })
    }

    fn within(&self, memory: u64, context: &Context) -> Result<()> {
        let whole = SeekImage::whole(open(&self.old)?);
        let mut old = whole.map_err(|e| io("read", &self.old, e))?;
        let mut new = BufReader::with_capacity(1 << 20, open(&self.new)?);
        let mut spool = tempfile::tempfile_in(folder_of(&self.payload))
            .map_err(|e| io("make a file beside", &self.payload, e))?;
        let options = self.options();
        make(&self.payload, context, |to, progress| {
            firmware_delta::diff_within(
                memory, &mut old, &mut new, &options, &mut spool, to, progress,
            )
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(durable::read_bounded(path, LIMIT)?)
}

/// A number of bytes: digits, and one of K, M, G, T for powers of 1024.
fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        _ => return Err(format!("{unit:?} is no unit: write K, M, G or T")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a number, and K, M, G or T".to_owned())?;
    let size = number.saturating_mul(1 << shift);
    if size < LEAST_DIFF_MEMORY {
        let least = bytes(LEAST_DIFF_MEMORY);
        return Err(format!("{} is too little: {least} at least", bytes(size)));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [
            ("2G", 2 << 30),
            ("512M", 512 << 20),
            ("1gib", 1 << 30),
            ("1048576K", 1 << 30),
            ("1T", 1 << 40),
            ("536870912", 512 << 20),
            ("99999999999999999T", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for (text, why) in [
            ("", "write a number"),
            ("G", "write a number"),
            ("2X", "no unit"),
            ("-2G", "write a number"),
            ("2", "too little"),
            ("511M", "too little"),
        ] {
            let error = size(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
