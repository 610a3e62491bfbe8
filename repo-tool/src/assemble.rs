//! The low level: signed files from any content and any keys.
//!
//! Nothing here asks whether a signature will count; [`crate::Repository`] does. Generators of hostile test
//! repositories use this module to make what a correct tool refuses to make.
//!
//! ```
//! use device_pki::{KeyAlgorithm, KeyPair, SeededEntropy, SigningKey as _};
//! use metadata_schema::json::Json;
//! let key = KeyPair::generate(KeyAlgorithm::Ed25519, &mut SeededEntropy::new(b"a"))?.into_tuf_signer()?;
//! let file = repo_tool::assemble::sign_role(Json::object([("_type", Json::from("root"))]), &[&key])?;
//! assert!(key.public_key().verify(&file.payload(), &file.signatures[0].bytes).is_ok());
//! # Ok::<(), repo_tool::Error>(())
//! ```

use std::path::Path;

use device_pki::{SigningKey, durable};
use metadata_schema::digest::{Hashes, Length, Sha256Digest};
use metadata_schema::envelope::{Envelope, Signature};
use metadata_schema::json::Json;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{MetaFile, TargetFile};

use crate::error::Result;

/// The signed file of a role: `signed` with one signature by each key.
///
/// # Errors
/// If a key cannot be reached.
pub fn sign_role(signed: Json, keys: &[&dyn SigningKey]) -> Result<Envelope> {
    let mut envelope = Envelope {
        signed,
        signatures: Vec::new(),
    };
    for key in keys {
        let signature = signature(&envelope, *key)?;
        envelope.signatures.push(signature);
    }
    Ok(envelope)
}

/// One more signature for a file.
///
/// # Errors
/// If the key cannot be reached.
pub fn signature(envelope: &Envelope, key: &dyn SigningKey) -> Result<Signature> {
    let bytes = key.sign(&envelope.payload())?;
    Ok(Signature {
        key: key.public_key().id().clone(),
        bytes,
    })
}

/// The file name of metadata in a repository with consistent snapshots (TUF 1.0.34, section 6.2).
pub fn metadata_name(role: &RoleName, version: Version) -> String {
    if role.as_str() == "timestamp" {
        "timestamp.json".to_owned()
    } else {
        format!("{version}.{}.json", role.file_stem())
    }
}

/// Where a target stands below the base of the targets: its digest before the file name.
pub fn target_file_path(path: &TargetPath, hashes: &Hashes) -> String {
    let (folder, file) = path.split();
    format!("{folder}{}.{file}", hashes.file_prefix())
}

/// What snapshot or timestamp say of a metadata file.
pub fn meta_file(version: Version, bytes: &[u8]) -> MetaFile {
    MetaFile {
        length: Some(length_of(bytes)),
        hashes: Some(Hashes::sha256(Sha256Digest::of(bytes))),
        ..MetaFile::version(version)
    }
}

/// What a targets role says of a file with these bytes.
pub fn target_file(bytes: &[u8]) -> TargetFile {
    TargetFile::new(length_of(bytes), Hashes::sha256(Sha256Digest::of(bytes)))
}

/// Writes a metadata file into a published folder, as `publish` would, without asking whether it is any good.
///
/// # Errors
/// If the file cannot be written.
pub fn write_metadata(
    published: &Path,
    role: &RoleName,
    version: Version,
    envelope: &Envelope,
) -> Result<()> {
    let folder = published.join("metadata");
    durable::create_dir_durable(&folder, 0o755)?;
    let path = folder.join(metadata_name(role, version));
    Ok(durable::write(
        &path,
        &envelope.to_bytes(),
        durable::PUBLIC,
    )?)
}

/// Writes a target file into a published folder, as `publish` would.
///
/// # Errors
/// If the file cannot be written.
pub fn write_target(published: &Path, path: &TargetPath, bytes: &[u8]) -> Result<()> {
    let file = target_file(bytes);
    let to = published
        .join("targets")
        .join(target_file_path(path, &file.hashes));
    if let Some(folder) = to.parent() {
        durable::create_dir_durable(folder, 0o755)?;
    }
    Ok(durable::write(&to, bytes, durable::PUBLIC)?)
}

pub(crate) fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Whether `bytes` are the file that `file` describes.
pub(crate) fn check_bytes(
    file: &TargetFile,
    bytes: &[u8],
) -> Result<(), metadata_schema::digest::ContentError> {
    let mut checker = file.hashes.checker(Length::Exactly(file.length));
    checker.update(bytes)?;
    checker.finish()
}
