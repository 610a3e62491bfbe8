//! JSON as metadata needs it: strict, bounded and exact.
//!
//! A signature covers the *canonical form* of what was received, so nothing may be lost between the bytes and that
//! form: members that we do not know, integers beyond 2^64, strings in any Unicode normal form. General purpose
//! parsers lose some of these (and take the last of two equal member names), hence a reader of our own:
//!
//! - [`Json::read`] refuses duplicate member names, fractions and exponents, which canonical JSON does not have, and
//!   nesting beyond [`MAX_DEPTH`];
//! - [`Json::canonical`] writes OLPC canonical JSON, the form that the TUF specification names in section 4.1;
//! - [`Fields`] takes an object apart into typed members and keeps the rest.
mod canonical;
mod fields;
mod read;

use std::collections::BTreeMap;

pub(crate) use fields::shortened;
pub use fields::{Fields, ShapeError};
pub use read::{JsonError, MAX_DEPTH, Refused};

/// One JSON value, with nothing lost that canonical JSON can express.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of any size, as its decimal digits in canonical form (no leading zero, no `-0`).
    Integer(Box<str>),
    /// A string, its characters as they were received: no normalisation.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object. Sorted by the bytes of the names, which is also the order of code points.
    Object(Object),
}

/// The members of a JSON object by name.
pub type Object = BTreeMap<String, Json>;

impl Json {
    /// Name of this value's type, for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Builds an object from its members.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Integer(number.to_string().into())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}
