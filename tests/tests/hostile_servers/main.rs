//! The transport against servers that do everything wrong, and against proxies and names that are merely odd: over real TLS.
//! [`networks`] does the same to a whole device.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod answers;
mod bodies;
mod ends;
mod handshakes;
mod names;
mod networks;
mod nginx;
mod pki;
mod proxies;
mod redirects;
mod server;
mod stand;
mod streams;
#[path = "../device/world.rs"]
#[allow(dead_code, reason = "the tests of a device use more of it")]
mod world;
