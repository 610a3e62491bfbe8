//! What keepers share with one another.

#![allow(
    dead_code,
    reason = "some of the types describe documents that other modules read and write"
)]

use schemars::JsonSchema;

use super::Document;
use super::words::{Hex, KeyId, Sha256};
use crate::settings::Settings;

/// Documents of the keepers' folder.
pub(super) const DOCUMENTS: &[Document] = &[
    Document::new::<Signature>("signature", "staged/signatures/ROLE.KEYID.json"),
    Document::new::<Settings>("repo.toml", "repo.toml (TOML, by the same rules)"),
];

/// One person's signature over one staged role.
#[derive(JsonSchema)]
struct Signature {
    /// The role that is staged.
    role: String,
    /// SHA-256 of the bytes that are signed: the canonical JSON of `staged/ROLE.json`.
    sha256: Sha256,
    keyid: KeyId,
    /// Missing if the signature was voided: another draft took the place of the one that it covers.
    #[serde(default)]
    sig: Option<Hex>,
}
