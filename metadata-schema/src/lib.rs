//! What TUF metadata says, and when it may be believed.
//!
//! Rules only: this crate is fed bytes and a reference time, and never reads a file, a socket or a clock. The order of
//! a refresh is that of section 5 of the TUF specification 1.0.34, one type per proven step:
//!
//! ```text
//! bytes -> Unverified<T> -> Verified<T>
//! RootWalk -> AtRoot -> AtTimestamp -> AtSnapshot -> AtTargets -> Search -> VerifiedTarget
//! ```
//!
//! Each of those types can be built only by the module that made the check, so that code which holds one need not ask
//! again. A [`gate::SignerGate`] narrows TUF: a signature counts only if TUF authorises its key *and* the gate admits it.
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects)]

pub mod bins;
pub mod digest;
pub mod envelope;
pub mod error;
pub mod gate;
pub mod glob;
pub mod json;
pub mod key;
pub mod limits;
pub mod name;
pub mod release;
pub mod roles;
pub mod search;
pub mod threshold;
pub mod time;
pub mod trusted;

pub use error::MetadataError;
