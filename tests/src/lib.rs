//! What cross-crate tests and the demo share.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod demo;
pub mod simulator;
