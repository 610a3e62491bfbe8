//! Slots, the state folder and the boot loader's state.

use std::path::PathBuf;

use metadata_schema::digest::ContentError;
use metadata_schema::release::SlotClass;
use metadata_schema::time::Timestamp;

use crate::slot::SlotName;

/// A slot cannot be read or written. The running firmware is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The storage fails.
    #[error("cannot {step} {path}")]
    Io {
        /// Device or file.
        path: PathBuf,
        /// What was done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The image does not fit.
    #[error("the {class} image has {image} bytes, and {path} holds {capacity}")]
    TooLarge {
        /// Device or file.
        path: PathBuf,
        /// Its class.
        class: SlotClass,
        /// Length of the image.
        image: u64,
        /// Capacity of the place.
        capacity: u64,
    },
    /// Two places are one.
    #[error("{one} and {other} are the same, and one of them runs")]
    Same {
        /// A place.
        one: PathBuf,
        /// Another.
        other: PathBuf,
    },
    /// Which boot partition of an eMMC is in force cannot be told or changed.
    #[error("the boot partition of {device} is not known: {found}")]
    BootPartition {
        /// The eMMC.
        device: PathBuf,
        /// What was found.
        found: String,
    },
    /// No place is configured.
    #[error("slot {slot} has no place for {class}")]
    NoPlace {
        /// The slot.
        slot: SlotName,
        /// The class.
        class: SlotClass,
    },
    /// What was read back is not what was to be written.
    #[error("{path} does not hold the image that was written")]
    Differs {
        /// Device or file.
        path: PathBuf,
        /// What differs.
        #[source]
        source: ContentError,
    },
    /// An image is missing.
    #[error("slot {slot} lacks its {class} image")]
    Incomplete {
        /// The slot.
        slot: SlotName,
        /// The class.
        class: SlotClass,
    },
}

/// The state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage fails.
    #[error("the state folder cannot be used")]
    Storage(#[source] device_pki::Error),
    /// What the device trusted is gone.
    #[error("the trusted metadata in {folder} is gone; this device has had it since {since}")]
    Lost {
        /// Where it was.
        folder: PathBuf,
        /// Since when.
        since: Timestamp,
    },
    /// A file is of a newer updater.
    #[error("{path} has format {format}, written by updater {written_by}; this one, {}, reads up to {known}", env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
        /// The newest that is known.
        known: u64,
        /// The version of the updater that wrote it.
        written_by: String,
    },
    /// A file is there and is not what the updater wrote.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The boot loader's state cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// It cannot be read.
    #[error("the boot loader's state in {path} cannot be read: {why}")]
    Unreadable {
        /// Where it is kept.
        path: PathBuf,
        /// Why: what was found there.
        why: String,
        /// What a person can do about it.
        repair: &'static str,
    },
    /// The configuration names what the back end does not have.
    #[error("the boot loader's configuration cannot be used: {why}")]
    Configuration {
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be written.
    #[error("the boot loader's state in {path} cannot be changed: {why}")]
    Unwritable {
        /// Where it is kept.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The running slot would be made unbootable.
    #[error("slot {slot} runs and cannot be overwritten")]
    Running {
        /// The slot.
        slot: SlotName,
    },
    /// A slot would be committed that does not run.
    #[error("slot {slot} does not run and cannot be committed")]
    NotRunning {
        /// The slot.
        slot: SlotName,
    },
    /// No slot can start.
    #[error("no slot has starts left")]
    NothingBootable,
}
