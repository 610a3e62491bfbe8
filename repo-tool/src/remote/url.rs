//! How people name a place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

use crate::error::{Error, Result};

/// What may stand before `://`.
const SCHEMES: &[&str] = &["s3", "gs", "az", "https", "http"];

/// Where to publish to: a folder, or a URL with one of the schemes `s3`, `gs`, `az`, `https`, `http` (WebDAV), `file`.
///
/// ```
/// use repo_tool::remote::Place;
/// assert!(matches!("mirror".parse()?, Place::Folder(_)));
/// assert_eq!("s3://bucket/firmware/".parse::<Place>()?.to_string(), "s3://bucket/firmware");
/// assert!("ftp://host/".parse::<Place>().is_err());
/// assert!("https://user:secret@host/".parse::<Place>().is_err());
/// # Ok::<(), repo_tool::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Anything else.
    Url(Url),
}

impl Place {
    /// This place, or if it is a relative folder, the one below `base`.
    #[must_use]
    pub fn below(self, base: &Path) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(base.join(path)),
            url => url,
        }
    }

    /// Whether this is a server that may speak without TLS: the administrator wrote `http://`.
    pub(super) fn is_clear(&self) -> bool {
        matches!(self, Self::Url(url) if url.scheme() == "http")
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |expected| Err(Error::argument("place to publish to", text, expected));
        if !text.contains("://") {
            if text.is_empty() {
                return refuse("a folder or a URL");
            }
            return Ok(Self::Folder(text.into()));
        }
        let Ok(url) = Url::parse(text.trim_end_matches('/')) else {
            return refuse("a folder or a URL, such as s3://bucket/firmware");
        };
        if url.scheme() == "file" {
            return url.to_file_path().map(Self::Folder).or_else(|()| {
                refuse("a folder of this machine after file://, such as file:///srv/firmware")
            });
        }
        if !SCHEMES.contains(&url.scheme()) {
            return refuse("a folder, or a URL that begins with s3, gs, az, https, http or file");
        }
        if url.password().is_some() || !url.username().is_empty() {
            return refuse(
                "a URL without a password: REPO_TOOL_PUSH_USER and REPO_TOOL_PUSH_PASSWORD hold it",
            );
        }
        if url.host_str().is_none_or(str::is_empty) || url.query().is_some() {
            return refuse("a URL with a host or bucket, and without a query");
        }
        Ok(Self::Url(url))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}
