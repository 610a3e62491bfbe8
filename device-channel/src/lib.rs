//! Secure channels between devices, for programs in any language: a sidecar that stands beside a program, takes its plaintext
//! connections from this host, and carries them over [`device_pki::channel`] to the sidecar of another device.
//!
//! ```text
//! program -> 127.0.0.1:11883 [device-channel connect] ==TLS 1.3, both certificates==> [device-channel listen] -> 127.0.0.1:1883
//! ```
//!
//! - [`settings`] is what a sidecar is told, [`target`] where plaintext may go.
//! - [`credentials`] keeps certificate and revocation lists in force, as their files change.
//! - [`Sidecar`] accepts, connects, reloads and drains.
#![forbid(unsafe_code)]

mod connection;
pub mod credentials;
pub mod error;
mod listener;
mod metrics;
mod open;
pub mod settings;
mod sidecar;
mod status;
mod streams;
pub mod target;

pub use error::{Error, Result};
pub use listener::Inherited;
pub use settings::{Limits, Mode, Settings};
pub use sidecar::{Sidecar, Stage};
