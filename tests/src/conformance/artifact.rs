//! Target files on disk: named so that no name can leave the folder, checked as they stream in, in place only when whole.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use device_pki::durable::{PUBLIC, Replacement};
use metadata_schema::digest::Sha256Digest;
use metadata_schema::search::VerifiedTarget;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use updater::error::Error;
use updater::transport::{Part, Request, Transport};

use super::Failure;

/// Everything but letters, digits, `-`, `_` and `.` is percent-encoded, `/` among it: all files stand in one folder, so that the
/// targets `a` and `a/b` do not meet.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// Longest file name that the target's name is written out in, in bytes: with what a temporary name adds, a file system holds it.
const LONGEST: usize = 200;
/// Bytes that are read from disk at once.
const PIECE: usize = 64 * 1024;

/// The file name of a target, whatever its name: encoded; hidden names are made visible; long names end in their digest.
///
/// ```
/// use tests::conformance::file_name;
/// assert_eq!(file_name("a/b c#.txt"), "a%2Fb%20c%23.txt");
/// assert_eq!(file_name("../up"), "%2E.%2Fup");
/// assert_eq!(file_name(&"é".repeat(300)).len(), 200);
/// ```
pub fn file_name(target: &str) -> String {
    let encoded = utf8_percent_encode(target, NAME).to_string();
    let encoded = match encoded.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => encoded,
    };
    if encoded.len() <= LONGEST {
        return encoded;
    }
    // '~' does not occur in an encoded name, so a shortened name is nobody else's.
    let digest = Sha256Digest::of(target.as_bytes()).to_string();
    let room = LONGEST.saturating_sub(digest.len()).saturating_sub(1);
    let head: String = encoded.chars().take(room).collect();
    format!("{head}~{digest}")
}

/// Whether the file is the target, by length and digests.
pub(super) fn is_there(file: &Path, target: &VerifiedTarget) -> bool {
    let Ok(mut file) = File::open(file) else {
        return false;
    };
    let mut check = target.hashes().checker(target.length());
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return check.finish().is_ok(),
            Ok(read) => {
                let fits = piece.get(..read).map(|bytes| check.update(bytes));
                if !matches!(fits, Some(Ok(()))) {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

/// Fetches the target into the file, piece by piece.
///
/// # Errors
/// If it does not arrive, is not the one that was signed, or cannot be stored. The file then stands as it was.
pub(super) async fn fetch(
    transport: &mut dyn Transport,
    target: &VerifiedTarget,
    file: &Path,
) -> Result<(), Failure> {
    let request = Request {
        part: Part::Targets,
        path: target.file_path(),
        offset: 0,
        most: target.length().most(),
    };
    let differs = |source| Error::Target {
        path: target.path().to_string(),
        source,
    };
    let body = transport.open(&request).await.map_err(Error::from)?;
    let mut body = body.ok_or(Error::Missing { what: request.path })?;
    let mut check = target.hashes().checker(target.length());
    let mut replacement = Replacement::begin(file, PUBLIC)?;
    while let Some(piece) = body.piece().await.map_err(Error::from)? {
        check.update(&piece).map_err(differs)?;
        replacement.push(&piece)?;
    }
    check.finish().map_err(differs)?;
    Ok(replacement.finish()?)
}
