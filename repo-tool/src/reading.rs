//! What stands in a published repository, for people: the tree of its roles, what it offers, what changed and when.
//!
//! Nothing here asks whether a device would believe any of it: an expired or half broken repository must be readable
//! too. [`crate::verify()`] is the one that proves.

mod archive;
mod diff;
mod history;
mod offers;
mod people;
mod tree;

pub use archive::Archive;
pub use diff::{Difference, RoleDifference, Side};
pub use history::{Entry, History};
pub use offers::{ImageOffer, NextWave, Offer};
pub use tree::{Bins, Node};
