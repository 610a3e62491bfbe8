//! From an offered release to a slot that the next start tries.

mod offer;
mod payload;
mod transfer;

pub use offer::{Offer, find_offer};
pub use payload::PayloadKind;
pub use transfer::{Rules, Transfer, Transferred};
