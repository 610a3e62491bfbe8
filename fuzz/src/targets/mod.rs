//! One module for every target: `run` takes any bytes, and panics if a promise does not hold for them.

pub mod canonical_json;
pub mod certificate;
pub mod crl;
mod der_tree;
pub mod glob;
pub mod metadata;
pub mod payload_apply;
pub mod payload_header;
mod pki;
pub mod public_key;
pub mod release_manifest;
pub mod role_extension;
pub mod signature_envelope;
pub mod tar_index;
pub mod target_path;
pub mod trusted_set;

/// A target: its name, which is also that of its folder in `corpus-seeds`, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: [Target; 14] = [
    ("canonical_json", canonical_json::run),
    ("certificate", certificate::run),
    ("crl", crl::run),
    ("glob", glob::run),
    ("metadata", metadata::run),
    ("payload_apply", payload_apply::run),
    ("payload_header", payload_header::run),
    ("public_key", public_key::run),
    ("release_manifest", release_manifest::run),
    ("role_extension", role_extension::run),
    ("signature_envelope", signature_envelope::run),
    ("tar_index", tar_index::run),
    ("target_path", target_path::run),
    ("trusted_set", trusted_set::run),
];
