//! What is in a tar file, and where: POSIX ustar (IEEE 1003.1, `pax`), with `path` and `size` of extended headers.
//!
//! Only headers are read. Everything in them is a stranger's word: entries, names and headers are bounded, and every entry has
//! to lie within the file.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of a block: headers take one, content a whole number of them.
const BLOCK: usize = 512;
/// Most headers that are read, of whatever kind.
pub const MAX_HEADERS: u32 = 16 * 1024;
/// Most bytes of all names together.
pub const MAX_NAMES: usize = 1024 * 1024;
/// Longest extended header, in bytes.
const MAX_EXTENDED: u64 = 16 * 1024;

/// Where a file's content stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its first byte, from the beginning of the tar file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The files in a tar file, by their paths.
#[derive(Clone, Debug, Default)]
pub struct Index {
    files: BTreeMap<String, Place>,
}

/// Why a file is no tar file that is taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It ends too early.
    #[error("it ends after {found} bytes, in the midst of {what}: the copy is not whole")]
    Truncated {
        /// Its length.
        found: u64,
        /// What is cut off.
        what: String,
    },
    /// A header is none.
    #[error("at byte {at}: {why}; expected a tar header in the ustar or pax format")]
    Header {
        /// Where it stands.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An entry that is neither file nor folder.
    #[error("at byte {at}: an entry of the kind {kind:?}; expected files and folders only")]
    Kind {
        /// Where its header stands.
        at: u64,
        /// The type flag.
        kind: char,
    },
    /// A name that could lead elsewhere.
    #[error("at byte {at}: the name {name:?} is not acceptable: {why}")]
    Name {
        /// Where its header stands.
        at: u64,
        /// The beginning of the name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two entries of one name.
    #[error("{name:?} is there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// More than a bundle can need.
    #[error("it has more than {most} {what}")]
    TooMuch {
        /// How many there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
}

/// What an extended header says of the entry after it.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    size: Option<u64>,
}

/// A header, read.
struct Header {
    name: String,
    size: u64,
    kind: u8,
}

impl Index {
    /// Reads the headers of a tar file.
    ///
    /// # Errors
    /// If it cannot be read, is cut off, is no ustar or pax file, or has entries that no bundle has.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, TarError> {
        let found = file.seek(SeekFrom::End(0))?;
        let mut index = Self::default();
        let (mut at, mut names) = (0, 0_usize);
        let mut extended = Extended::default();
        for _ in 0..MAX_HEADERS {
            let mut block = [0; BLOCK];
            let whole = |what: &str, end: Option<u64>| match end {
                Some(end) if end <= found => Ok(end),
                _ => Err(TarError::Truncated {
                    found,
                    what: what.to_owned(),
                }),
            };
            let content = whole("its list of entries", after(at, BLOCK_LENGTH))?;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut block)?;
            // A block of zeros ends it; a file that was cut off has none.
            if block.iter().all(|byte| *byte == 0) {
                return Ok(index);
            }
            let header = Header::parse(at, &block)?;
            let name = extended.path.take().unwrap_or(header.name);
            let length = match header.kind {
                b'x' => header.size,
                _ => extended.size.take().unwrap_or(header.size),
            };
            whole(&shortened(&name), after(content, length))?;
            match header.kind {
                b'x' => extended = Extended::read(file, content, length, at)?,
                b'5' if length == 0 => {}
                b'0' | 0 => {
                    let name = acceptable(at, &name)?;
                    names = names.saturating_add(name.len());
                    if names > MAX_NAMES {
                        return Err(TarError::TooMuch {
                            most: MAX_NAMES,
                            what: "bytes of names",
                        });
                    }
                    let offset = content;
                    if index.files.contains_key(&name) {
                        return Err(TarError::Twice { name });
                    }
                    index.files.insert(name, Place { offset, length });
                }
                kind => {
                    let kind = char::from(kind);
                    return Err(TarError::Kind { at, kind });
                }
            }
            let padded = length.checked_next_multiple_of(BLOCK_LENGTH);
            let next = padded.and_then(|padded| after(content, padded));
            at = whole("its last entry", next)?;
        }
        Err(TarError::TooMuch {
            most: usize::try_from(MAX_HEADERS).unwrap_or(usize::MAX),
            what: "entries",
        })
    }

    /// Where the content of a file stands; none if there is no such file.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.files.get(path).copied()
    }

    /// All files, sorted by their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Place)> {
        self.files
            .iter()
            .map(|(path, place)| (path.as_str(), *place))
    }
}

/// [`BLOCK`] as a length.
const BLOCK_LENGTH: u64 = 512;

fn after(offset: u64, length: u64) -> Option<u64> {
    offset.checked_add(length)
}

impl Header {
    fn parse(at: u64, block: &[u8; BLOCK]) -> Result<Self, TarError> {
        let wrong = |why| TarError::Header { at, why };
        let part = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
        if part(257, 263) != b"ustar\0" {
            return Err(wrong("there is no mark \"ustar\""));
        }
        let sum = octal(part(148, 156)).ok_or_else(|| wrong("its checksum is no octal number"))?;
        let bytes = block.iter().enumerate();
        // The checksum counts its own field as blanks.
        let counted = bytes.map(|(index, byte)| match index {
            148..156 => u64::from(b' '),
            _ => u64::from(*byte),
        });
        if counted.sum::<u64>() != sum {
            return Err(wrong("its checksum is wrong"));
        }
        let size = octal(part(124, 136)).ok_or_else(|| wrong("its size is no octal number"))?;
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0);
            let field = field.get(..end.unwrap_or(field.len())).unwrap_or_default();
            String::from_utf8(field.to_vec()).map_err(|_| wrong("its name is not UTF-8"))
        };
        let (name, prefix) = (text(part(0, 100))?, text(part(345, 500))?);
        Ok(Self {
            name: if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            },
            size,
            kind: part(156, 157).first().copied().unwrap_or_default(),
        })
    }
}

impl Extended {
    /// Reads the records `LENGTH KEY=VALUE` of an extended header.
    fn read(
        file: &mut (impl Read + Seek),
        offset: u64,
        length: u64,
        at: u64,
    ) -> Result<Self, TarError> {
        if length > MAX_EXTENDED {
            return Err(TarError::Header {
                at,
                why: "its extended header is longer than 16 KiB",
            });
        }
        let mut records = vec![0; usize::try_from(length).unwrap_or_default()];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut records)?;
        Self::parse(&records).ok_or(TarError::Header {
            at,
            why: "its extended header has not the form that it must have",
        })
    }

    fn parse(mut records: &[u8]) -> Option<Self> {
        let mut extended = Self::default();
        while !records.is_empty() {
            let blank = records.iter().position(|byte| *byte == b' ')?;
            let digits = std::str::from_utf8(records.get(..blank)?).ok()?;
            let length: usize = digits.parse().ok()?;
            let record = records.get(blank.checked_add(1)?..length)?;
            let record = std::str::from_utf8(record).ok()?.strip_suffix('\n')?;
            match record.split_once('=')? {
                ("path", path) => extended.path = Some(path.to_owned()),
                ("size", size) => extended.size = Some(size.parse().ok()?),
                // Times, owners and the like.
                _ => {}
            }
            records = records.get(length..)?;
        }
        Some(extended)
    }
}

/// A number in octal digits, ended by a blank or a zero byte.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(field).ok()?;
    let digits = digits.trim_matches([' ', '\0']);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    u64::from_str_radix(digits, 8).ok().filter(|_| plain)
}

/// A name that cannot lead anywhere but to itself.
fn acceptable(at: u64, name: &str) -> Result<String, TarError> {
    let plain = name.strip_prefix("./").unwrap_or(name);
    let why = if plain.len() > 1024 {
        "it is longer than 1024 bytes"
    } else if plain.chars().any(char::is_control) {
        "it has a control character"
    } else if plain.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "it is not a plain path"
    } else {
        return Ok(plain.to_owned());
    };
    let name = shortened(name);
    Err(TarError::Name { at, name, why })
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}
