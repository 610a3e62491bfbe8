//! The release manager's tool: makes, signs and publishes firmware repositories.
//!
//! Everything that the program `repo-tool` does can be done in process; the clock and random numbers come in as
//! arguments, so that test repositories come out the same every time. A change is always *staged*, *signed* by one
//! person after the other, and *published* once enough of them have:
//!
//! ```text
//! init, add_product, stage_release, promote, withdraw, add_files, add_crls, change_signers, rotate_online, renew -> staged/
//! sign (one signature file for each person) -> publish (counts as a device does) -> published/
//! refresh (online keys only), push, prune      verify (reads as a device does); reading (tree, history, diff); doctor
//! ```
//!
//! # Example
//!
//! ```
//! use std::num::NonZeroU32;
//! use device_pki::{
//!     Authority, CaKind, FirmwareSigner, KeyAlgorithm, KeyPair, Leaf, Organisation, SeededEntropy, SubjectKey,
//!     TrustAnchor, Validity,
//! };
//! use repo_tool::{
//!     ImageSource, InitPlan, Keyholder, ProductPlan, ReleaseRequest, Repository, Settings, Signers, VerifyOptions, silent,
//! };
//!
//! let now = "2026-03-01T12:00:00Z".parse()?;
//! let random = &mut SeededEntropy::new(b"example"); // SystemEntropy, for real
//!
//! // A PKI: root CA, firmware-signing CA, two people.
//! let corp = Organisation::new("Example Corp", "corp.example", "example")?;
//! let key = KeyPair::generate(KeyAlgorithm::P384, random)?;
//! let root_ca = Authority::root(corp, key, Validity::days(now, 9125), random)?;
//! let key = KeyPair::generate(KeyAlgorithm::P256, random)?;
//! let validity = Validity::days(now, 3650);
//! let signing_ca = root_ca.subordinate(CaKind::FirmwareSigning, key, validity, random)?;
//! let mut keys = Vec::new();
//! let mut people = Vec::new();
//! for name in ["Alice", "Bob"] {
//!     let key = KeyPair::generate(KeyAlgorithm::Ed25519, random)?;
//!     let roles = ["root", "targets", "delegated:router-x"];
//!     let roles = roles.iter().map(|role| role.parse()).collect::<Result<_, _>>()?;
//!     let leaf = Leaf::FirmwareSigner(FirmwareSigner { name: name.to_owned(), roles });
//!     let subject = SubjectKey::of(&key)?;
//!     let certificate = signing_ca.issue(&leaf, &subject, Validity::days(now, 730), random)?;
//!     let chain = certificate.pem() + &signing_ca.certificate().pem();
//!     people.push(Keyholder::from_pem(name, chain.as_bytes())?);
//!     keys.push(key.into_tuf_signer()?);
//! }
//!
//! // A repository of these two, both of whom must sign.
//! let folder = tempfile::tempdir()?;
//! let both = Signers { people, threshold: NonZeroU32::new(2).unwrap() };
//! let anchor = TrustAnchor::new(root_ca.certificate().clone())?;
//! let plan = InitPlan {
//!     anchor: anchor.clone(),
//!     root: both.clone(),
//!     targets: both.clone(),
//!     products: vec![ProductPlan { name: "router-x".parse()?, signers: both, bins: None }],
//!     settings: Settings::default(),
//! };
//! let repository = Repository::init(folder.path(), &plan, now, random)?;
//! for key in &keys {
//!     repository.sign(key)?;
//! }
//! repository.publish(now)?;
//!
//! // A release.
//! let mut release = ReleaseRequest::new("router-x".parse()?, "stable".parse()?, "1.0.0".parse()?);
//! release.hardware = vec!["rev-a".parse()?];
//! release.images.insert("rootfs".parse()?, ImageSource::Bytes(b"a root file system".to_vec()));
//! let forecast = repository.stage_release(&release, now, &silent)?;
//! assert_eq!(forecast.images[0].bytes, 18);
//! repository.sign(&keys[0])?;
//! assert!(repository.publish(now).is_err(), "one signature does not suffice");
//! repository.sign(&keys[1])?;
//! repository.publish(now)?;
//!
//! // What a device finds, which trusts the root CA and nothing else.
//! let report = repo_tool::verify(folder.path(), &VerifyOptions::new(anchor), now, &silent)?;
//! assert_eq!(report.releases[0].version, "1.0.0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What stands where in a repository's folder is in [`layout`]; [`assemble`] is the low level, with which generators of
//! hostile test repositories sign whatever they like.
#![forbid(unsafe_code)]

pub mod assemble;
pub mod audit;
mod authority;
pub mod baseline;
pub mod bundle;
pub mod crls;
mod describe;
mod digests;
pub mod doctor;
pub mod elsewhere;
pub mod error;
pub mod event;
pub mod files;
mod hand;
pub mod import;
pub mod init;
mod inventory;
pub mod keyholder;
pub mod layout;
mod lock;
pub mod loss;
pub mod memory;
pub mod merge;
pub mod online;
mod parallel;
pub mod products;
pub mod progress;
mod prune;
pub mod publish;
mod published;
pub mod push;
pub mod reading;
pub mod refresh;
pub mod release;
pub mod remote;
pub mod repository;
pub mod rotation;
pub mod schema;
pub mod settings;
pub mod setup;
mod shelf;
pub mod show;
pub mod sign;
pub mod signers;
mod staged;
pub mod status;
mod trust;
pub mod unstage;
pub mod verify;
mod walk;

pub use bundle::{BundleOptions, Bundled, BundledPayload};
pub use doctor::{Diagnosis, DoctorOptions};
pub use error::{Error, Kind, Result};
pub use event::EventId;
pub use files::{AddedFiles, FileSource};
pub use import::Imported;
pub use init::{InitPlan, Signers};
pub use keyholder::Keyholder;
pub use layout::Layout;
pub use merge::{MergeReport, Offer};
pub use online::OnlineKeys;
pub use products::ProductPlan;
pub use progress::{OnProgress, Progress, silent};
pub use prune::{PruneOptions, Pruned, RemovedFile};
pub use publish::Publication;
pub use push::{PushOptions, Pushed, SentFile};
pub use reading::Archive;
pub use release::{ChannelChange, Forecast, ImageSource, ReleaseRequest, Withdrawal};
pub use remote::Place;
pub use repository::Repository;
pub use rotation::{OnlineRotation, online_roles};
pub use settings::{Minimums, Periods, Settings, SigningPeriods};
pub use signers::SignerChange;
pub use verify::{Report, VerifyOptions, verify, verify_served};
