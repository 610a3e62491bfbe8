//! Names, versions and paths: parsed once, valid ever after.

use std::borrow::Borrow;
use std::fmt;

use crate::digest::Sha256Digest;
use crate::json::{Json, ShapeError, shortened};

/// A name is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?}: {why}")]
pub struct NameError {
    what: &'static str,
    found: String,
    why: &'static str,
}

impl NameError {
    fn new(what: &'static str, found: &str, why: &'static str) -> Self {
        Self {
            what,
            found: shortened(found),
            why,
        }
    }
}

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for Json {
            fn from(name: $name) -> Self {
                Self::String(name.0)
            }
        }
    };
}

/// The name of a role: one of the four top-level roles, or a delegated one.
///
/// Any text without control characters, for the specification does not restrict it; [`RoleName::file_stem`] makes a file
/// name of it that cannot leave its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);
text_type!(RoleName);

impl RoleName {
    /// Longest role name, in bytes of its [`RoleName::file_stem`]: a file name has to hold it.
    pub const MAX_LENGTH: usize = 200;

    /// `root`
    pub fn root() -> Self {
        Self("root".to_owned())
    }

    /// `timestamp`
    pub fn timestamp() -> Self {
        Self("timestamp".to_owned())
    }

    /// `snapshot`
    pub fn snapshot() -> Self {
        Self("snapshot".to_owned())
    }

    /// `targets`, the top-level one
    pub fn targets() -> Self {
        Self("targets".to_owned())
    }

    /// The name of a delegated role.
    ///
    /// # Errors
    /// If it is empty, too long, has control characters, or is the name of a top-level role.
    pub fn delegated(name: &str) -> Result<Self, NameError> {
        let refuse = |why| Err(NameError::new("role name", name, why));
        if name.is_empty() {
            refuse("empty")
        } else if file_stem(name).len() > Self::MAX_LENGTH {
            refuse("longer than 200 bytes when percent-encoded")
        } else if name.chars().any(char::is_control) {
            refuse("has a control character")
        } else if matches!(name, "root" | "timestamp" | "snapshot" | "targets") {
            refuse("is the name of a top-level role")
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// Whether this is one of root, timestamp, snapshot and targets.
    pub fn is_top_level(&self) -> bool {
        matches!(self.as_str(), "root" | "timestamp" | "snapshot" | "targets")
    }

    /// The name as the stem of a file name or URL segment: everything but letters, digits, `-`, `_`, `~` and inner
    /// `.` percent-encoded (RFC 3986, section 2.1), so that no name can leave its folder.
    pub fn file_stem(&self) -> String {
        file_stem(&self.0)
    }

    /// The delegated role whose [`RoleName::file_stem`] this is; none if it is that of no role.
    pub fn from_file_stem(stem: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(stem.len());
        let mut rest = stem.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(if byte == b'%' {
                let (high, low) = (hex_digit(rest.next()?)?, hex_digit(rest.next()?)?);
                high.checked_mul(16)?.checked_add(low)?
            } else {
                byte
            });
        }
        let role = Self::delegated(std::str::from_utf8(&bytes).ok()?).ok()?;
        (role.file_stem() == stem).then_some(role)
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn file_stem(name: &str) -> String {
    let mut out = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~')
            || (byte == b'.' && index > 0);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The path of a target: segments joined by `/`, relative, none of them empty, `.` or `..`.
///
/// ```
/// use metadata_schema::name::TargetPath;
/// assert!(TargetPath::new("router-x/stable.release.json").is_ok());
/// for bad in ["", "/etc/passwd", "a/../b", "a//b", "a\\b", "a\0b", "./a"] {
///     assert!(TargetPath::new(bad).is_err(), "{bad}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(String);
text_type!(TargetPath);

impl TargetPath {
    /// Longest target path, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// Checks a path.
    ///
    /// # Errors
    /// If it could leave its folder or is not portable.
    pub fn new(path: &str) -> Result<Self, NameError> {
        let refuse = |why| Err(NameError::new("target path", path, why));
        if path.len() > Self::MAX_LENGTH {
            refuse("longer than 1024 bytes")
        } else if path.chars().any(|c| c.is_control() || c == '\\') {
            refuse("has a backslash or a control character")
        } else if path
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            refuse("is absolute, or has a segment that is empty, '.' or '..'")
        } else {
            Ok(Self(path.to_owned()))
        }
    }

    /// Reads a JSON string that stands at the path `at`.
    ///
    /// # Errors
    /// If it is not a string or not acceptable.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let text = json.into_string(at)?;
        Self::new(&text).map_err(|e| ShapeError::new(at, "a relative target path", e.to_string()))
    }

    /// The SHA-256 digest of the path in hex, which decides about hashed bins (section 4.5, `path_hash_prefixes`).
    pub fn digest_hex(&self) -> String {
        Sha256Digest::of(self.0.as_bytes()).to_string()
    }

    /// Folder (with its `/`, or empty) and file name.
    pub fn split(&self) -> (&str, &str) {
        let cut = self.0.rfind('/').map_or(0, |slash| slash.saturating_add(1));
        self.0.split_at(cut)
    }
}

/// The version of a metadata file: 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(std::num::NonZeroU64);

impl Version {
    /// The first version.
    pub const FIRST: Self = Self(std::num::NonZeroU64::MIN);

    /// A version number, unless it is 0.
    pub fn new(number: u64) -> Option<Self> {
        std::num::NonZeroU64::new(number).map(Self)
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The version after this one; none after 2^64 - 1.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// Reads a JSON integer that stands at the path `at`.
    ///
    /// # Errors
    /// If it is not an integer, or 0.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let number = json.into_u64(at)?;
        Self::new(number).ok_or_else(|| ShapeError::new(at, "a version of 1 or more", "0"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Version> for Json {
    fn from(version: Version) -> Self {
        version.number().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_file_stems_stay_in_their_folder() {
        for (name, stem) in [
            ("router-x", "router-x"),
            ("../up", "%2E.%2Fup"),
            ("a/b", "a%2Fb"),
            (".", "%2E"),
            ("v1.2", "v1.2"),
            ("é", "%C3%A9"),
            ("a%b", "a%25b"),
        ] {
            assert_eq!(RoleName::delegated(name).unwrap().file_stem(), stem);
        }
        for bad in ["", "root", "targets", "a\0b", "a\nb", &"x".repeat(201)] {
            assert!(RoleName::delegated(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_do_not_wrap() {
        assert_eq!(Version::new(0), None);
        assert_eq!(Version::new(u64::MAX).unwrap().next(), None);
    }

    proptest::proptest! {
        #[test]
        fn target_paths_never_escape(path: String) {
            if let Ok(path) = TargetPath::new(&path) {
                let joined = std::path::Path::new("/base").join(path.as_str());
                proptest::prop_assert!(joined.starts_with("/base"));
                proptest::prop_assert!(!joined.components().any(|c| c == std::path::Component::ParentDir));
                let (folder, file) = path.split();
                proptest::prop_assert_eq!(format!("{folder}{file}"), path.as_str());
                proptest::prop_assert!(!file.is_empty());
            }
        }
    }
}
