//! The four roles and delegations (TUF 1.0.34, section 4), read from and written to JSON without loss.
//!
//! Members that we do not know are kept in `extra` and written back, so that a tool which edits metadata drops nothing.

mod bundle;
mod delegation;
mod listing;
mod root;
mod targets;

pub use bundle::{BUNDLE_FILE, Bundle};
pub use delegation::{DelegatedRole, Delegations, PathSet};
pub use listing::{MetaFile, Snapshot, Timestamp};
pub use root::{RoleKeys, Root};
pub use targets::{TargetFile, Targets};

use crate::json::{Fields, Json, Object, ShapeError};
use crate::name::Version;
use crate::time;

/// The specification that what we write follows.
pub const SPEC_VERSION: &str = "1.0.34";
/// The member of `signed` that says when a file was issued: TUF has only expiry, and a device's clock needs a floor.
pub const ISSUED_MEMBER: &str = "x-issued";

/// The member of `signed` that says which targets role a file is for. Where the same people sign several roles, their file
/// for one could otherwise be served as another's by whoever holds the online keys.
pub const ROLE_MEMBER: &str = "x-role";

/// One kind of metadata.
pub trait Role: Sized {
    /// The value of `_type`.
    const TYPE: &'static str;

    /// Reads the value of `signed`, which stands at the path `at`.
    ///
    /// # Errors
    /// If it has not the form that the specification gives.
    fn parse(signed: Json, at: &str) -> Result<Self, ShapeError>;

    /// What every role has.
    fn common(&self) -> &Common;

    /// The value of `signed`.
    fn to_json(&self) -> Json;
}

/// The members that every role has (section 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Version of this file.
    pub version: Version,
    /// When it expires.
    pub expires: time::Timestamp,
    /// When it was issued (`x-issued`), if it says so.
    pub issued: Option<time::Timestamp>,
    /// The specification that the writer followed.
    pub spec_version: String,
}

impl Common {
    /// Members of a file that we write.
    pub fn new(version: Version, issued: time::Timestamp, expires: time::Timestamp) -> Self {
        Self {
            version,
            expires,
            issued: Some(issued),
            spec_version: SPEC_VERSION.to_owned(),
        }
    }

    fn take(fields: &mut Fields, kind: &'static str) -> Result<Self, ShapeError> {
        let found = fields.take("_type", Json::into_string)?;
        if found != kind {
            return Err(ShapeError::new(
                &fields.at("_type"),
                format!("{kind:?}"),
                format!("{found:?}"),
            ));
        }
        Ok(Self {
            spec_version: fields.take("spec_version", spec_version)?,
            version: fields.take("version", Version::from_json)?,
            expires: fields.take("expires", time::Timestamp::from_json)?,
            issued: fields.take_optional(ISSUED_MEMBER, time::Timestamp::from_json)?,
        })
    }

    fn write(&self, kind: &'static str, extra: &Object) -> Object {
        let mut members = extra.clone();
        members.insert("_type".to_owned(), kind.into());
        members.insert("spec_version".to_owned(), self.spec_version.as_str().into());
        members.insert("version".to_owned(), self.version.into());
        members.insert("expires".to_owned(), self.expires.into());
        if let Some(issued) = self.issued {
            members.insert(ISSUED_MEMBER.to_owned(), issued.into());
        }
        members
    }
}

/// Section 4.2.1: semantic versioning; another major number may mean anything, and is refused.
fn spec_version(json: Json, at: &str) -> Result<String, ShapeError> {
    let text = json.into_string(at)?;
    let mut parts = text.split('.');
    let numbers = text
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if parts.next() == Some("1") && matches!(text.split('.').count(), 2 | 3) && numbers {
        Ok(text)
    } else {
        Err(ShapeError::new(
            at,
            "version 1 of the specification",
            format!("{:?}", crate::json::shortened(&text)),
        ))
    }
}
