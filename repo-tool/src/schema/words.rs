//! The words that documents are made of.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A string that a pattern describes.
macro_rules! word {
    ($name:ident, $what:literal, $pattern:literal) => {
        #[doc = $what]
        pub(crate) enum $name {}

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                false
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "description": $what, "type": "string", "pattern": $pattern })
            }
        }
    };
}

word!(
    Time,
    "A time in UTC, to the second (RFC 3339)",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
);
word!(Sha256, "A SHA-256 digest in hex", "^[0-9a-f]{64}$");
word!(
    KeyId,
    "SHA-256 of the key's canonical form, in hex (TUF 1.0.34, section 4.2)",
    "^[0-9a-f]{64}$"
);
word!(Hex, "Bytes in hex", "^([0-9a-f]{2})*$");
word!(
    Name,
    "A short name of a product, channel, hardware revision or slot class",
    "^[a-z0-9][a-z0-9._-]{0,63}$"
);
word!(
    SemanticVersion,
    "A version by the rules of semver.org, at most 64 bytes",
    "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$"
);
word!(
    TargetPath,
    "The path of a target: relative, no segment empty, `.` or `..`",
    "^[^/\\\\]+(/[^/\\\\]+)*$"
);
word!(
    Pem,
    "One block of PEM (RFC 7468)",
    "^-----BEGIN [A-Z ]+-----\\n"
);
