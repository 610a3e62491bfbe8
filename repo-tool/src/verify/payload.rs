//! A payload against the manifest that names it.

use std::fs::File;
use std::io::{BufReader, Read};

use metadata_schema::digest::Sha256Digest;
use metadata_schema::release::{Image, Payload};

use crate::error::{Error, Result};
use crate::progress::{OnProgress, Progress};
use crate::walk::Opened;

/// Follows the chain of frames from the digest in the manifest, and compares what the header says.
pub(super) fn check(
    opened: Opened,
    payload: &Payload,
    image: &Image,
    from: Option<Sha256Digest>,
    progress: OnProgress<'_>,
) -> Result<()> {
    let path = opened.path.clone();
    let mut counted = Counted {
        inner: BufReader::new(opened.into_file()?),
        payload,
        done: 0,
        progress,
    };
    let summary = firmware_delta::inspect(&mut counted).map_err(|source| Error::Payload {
        path,
        source: Box::new(source),
    })?;
    let differs = |what, expected: String, found: String| {
        let path = payload.path.to_string();
        if expected == found {
            Ok(())
        } else {
            Err(Error::PayloadDiffers {
                path,
                what,
                expected,
                found,
            })
        }
    };
    let digest = |bytes: [u8; 32]| Sha256Digest::from_bytes(bytes).to_string();
    let header = &summary.header;
    differs("head", payload.head.to_string(), digest(summary.head))?;
    differs(
        "length",
        payload.length.to_string(),
        header.payload_length.to_string(),
    )?;
    differs("image", image.sha256.to_string(), digest(header.new.sha256))?;
    differs(
        "image length",
        image.length.to_string(),
        header.new.length.to_string(),
    )?;
    let start = |from: Option<String>| from.unwrap_or_else(|| "none".to_owned());
    differs(
        "starting image",
        start(from.map(|from| from.to_string())),
        start(header.old.map(|old| digest(old.sha256))),
    )
}

struct Counted<'a> {
    inner: BufReader<File>,
    payload: &'a Payload,
    done: u64,
    progress: OnProgress<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(to)?;
        self.done = self
            .done
            .saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        (self.progress)(Progress {
            file: self.payload.path.as_str(),
            stage: "verifying",
            done: self.done,
            total: self.payload.length,
        });
        Ok(read)
    }
}
