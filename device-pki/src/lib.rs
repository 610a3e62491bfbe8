//! Identity of people, servers and devices: certificates, keys, and what they prove.
//!
//! - [`authority`] issues certificates by the profiles of [`profile`] and revocation lists; [`folder`] keeps a whole PKI
//!   on disk.
//! - [`binding`] says which TUF keys count on a device: those bound to its trust anchor.
//! - [`tls`] and [`channel`] connect devices with the API server and with each other.
//! - [`key_source`] says where a signing key comes from: a file, the environment, or a PKCS#11 token ([`token`]).
//! - [`service`] tells the service manager how a program is.
//! - [`durable`] is the one atomic-write routine of the workspace; [`disk`] has its steps.
//!
//! The library reads no clock, but for [`Clock::System`] where a caller asks for it: the time comes in as an argument.
#![forbid(unsafe_code)]

pub mod admission;
pub mod anchor;
pub mod authority;
pub mod binding;
mod ca_key;
pub mod certificate;
pub mod channel;
pub mod cms;
pub mod crl;
pub mod csr;
mod der;
pub mod disk;
pub mod doctor;
pub mod durable;
pub mod enrolment;
pub mod entropy;
pub mod error;
pub mod explain;
pub mod folder;
pub mod identity;
pub mod inspect;
pub mod key;
pub mod key_source;
pub mod list_files;
pub mod list_target;
pub mod name;
pub mod oid;
pub mod passphrase;
mod path;
mod pem_text;
pub mod profile;
pub mod report;
pub mod revocations;
pub mod role;
pub mod serial_number;
pub mod service;
pub mod signed;
pub mod subject_key;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod token;

pub use anchor::TrustAnchor;
pub use authority::{Authority, CrlContent};
pub use binding::{Gate, Roles, Thresholds};
pub use ca_key::CaKey;
pub use certificate::Certificate;
pub use channel::{Allowed, Channel, Endpoint};
pub use crl::{Crl, crl_target_path};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use error::{Error, Result};
pub use identity::{DeviceIdentity, Identity};
pub use key::{FileKey, KeyAlgorithm, KeyPair, Protection, ScryptCost, SigningKey};
pub use key_source::{KeySource, SecretOf};
pub use name::{DeviceUrn, Organisation};
pub use passphrase::Passphrase;
pub use profile::{ApiServer, CaKind, Device, FirmwareSigner, Leaf, Operator, Validity};
pub use report::{DeviceReport, ReportEvent};
pub use revocations::Revocations;
pub use role::SignerRole;
pub use serial_number::SerialNumber;
pub use subject_key::SubjectKey;
pub use tls::{Clock, RevocationPolicy, Trust};
