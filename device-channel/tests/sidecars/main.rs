//! Sidecars as they run: real processes, real certificates, real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic, in its helpers as well"
)]

mod bytes;
mod peers;
mod raw;
mod refusals;
mod reload;
mod service;
mod world;
