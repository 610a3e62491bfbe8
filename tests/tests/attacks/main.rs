//! Attacks by name, a file for each threat: what is refused and why, what the device trusts afterwards, and that it still follows
//! the honest repository.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod broken_algorithm;
mod certificates;
mod compromise;
mod delegations;
mod endless_data;
mod fast_forward;
mod freeze;
mod mix_and_match;
mod names;
mod offers;
mod requests;
mod revocation;
mod rollback;
mod siblings;
mod slow_retrieval;
mod support;
mod survival;
mod thresholds;
mod wrong_keys;
