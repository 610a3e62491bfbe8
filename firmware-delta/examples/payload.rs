//! Makes, applies and inspects payloads from files: for trying things out and for measuring.
//!
//! ```text
//! payload diff OLD NEW PAYLOAD      payload full NEW PAYLOAD
//! payload apply OLD|- PAYLOAD NEW   payload inspect PAYLOAD
//! payload within MIB OLD NEW PAYLOAD
//! ```
//!
//! `apply` trusts the header of the payload, which an updater must never do: there, a signed manifest says what
//! to expect.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};

use firmware_delta::format::{Codecs, HEADER_LEN, Header, StreamKind};
use firmware_delta::{
    Applier, DiffOptions, Expectation, Limits, SeekImage, StreamCodec, VerifiedOld, diff,
    diff_within, full, inspect, verify_old,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["diff", old, new, payload] => make_delta(old, new, payload),
        ["within", mebibytes, old, new, payload] => {
            let memory = mebibytes.parse::<u64>()? << 20;
            let mut old = SeekImage::whole(File::open(old)?)?;
            let mut new = BufReader::with_capacity(1 << 20, File::open(new)?);
            let mut to = BufWriter::new(File::create(payload)?);
            let mut spool = tempfile::tempfile()?;
            let options = DiffOptions::default();
            let built = diff_within(
                memory,
                &mut old,
                &mut new,
                &options,
                &mut spool,
                &mut to,
                &|_| {},
            )?;
            println!("{} bytes, {} frames", built.payload.length, built.frames);
            Ok(())
        }
        ["full", new, payload] => {
            let mut to = BufWriter::new(File::create(payload)?);
            let options = DiffOptions::default();
            let mut spool = tempfile::tempfile()?;
            let built = full(
                &mut File::open(new)?,
                &options,
                &mut spool,
                &mut to,
                &|_| {},
            )?;
            println!("{} bytes, {} frames", built.payload.length, built.frames);
            Ok(())
        }
        ["apply", old, payload, new] => apply(old, payload, new),
        ["inspect", payload] => show(payload),
        _ => Err("usage: payload diff|within|full|apply|inspect FILES".into()),
    }
}

fn make_delta(old: &str, new: &str, payload: &str) -> Result<(), Box<dyn Error>> {
    let (old, new) = (fs::read(old)?, fs::read(new)?);
    let mut to = BufWriter::new(File::create(payload)?);
    let mut options = DiffOptions::default();
    if std::env::var_os("LZMA2").is_some() {
        options.codec = StreamCodec::Lzma2;
    }
    options.containers = Codecs::KNOWN;
    options.predict = std::env::var_os("PLAIN").is_none();
    let built = diff(&old, &new, &options, &mut to, &|_| {})?;
    println!("{} bytes, {} frames", built.payload.length, built.frames);
    Ok(())
}

fn apply(old: &str, payload: &str, new: &str) -> Result<(), Box<dyn Error>> {
    let mut payload = File::open(payload)?;
    let mut bytes = [0; HEADER_LEN];
    payload.read_exact(&mut bytes)?;
    let header = Header::parse(&bytes)?;
    let head = inspect_head(&bytes);
    let expected = Expectation {
        head,
        new: header.new,
        old: header.old,
    };
    let old = match &expected.old {
        Some(id) => verify_old(SeekImage::whole(File::open(old)?)?, id)?,
        None => VerifiedOld::none(),
    };
    let mut applier = Applier::new(expected, Limits::default(), old)?;
    let mut new = File::create(new)?;
    applier.push(&bytes, &mut new)?;
    let mut chunk = vec![0; 64 << 10];
    loop {
        let read = payload.read(&mut chunk)?;
        match chunk.get(..read).filter(|read| !read.is_empty()) {
            Some(read) => applier.push(read, &mut new)?,
            None => break,
        };
    }
    applier.finish()?;
    new.flush()?;
    Ok(())
}

/// The digest that a manifest would name.
fn inspect_head(header: &[u8; HEADER_LEN]) -> [u8; 32] {
    firmware_delta::ImageId::of(header).sha256
}

fn show(payload: &str) -> Result<(), Box<dyn Error>> {
    let summary = inspect(&mut File::open(payload)?)?;
    println!("{}, {} frames", summary.kind(), summary.frames.len());
    println!("new image: {}", summary.header.new);
    if let Some(old) = summary.header.old {
        println!("old image: {old}");
    }
    for kind in StreamKind::ALL {
        let stream = summary.stream(kind);
        println!(
            "{kind:>8} {:>12} bytes, {:>12} decoded",
            stream.encoded, stream.decoded
        );
    }
    println!("{:>8} {:>12} bytes", "other", summary.overhead());
    Ok(())
}
