//! The client workflow against repositories built in memory, good and hostile: one file for each kind of attack.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod delegations;
mod families;
mod freeze_and_rollback;
mod repository;
mod root;
mod thresholds;
