//! The release manager's tool: makes, signs and publishes firmware repositories.
//!
//! Everything that the program `repo-tool` does can be done in process; the clock and random numbers come in as
//! arguments, so that test repositories come out the same every time. A change is always *staged*, *signed* by one
//! person after the other, and *published* once enough of them have:
//!
//! ```text
//! init, add_product, stage_release, add_crls, rotate_root, renew -> staged/
//! sign (one signature file for each person) -> publish (counts as a device does) -> published/
//! refresh (online keys only)                   verify (reads as a device does)
//! ```
//!
//! What stands where in a repository's folder is in [`layout`]; [`assemble`] is the low level, with which generators of
//! hostile test repositories sign whatever they like.
#![forbid(unsafe_code)]

pub mod assemble;
mod authority;
mod count;
pub mod crls;
mod digests;
pub mod error;
pub mod init;
pub mod keyholder;
pub mod layout;
mod lock;
pub mod products;
pub mod progress;
pub mod publish;
mod published;
pub mod refresh;
pub mod release;
pub mod repository;
pub mod rotation;
pub mod settings;
pub mod show;
pub mod sign;
mod staged;
pub mod status;
mod trust;
pub mod verify;
mod walk;

pub use error::{Error, Kind, Result};
pub use init::{InitPlan, Signers};
pub use keyholder::Keyholder;
pub use layout::Layout;
pub use products::ProductPlan;
pub use progress::{OnProgress, Progress, silent};
pub use publish::Publication;
pub use release::{Forecast, ImageSource, ReleaseRequest};
pub use repository::Repository;
pub use rotation::{RootChange, TopRole};
pub use settings::{Minimums, Periods, Settings};
pub use verify::{Report, VerifyOptions, verify};
