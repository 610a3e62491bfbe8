//! Digests of files that may be large.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use metadata_schema::digest::{ContentError, Hashes, Length};
use metadata_schema::name::RoleName;

use crate::error::{Error, Result};

/// Checks length and digests of a file, a piece at a time.
pub(crate) fn check_file(
    path: &Path,
    role: &RoleName,
    length: Length,
    hashes: &Hashes,
) -> Result<()> {
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    check(&mut file, path, role, length, hashes)
}

/// The same of a file that is open; `path` is what errors call it.
pub(crate) fn check(
    file: &mut File,
    path: &Path,
    role: &RoleName,
    length: Length,
    hashes: &Hashes,
) -> Result<()> {
    let wrong = |source: ContentError| Error::Content {
        path: path.to_owned(),
        role: role.clone(),
        source,
    };
    let mut checker = hashes.checker(length);
    let mut piece = vec![0; 1 << 18];
    loop {
        let read = file
            .read(&mut piece)
            .map_err(|e| Error::io("read", path, e))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        checker.update(bytes).map_err(wrong)?;
    }
    checker.finish().map_err(wrong)
}
