//! The device's certificate: where it is, and how it is got and renewed (EST, RFC 7030).
//!
//! ```text
//! <state>/identity/current.pem   key and chain in use, one file, so that they are replaced together
//! <state>/identity/pending.key   the key that a new certificate is asked for
//! <state>/identity/pending.pem   the same with the certificate that came: verified here, not yet in use
//! <state>/identity/attempt.json  failed attempts, and whether a server has refused the certificate in use
//! ```
//!
//! A renewal is with a new key, made here. The new certificate takes the place of the old one when a handshake with it has
//! succeeded; until then the old one is in use. Whenever the power fails, the next run goes on with the same pending key, and
//! the server gives the same key the same certificate. When to renew is in [`schedule`], the order of steps in [`keep()`], the
//! requests are in [`est`].

pub mod est;
pub mod keep;
pub mod schedule;
pub mod store;

pub use keep::{Ca, Kept, Way, keep};
pub use store::IdentityStore;

#[cfg(test)]
mod tests;
