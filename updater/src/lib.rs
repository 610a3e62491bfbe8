//! The on-device agent.
//!
//! One run, in order, with the module that does each step:
//!
//! ```text
//! settle    what the last boot means: commit, roll back, go on      lifecycle (rules), trial
//! identify  a certificate of its own, renewed when it is time      identity
//! begin     once, on a blank device: its first root metadata       bootstrap
//! refresh   the whole metadata chain against the trust anchor      refresh -> metadata_store, transport
//! select    whether the offered release is for this device         select (rules)
//! install   payload frame by frame into the inactive slot          install -> slot, boot
//! report    what happened, to the server                           report
//! ```
//!
//! Rules ([`lifecycle`], [`select`], [`clock`]) are pure functions; everything that they need to know is passed in, the time
//! among it. What may not be skipped is a type: [`slot::StagedSlot`] exists only for images that were read back and compared,
//! and only such a slot can be armed.
#![forbid(unsafe_code)]

pub mod boot;
pub mod bootstrap;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod health;
pub mod history;
pub mod hooks;
pub mod identity;
pub mod install;
pub mod lifecycle;
mod lock;
pub mod memory;
pub mod metadata_store;
pub mod metrics;
pub mod policy;
pub mod program;
pub mod progress;
mod pulse;
pub mod refresh;
pub mod report;
mod sealed;
pub mod select;
pub mod slot;
pub mod socket;
pub mod state_store;
pub mod stop;
pub mod storage;
mod suggest;
pub mod transport;
pub mod trust;
mod updater;

pub use error::Error;
pub use updater::{Asked, Checked, Enrolled, Finding, Health, Outcome, Updater};
