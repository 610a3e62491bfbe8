//! A repository's life in process: three people, threshold two.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test that fails should panic, in its helpers as well"
)]

mod audit;
mod baseline;
mod bins;
mod building;
mod bundling;
mod changes;
mod channels;
mod elsewhere;
mod events;
mod hand;
mod health;
mod importing;
mod keys;
mod pruning;
mod publishing;
mod pushing;
mod reading;
mod releases;
mod schemas;
mod setting_up;
mod setup_file;
mod showing;
mod signers;
mod support;
