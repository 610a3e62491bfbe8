//! Points in time as metadata writes them.

use std::fmt;
use std::str::FromStr;

use ::time::format_description::BorrowedFormatItem;
use ::time::macros::format_description;
use ::time::{OffsetDateTime, PrimitiveDateTime};

use crate::json::{Json, ShapeError};

/// `YYYY-MM-DDTHH:MM:SSZ`, TUF 1.0.34 section 4.2.1.
const FORMAT: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A point in time in UTC, to the second.
///
/// ```
/// use metadata_schema::time::Timestamp;
/// let expires: Timestamp = "2030-01-31T00:00:00Z".parse().unwrap();
/// assert_eq!(expires.unix_seconds(), 1_896_048_000);
/// assert!("2030-01-31 00:00".parse::<Timestamp>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59Z, the last that the format can write.
    pub const MAX: Self = Self(253_402_300_799);

    /// From seconds since 1970-01-01T00:00:00Z; brought into the years 0 to 9999.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.clamp(-62_167_219_200, Self::MAX.0))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.0
    }

    /// This point, `seconds` later (or earlier, if negative).
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_unix_seconds(self.0.saturating_add(seconds))
    }

    /// Reads a JSON string that stands at the path `at`.
    ///
    /// # Errors
    /// If it is not a timestamp of exactly this format.
    pub fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let text = json.into_string(at)?;
        let expected = "a time such as 2030-01-31T00:00:00Z";
        text.parse().map_err(|_| {
            ShapeError::new(at, expected, format!("{:?}", crate::json::shortened(&text)))
        })
    }
}

/// The one point in time that all checks of a refresh use: fixed at its start (TUF 1.0.34, section 5.1).
pub type ReferenceTime = Timestamp;

/// A text is not a time in the format `YYYY-MM-DDTHH:MM:SSZ`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2030-01-31T00:00:00Z")]
pub struct TimestampError;

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        // The length rules out signs and more than four digits of the year, which the format parser takes.
        if text.len() != 20 {
            return Err(TimestampError);
        }
        let parsed = PrimitiveDateTime::parse(text, FORMAT).map_err(|_| TimestampError)?;
        Ok(Self(parsed.assume_utc().unix_timestamp()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|t| t.format(FORMAT).ok());
        f.write_str(text.as_deref().unwrap_or("0000-01-01T00:00:00Z"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Timestamp> for Json {
    fn from(time: Timestamp) -> Self {
        Self::String(time.to_string())
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
