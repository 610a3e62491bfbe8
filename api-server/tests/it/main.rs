//! The server over real TLS connections on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test may panic"
)]

mod admission;
mod command_line;
mod enrolling;
mod enrolment;
mod imposters;
mod reports;
mod repository;
mod world;
