//! Digests of files: the one digest check of the workspace.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

use crate::json::{Fields, Json, Object, ShapeError, shortened};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a JSON string of 64 lower-case hex digits that stands at the path `at`.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let text = json.into_string(at)?;
        text.parse().map_err(|_| {
            ShapeError::new(
                at,
                "64 lower-case hex digits",
                format!("{} characters", text.len()),
            )
        })
    }
}

/// A SHA-256 digest that is computed a piece at a time: how a publisher learns the digest of what is too large to hold.
///
/// ```
/// use metadata_schema::digest::{Running, Sha256Digest};
/// let mut running = Running::default();
/// running.update(b"one ");
/// running.update(b"two");
/// assert_eq!(running.finish(), (Sha256Digest::of(b"one two"), 7));
/// ```
#[derive(Clone, Default)]
pub struct Running {
    hasher: Sha256,
    length: u64,
}

impl Running {
    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.length = self.length.saturating_add(length);
    }

    /// The digest of all pieces, and their length in bytes.
    pub fn finish(self) -> (Sha256Digest, u64) {
        (Sha256Digest(self.hasher.finalize().into()), self.length)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hex digits")]
pub struct DigestError;

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        lower_hex(text).map(Self).ok_or(DigestError)
    }
}

impl From<Sha256Digest> for Json {
    fn from(digest: Sha256Digest) -> Self {
        Self::String(digest.to_string())
    }
}

impl serde::Serialize for Sha256Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Sha256Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The digests that metadata names for a file. SHA-256 and SHA-512 are checked; where neither is named, nothing matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// SHA-256, if named.
    pub sha256: Option<Sha256Digest>,
    /// SHA-512, if named.
    pub sha512: Option<[u8; 64]>,
    /// Digests of other kinds, as they were read.
    pub others: Object,
}

impl Hashes {
    /// Only the SHA-256 digest.
    pub fn sha256(digest: Sha256Digest) -> Self {
        Self {
            sha256: Some(digest),
            sha512: None,
            others: Object::new(),
        }
    }

    /// Reads the object `hashes` that stands at the path `at`.
    ///
    /// # Errors
    /// If a digest that we know is malformed.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        let sha256 = fields.take_optional("sha256", Sha256Digest::from_json)?;
        let sha512 = fields.take_optional("sha512", |json, at| {
            let text = json.into_string(at)?;
            lower_hex(&text).ok_or_else(|| {
                ShapeError::new(
                    at,
                    "128 lower-case hex digits",
                    format!("{} characters", text.len()),
                )
            })
        })?;
        Ok(Self {
            sha256,
            sha512,
            others: fields.rest(),
        })
    }

    /// As JSON.
    pub fn to_json(&self) -> Json {
        let mut members = self.others.clone();
        if let Some(digest) = self.sha256 {
            members.insert("sha256".to_owned(), digest.into());
        }
        if let Some(digest) = &self.sha512 {
            members.insert("sha512".to_owned(), Json::String(hex::encode(digest)));
        }
        Json::Object(members)
    }

    /// The hex digest that stands before the file name in a consistent snapshot (TUF 1.0.34, section 6.2).
    pub fn file_prefix(&self) -> String {
        match (&self.sha256, &self.sha512) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(digest)) => hex::encode(digest),
            (None, None) => String::new(),
        }
    }

    /// Checks a whole file.
    ///
    /// # Errors
    /// As [`Checker::finish`].
    pub fn check(&self, length: Length, bytes: &[u8]) -> Result<(), ContentError> {
        let mut checker = self.checker(length);
        checker.update(bytes)?;
        checker.finish()
    }

    /// A running check of a file's bytes against length and digests.
    pub fn checker(&self, length: Length) -> Checker<'_> {
        Checker {
            expected: self,
            length,
            seen: 0,
            sha256: self.sha256.map(|_| Sha256::new()),
            sha512: self.sha512.map(|_| Sha512::new()),
        }
    }
}

/// What is known of a file's length, in bytes, before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Length {
    /// Exactly so long.
    Exactly(u64),
    /// Not longer than this.
    AtMost(u64),
}

impl Length {
    /// The most that may be read.
    pub fn most(self) -> u64 {
        match self {
            Self::Exactly(n) | Self::AtMost(n) => n,
        }
    }

    /// Whether a file that ends after `found` bytes is so long.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(self, found: u64) -> Result<(), ContentError> {
        match self {
            Self::Exactly(expected) | Self::AtMost(expected) if found > expected => {
                Err(ContentError::TooLong { expected })
            }
            Self::Exactly(expected) if found < expected => {
                Err(ContentError::Length { expected, found })
            }
            Self::Exactly(_) | Self::AtMost(_) => Ok(()),
        }
    }
}

/// A file is not the one that the metadata names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// More bytes than there may be.
    #[error("longer than the {expected} bytes that it may have")]
    TooLong {
        /// Bytes at most.
        expected: u64,
    },
    /// Another number of bytes than there must be.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes that the metadata names.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// No digest of a kind that we can check.
    #[error("expected a sha256 or sha512 digest to check it by, found {found:?}")]
    NoDigest {
        /// The kinds that the metadata names.
        found: Vec<String>,
    },
    /// Another digest.
    #[error("expected {kind} {expected}, found {found}")]
    Digest {
        /// `sha256` or `sha512`.
        kind: &'static str,
        /// Digest that the metadata names, in hex.
        expected: String,
        /// Digest of what came, in hex.
        found: String,
    },
}

/// Checks a file's bytes as they pass.
#[derive(Debug)]
pub struct Checker<'a> {
    expected: &'a Hashes,
    length: Length,
    seen: u64,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

impl Checker<'_> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as there are more than there may be.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.seen = self
            .seen
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Length::AtMost(self.length.most()).check(self.seen)?;
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Ends the check.
    ///
    /// # Errors
    /// If the length or any named digest differs, or none is named that we can check.
    pub fn finish(self) -> Result<(), ContentError> {
        self.length.check(self.seen)?;
        if self.sha256.is_none() && self.sha512.is_none() {
            let kinds = self.expected.others.keys().take(4);
            return Err(ContentError::NoDigest {
                found: kinds.map(|kind| shortened(kind)).collect(),
            });
        }
        if let (Some(hasher), Some(expected)) = (self.sha256, &self.expected.sha256) {
            let found: [u8; 32] = hasher.finalize().into();
            same("sha256", expected.as_bytes(), &found)?;
        }
        if let (Some(hasher), Some(expected)) = (self.sha512, &self.expected.sha512) {
            let found: [u8; 64] = hasher.finalize().into();
            same("sha512", expected, &found)?;
        }
        Ok(())
    }
}

fn same(kind: &'static str, expected: &[u8], found: &[u8]) -> Result<(), ContentError> {
    if expected == found {
        return Ok(());
    }
    Err(ContentError::Digest {
        kind,
        expected: hex::encode(expected),
        found: hex::encode(found),
    })
}

fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut out).is_ok()).then_some(out)
}
