//! Taking JSON apart into typed members, with errors that say where and what.

use super::{Json, Object};

/// JSON that is well formed but not what stands in the specification at that place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: expected {expected}, found {found}")]
pub struct ShapeError {
    /// Path of member names, such as `signed.roles.root.threshold`.
    pub at: String,
    /// What belongs there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl ShapeError {
    /// An error at `at` about `found`.
    pub fn new(at: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            at: at.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The same error in a part of something that stands at the path `at`.
    #[must_use]
    pub fn below(mut self, at: &str) -> Self {
        self.at = format!("{at}.{}", self.at);
        self
    }
}

/// The members of one object, taken out by name; what is left is what we do not know.
#[derive(Debug)]
pub struct Fields {
    at: String,
    members: Object,
}

impl Fields {
    /// Takes `json` apart, which stands at the path `at`.
    ///
    /// # Errors
    /// If it is not an object.
    pub fn of(json: Json, at: impl Into<String>) -> Result<Self, ShapeError> {
        let at = at.into();
        match json {
            Json::Object(members) => Ok(Self { at, members }),
            other => Err(ShapeError::new(&at, "an object", other.kind())),
        }
    }

    /// Path of the member `name`, for errors.
    pub fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.at)
    }

    /// Takes a member that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub fn required(&mut self, name: &str) -> Result<Json, ShapeError> {
        self.optional(name)
            .ok_or_else(|| ShapeError::new(&self.at(name), "this member", "nothing"))
    }

    /// Takes a member that may be there.
    pub fn optional(&mut self, name: &str) -> Option<Json> {
        self.members.remove(name)
    }

    /// Takes a member that must be there, through `convert`, which gets the value and its name: paths are put together only
    /// where there is an error to tell, for there may be many thousands of members.
    ///
    /// # Errors
    /// If it is missing or `convert` refuses it.
    pub fn take<T>(
        &mut self,
        name: &str,
        convert: impl FnOnce(Json, &str) -> Result<T, ShapeError>,
    ) -> Result<T, ShapeError> {
        convert(self.required(name)?, name).map_err(|e| e.below(&self.at))
    }

    /// Takes an object that must be there, to be taken apart in its turn.
    ///
    /// # Errors
    /// If it is missing, or no object.
    pub fn object(&mut self, name: &str) -> Result<Self, ShapeError> {
        Self::of(self.required(name)?, self.at(name))
    }

    /// Takes a member that may be there, through `convert`.
    ///
    /// # Errors
    /// If `convert` refuses it.
    pub fn take_optional<T>(
        &mut self,
        name: &str,
        convert: impl FnOnce(Json, &str) -> Result<T, ShapeError>,
    ) -> Result<Option<T>, ShapeError> {
        let converted = self.optional(name).map(|json| convert(json, name));
        converted.transpose().map_err(|e| e.below(&self.at))
    }

    /// The members that nobody took.
    pub fn rest(self) -> Object {
        self.members
    }
}

impl Json {
    /// This value as a string.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn into_string(self, at: &str) -> Result<String, ShapeError> {
        match self {
            Self::String(text) => Ok(text),
            other => Err(ShapeError::new(at, "a string", other.kind())),
        }
    }

    /// This value as a boolean.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn into_bool(self, at: &str) -> Result<bool, ShapeError> {
        match self {
            Self::Bool(value) => Ok(value),
            other => Err(ShapeError::new(at, "true or false", other.kind())),
        }
    }

    /// This value as an integer from 0 to 2^64 - 1.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn into_u64(self, at: &str) -> Result<u64, ShapeError> {
        let expected = "an integer from 0 to 18446744073709551615";
        match self {
            Self::Integer(digits) => digits
                .parse()
                .map_err(|_| ShapeError::new(at, expected, shortened(&digits))),
            other => Err(ShapeError::new(at, expected, other.kind())),
        }
    }

    /// This value as an array.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn into_array(self, at: &str) -> Result<Vec<Self>, ShapeError> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(ShapeError::new(at, "an array", other.kind())),
        }
    }

    /// This value as an array of strings.
    ///
    /// # Errors
    /// If it, or an item, is anything else.
    pub fn into_strings(self, at: &str) -> Result<Vec<String>, ShapeError> {
        self.into_array(at)?
            .into_iter()
            .map(|item| item.into_string(at))
            .collect()
    }

    /// This value as the members of an object.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn into_object(self, at: &str) -> Result<Object, ShapeError> {
        Fields::of(self, at).map(Fields::rest)
    }
}

/// The beginning of a text that somebody else chose the length of.
pub(crate) fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let head: String = characters.by_ref().take(40).collect();
    if characters.next().is_some() {
        format!("{head}...")
    } else {
        head
    }
}
