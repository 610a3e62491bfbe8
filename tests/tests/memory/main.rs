//! What a device remembers from run to run: its clock's floor, its root, its trusted files; and how it fares when that memory
//! is cut off, damaged, or pushed too far by a thief.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod again;
mod bootstrap;
mod clock;
mod damage;
mod device;
mod lists;
mod power;
mod root_walk;
