//! The release manifest of `docs/FORMATS.md`.

#![allow(
    dead_code,
    reason = "the types describe documents; metadata-schema reads and writes them"
)]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::words::{Name, SemanticVersion, Sha256, TargetPath, Time};

/// What a product's channel offers.
#[derive(JsonSchema)]
pub(super) struct ReleaseManifest {
    /// A reader refuses numbers that it does not know.
    #[schemars(extend("const" = 1))]
    format: u64,
    product: Name,
    channel: Name,
    version: SemanticVersion,
    /// Never falls on a device.
    security_version: u64,
    /// Hardware revisions that the firmware fits.
    hardware: Vec<Name>,
    /// Stepping stone: the least version that may update to this one directly.
    #[serde(skip_serializing_if = "absent")]
    requires: SemanticVersion,
    /// When the release was made.
    released: Time,
    /// Images by slot class; all of them are switched together.
    #[schemars(extend("minProperties" = 1))]
    images: BTreeMap<String, Image>,
    #[serde(skip_serializing_if = "absent")]
    rollout: Rollout,
    /// What changed, for people; at most 64 KiB.
    #[serde(skip_serializing_if = "absent")]
    notes: String,
    /// Releases of the channel that were taken back: nobody installs them, who runs one does not wait for a wave.
    #[serde(skip_serializing_if = "absent")]
    #[schemars(length(max = 64))]
    withdrawn: Vec<Withdrawn>,
    /// For applications; at most 16 KiB of canonical JSON.
    #[serde(skip_serializing_if = "absent")]
    custom: BTreeMap<String, serde_json::Value>,
}

/// A release that was taken back.
#[derive(JsonSchema)]
struct Withdrawn {
    version: SemanticVersion,
    /// Why, for people; at most 1024 bytes.
    reason: String,
    since: Time,
}

/// An image as it stands in its slot.
#[derive(JsonSchema)]
struct Image {
    /// Length in bytes.
    length: u64,
    sha256: Sha256,
    /// The payload that needs nothing.
    full: Payload,
    /// Payloads that start from another image, by that image's digest.
    deltas: BTreeMap<String, Payload>,
}

/// A payload: a target of the same role.
#[derive(JsonSchema)]
struct Payload {
    path: TargetPath,
    /// Length in bytes.
    length: u64,
    /// SHA-256 of its header, the first link of the chain that authenticates every frame.
    head: Sha256,
}

/// Which share of the fleet may install from when.
#[derive(JsonSchema)]
struct Rollout {
    /// Nobody installs while this is true.
    paused: bool,
    /// In the order of their start; none at all means everybody, at once.
    waves: Vec<Wave>,
}

/// From `start` on, `percent` of the fleet may install.
#[derive(JsonSchema)]
struct Wave {
    start: Time,
    #[schemars(range(max = 100))]
    percent: u8,
}
