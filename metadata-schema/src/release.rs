//! The release manifest: what firmware a product's channel offers now.
//!
//! A manifest is a TUF target at one fixed path per product and channel, so that a device looks up one name and never
//! enumerates. Every path that it names is looked up through TUF again, under the same delegation. The format is in
//! `docs/FORMATS.md`.

mod manifest;
mod names;
mod rollout;
mod withdrawn;

pub use manifest::{FORMAT, Image, MAX_CUSTOM, MAX_LENGTH, Payload, ReleaseManifest};
pub use names::{
    Channel, FirmwareVersion, HardwareId, Product, ShortNameError, SlotClass, manifest_path,
};
pub use rollout::{Rollout, Wave};
pub use withdrawn::{MAX_REASON, MAX_WITHDRAWN, Withdrawn};
