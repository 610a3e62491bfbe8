//! The transport against servers that do everything wrong, and against proxies and names that are merely odd: over real TLS.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod answers;
mod bodies;
mod ends;
mod names;
mod nginx;
mod pki;
mod proxies;
mod redirects;
mod server;
mod streams;
