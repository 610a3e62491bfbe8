//! Payloads made and applied as a caller does it: only the public interface is used here.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod containers;
mod forge;
mod large;
mod lies;
mod prediction;
mod resume;
mod round_trip;
mod support;
mod tampering;
