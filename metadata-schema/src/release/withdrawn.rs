//! Releases that their publisher took back, and why: signed, so that a device which runs one can say so.

use super::FirmwareVersion;
use crate::json::{Fields, Json, ShapeError};
use crate::time::Timestamp;

/// Most withdrawn releases that a manifest names.
pub const MAX_WITHDRAWN: usize = 64;
/// Longest reason, in bytes.
pub const MAX_REASON: usize = 1024;

/// A release of the channel that was taken back.
///
/// Nobody installs it any more. A device that runs it keeps it, says why it should not, and takes the next release that it
/// may take without waiting for its wave. Nothing else changes: no device goes back to a lower version for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// Which one.
    pub version: FirmwareVersion,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Withdrawn {
    pub(super) fn list(json: Json, at: &str) -> Result<Vec<Self>, ShapeError> {
        let items = json.into_array(at)?;
        if items.len() > MAX_WITHDRAWN {
            let expected = format!("at most {MAX_WITHDRAWN} withdrawn releases");
            return Err(ShapeError::new(at, expected, items.len().to_string()));
        }
        items
            .into_iter()
            .map(|item| Self::from_json(item, at))
            .collect()
    }

    fn from_json(json: Json, at: &str) -> Result<Self, ShapeError> {
        let mut fields = Fields::of(json, at)?;
        Ok(Self {
            version: fields.take("version", FirmwareVersion::from_json)?,
            reason: fields.take("reason", |json, at| {
                let text = json.into_string(at)?;
                if text.len() > MAX_REASON {
                    let expected = format!("at most {MAX_REASON} bytes");
                    return Err(ShapeError::new(at, expected, text.len().to_string()));
                }
                Ok(text)
            })?,
            since: fields.take("since", Timestamp::from_json)?,
        })
    }

    pub(super) fn to_json(&self) -> Json {
        Json::object([
            ("version", Json::from(self.version.clone())),
            ("reason", self.reason.as_str().into()),
            ("since", self.since.into()),
        ])
    }
}
