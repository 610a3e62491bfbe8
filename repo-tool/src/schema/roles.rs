//! Metadata of TUF 1.0.34, section 4, with the additions of `docs/FORMATS.md`. The comments are what readers of the schemas
//! see.

#![allow(
    dead_code,
    reason = "the types describe documents; metadata-schema reads and writes them"
)]

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::JsonSchema;

use super::words::{Hex, KeyId, Pem, Sha256, Time};

/// A signed metadata file.
#[derive(JsonSchema)]
#[schemars(rename = "Signed{T}")]
pub(super) struct File<T> {
    /// What the signatures cover: the canonical JSON of this value.
    signed: T,
    /// One signature for each key, in any order.
    signatures: Vec<Signature>,
}

/// A signature.
#[derive(JsonSchema)]
struct Signature {
    /// The key that made it.
    keyid: KeyId,
    /// The signature.
    sig: Hex,
}

/// Who may sign, and how many of them must.
#[derive(JsonSchema)]
pub(super) struct Root {
    #[serde(rename = "_type")]
    #[schemars(extend("const" = "root"))]
    kind: String,
    #[serde(flatten)]
    common: Common,
    /// Whether files have their version or digest in their name: always, in what we write.
    consistent_snapshot: bool,
    /// The keys that the roles name.
    keys: BTreeMap<String, Key>,
    /// The four top-level roles.
    roles: TopRoles,
    #[serde(rename = "x-pki")]
    #[serde(skip_serializing_if = "absent")]
    certificates: Certificates,
}

#[derive(JsonSchema)]
struct TopRoles {
    root: RoleKeys,
    targets: RoleKeys,
    snapshot: RoleKeys,
    timestamp: RoleKeys,
}

/// The keys of a role.
#[derive(JsonSchema)]
struct RoleKeys {
    /// Ids of the keys that may sign.
    keyids: Vec<KeyId>,
    /// How many holders must sign.
    threshold: NonZeroU32,
}

/// What every role has.
#[derive(JsonSchema)]
struct Common {
    /// The specification that the writer followed: 1.x.
    spec_version: String,
    /// Rises with every file of the role.
    version: NonZeroU64,
    /// Devices refuse the file from then on.
    expires: Time,
    /// When the file was issued: devices without a clock learn from it.
    #[serde(rename = "x-issued")]
    #[serde(skip_serializing_if = "absent")]
    issued: Time,
}

/// A public key.
#[derive(JsonSchema)]
struct Key {
    /// `ed25519`, `ecdsa`, `rsa` or `ml-dsa`; others never count.
    keytype: String,
    /// The signature scheme, such as `ecdsa-sha2-nistp256`.
    scheme: String,
    /// The key.
    keyval: KeyValue,
}

#[derive(JsonSchema)]
struct KeyValue {
    /// 32 bytes in hex for Ed25519, PEM for all others.
    public: String,
}

/// Whose keys they are: certificate chains by key id.
#[derive(JsonSchema)]
struct Certificates {
    #[schemars(extend("const" = 1))]
    version: u64,
    /// The holder's certificate first, the root CA left out; at most four.
    certs: BTreeMap<String, Vec<Pem>>,
}

/// Target files, and who else may speak about which.
#[derive(JsonSchema)]
pub(super) struct Targets {
    #[serde(rename = "_type")]
    #[schemars(extend("const" = "targets"))]
    kind: String,
    #[serde(flatten)]
    common: Common,
    /// The role that the file is for: a file that names another one is refused.
    #[serde(rename = "x-role")]
    #[serde(skip_serializing_if = "absent")]
    role: String,
    /// Target files by path.
    targets: BTreeMap<String, TargetFile>,
    #[serde(skip_serializing_if = "absent")]
    delegations: Delegations,
    #[serde(rename = "x-pki")]
    #[serde(skip_serializing_if = "absent")]
    certificates: Certificates,
}

/// A target file.
#[derive(JsonSchema)]
struct TargetFile {
    /// Length in bytes.
    length: u64,
    hashes: Hashes,
    /// Whatever the publisher adds.
    #[serde(skip_serializing_if = "absent")]
    custom: serde_json::Value,
}

/// Digests of a file.
#[derive(JsonSchema)]
struct Hashes {
    sha256: Sha256,
}

/// Roles that may speak about some of the paths.
#[derive(JsonSchema)]
struct Delegations {
    /// The keys that the roles name.
    keys: BTreeMap<String, Key>,
    /// In the order in which clients ask them.
    roles: Vec<DelegatedRole>,
}

/// A role that may speak about some of the paths.
#[derive(JsonSchema)]
#[schemars(extend("oneOf" = [{"required": ["paths"]}, {"required": ["path_hash_prefixes"]}]))]
struct DelegatedRole {
    /// Its name.
    name: String,
    #[serde(flatten)]
    keys: RoleKeys,
    /// Patterns of the paths that it may speak about; or else `path_hash_prefixes`.
    #[serde(skip_serializing_if = "absent")]
    paths: Vec<String>,
    /// Beginnings of the SHA-256 digests, in hex, of the paths that it may speak about.
    #[serde(skip_serializing_if = "absent")]
    path_hash_prefixes: Vec<String>,
    /// Whether the search ends with it.
    terminating: bool,
}

/// Which version of each targets role is current.
#[derive(JsonSchema)]
pub(super) struct Snapshot {
    #[serde(rename = "_type")]
    #[schemars(extend("const" = "snapshot"))]
    kind: String,
    #[serde(flatten)]
    common: Common,
    /// `targets.json` and one entry for each delegated role.
    meta: BTreeMap<String, MetaFile>,
}

/// Which snapshot is current.
#[derive(JsonSchema)]
pub(super) struct Timestamp {
    #[serde(rename = "_type")]
    #[schemars(extend("const" = "timestamp"))]
    kind: String,
    #[serde(flatten)]
    common: Common,
    meta: TimestampMeta,
}

#[derive(JsonSchema)]
struct TimestampMeta {
    #[serde(rename = "snapshot.json")]
    snapshot: MetaFile,
}

/// For how long a state of the repository may be installed from a file: `metadata/bundle.json` in a bundle, signed by the
/// timestamp role.
#[derive(JsonSchema)]
pub(super) struct Bundle {
    #[serde(rename = "_type")]
    #[schemars(extend("const" = "x-bundle"))]
    kind: String,
    #[serde(flatten)]
    common: Common,
    meta: BundleMeta,
    /// The product that it was made for.
    product: String,
    /// The channel that it was made for.
    channel: String,
}

#[derive(JsonSchema)]
struct BundleMeta {
    #[serde(rename = "timestamp.json")]
    timestamp: MetaFile,
}

/// A metadata file.
#[derive(JsonSchema)]
struct MetaFile {
    version: NonZeroU64,
    /// Length in bytes.
    #[serde(skip_serializing_if = "absent")]
    length: u64,
    #[serde(skip_serializing_if = "absent")]
    hashes: Hashes,
}
