//! Where signatures that were made apart come from: another copy of the repository, a folder of signature files, single files,
//! or text that a program read from its standard input.

use std::path::{Path, PathBuf};

use device_pki::durable;
use metadata_schema::json::Json;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::repository::Repository;
use crate::staged::{SIGNATURE_LIMIT, SignatureFile, stems};

/// Most bytes that are read as signatures from one text.
const TEXT_LIMIT: usize = 4 << 20;

/// Something that is offered for a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Another copy of the repository, its `staged` or `staged/signatures`, or one signature file.
    Path(PathBuf),
    /// Signature files one after the other, one a line, or as a JSON array; and what to call them.
    Text(String, Vec<u8>),
}

/// What an offer turns out to be.
pub(super) enum Found {
    /// Another copy, which has its own event.
    Copy(Box<Repository>),
    /// Signatures, and where each comes from.
    Files(Vec<(String, SignatureFile)>),
}

impl Offer {
    pub(super) fn open(&self) -> Result<Found> {
        match self {
            Self::Text(what, text) => Ok(Found::Files(read_text(what, text)?)),
            Self::Path(path) if path.is_dir() => open_folder(path),
            Self::Path(path) => {
                let what = path.display().to_string();
                let text = durable::read_bounded(path, SIGNATURE_LIMIT)?;
                Ok(Found::Files(read_text(&what, &text)?))
            }
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Text(what, _) => what.clone(),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

fn open_folder(path: &Path) -> Result<Found> {
    if Layout::settings(path).is_file() {
        return Ok(Found::Copy(Box::new(Repository::open(path)?)));
    }
    let inner = [
        path.join("signatures"),
        path.join("staged").join("signatures"),
    ];
    let folder = inner
        .iter()
        .find(|path| path.is_dir())
        .map_or(path, PathBuf::as_path);
    let mut files = Vec::new();
    for stem in stems(folder)? {
        let file = folder.join(format!("{stem}.json"));
        let what = file.display().to_string();
        files.extend(read_text(
            &what,
            &durable::read_bounded(&file, SIGNATURE_LIMIT)?,
        )?);
    }
    if files.is_empty() {
        return Err(unusable(
            &path.display().to_string(),
            "there are no signature files in it",
        ));
    }
    Ok(Found::Files(files))
}

fn read_text(what: &str, text: &[u8]) -> Result<Vec<(String, SignatureFile)>> {
    if text.len() > TEXT_LIMIT {
        return Err(unusable(
            what,
            &format!("it has more than {TEXT_LIMIT} bytes"),
        ));
    }
    let values = match Json::read(text) {
        Ok(Json::Array(values)) => values,
        Ok(value) => vec![value],
        Err(error) => {
            // One a line.
            let lines = text.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.trim_ascii().is_empty());
            let values = lines.map(Json::read).collect::<Result<Vec<_>, _>>();
            values.map_err(|_| unusable(what, &error.to_string()))?
        }
    };
    if values.is_empty() {
        return Err(unusable(what, "there is no signature in it"));
    }
    let mut files = Vec::new();
    for value in values {
        let file = SignatureFile::from_json(value, what)
            .map_err(|error| unusable(what, &error.to_string()))?;
        files.push((what.to_owned(), file));
    }
    Ok(files)
}

fn unusable(what: &str, why: &str) -> Error {
    Error::Offer {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}
