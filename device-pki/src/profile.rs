//! Certificate profiles: one file per kind of certificate, each a function from names to what is written.
//!
//! | profile | EKU | path length | constraints |
//! |---|---|---|---|
//! | `root` | none | 1 | |
//! | `firmware_signing_ca` | codeSigning | 0 | |
//! | `device_issuing_ca` | clientAuth, serverAuth | 0 | DNS `dev.<domain>`, no IP addresses |
//! | `server_ca` | serverAuth, API server | 0 | |
//! | `factory_ca` | factory identity | 0 | |
//! | `operator_ca` | clientAuth, operator | 0 | |
//! | `firmware_signer` | codeSigning | leaf | role extension |
//! | `api_server` | serverAuth, API server | leaf | |
//! | `device` | clientAuth, serverAuth; from the factory: factory identity alone | leaf | |
//! | `operator` | clientAuth, operator | leaf | |
//!
//! An issuing CA carries the EKUs of what it issues, because webpki asks for a required EKU at every CA of a path
//! below the anchor: so no CA can issue for a purpose of another one. No profile has URI name constraints: webpki would
//! then refuse every URI, and people and devices are named by URIs.

pub(crate) mod api_server;
pub(crate) mod device;
pub(crate) mod device_issuing_ca;
pub(crate) mod factory_ca;
pub(crate) mod firmware_signer;
pub(crate) mod firmware_signing_ca;
pub(crate) mod operator;
pub(crate) mod operator_ca;
pub(crate) mod root;
pub(crate) mod server_ca;

use metadata_schema::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::entropy::Entropy;
use crate::error::{Error, Result};
use crate::name::Organisation;
use crate::oid;

pub use api_server::ApiServer;
pub use device::Device;
pub use firmware_signer::FirmwareSigner;
pub use operator::Operator;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// From when to when a certificate is valid. Always given, never the library's guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// So many days from `start` on.
    pub fn days(start: Timestamp, days: u32) -> Self {
        let seconds = i64::from(days).saturating_mul(DAY);
        Self {
            not_before: start,
            not_after: start.plus_seconds(seconds),
        }
    }

    /// From `start` on without end: 99991231235959Z says so (RFC 5280, section 4.1.2.5).
    pub fn unlimited(start: Timestamp) -> Self {
        Self {
            not_before: start,
            not_after: Timestamp::MAX,
        }
    }

    /// Whether it has no end.
    pub fn is_unlimited(self) -> bool {
        self.not_after >= Timestamp::MAX
    }
}

/// The kinds of CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CaKind {
    /// The trust anchor: signs CAs and its own CRL, nothing else.
    Root,
    /// Certifies the people who sign firmware. Offline.
    FirmwareSigning,
    /// Certifies devices.
    DeviceIssuing,
    /// Certifies API servers.
    Server,
    /// Certifies devices once, in the factory.
    Factory,
    /// Certifies operators of API servers.
    Operator,
}

impl CaKind {
    /// All of them, the root first.
    pub const ALL: [Self; 6] = [
        Self::Root,
        Self::FirmwareSigning,
        Self::DeviceIssuing,
        Self::Server,
        Self::Factory,
        Self::Operator,
    ];

    /// The CAs below the root that every PKI has.
    pub const ISSUING: [Self; 3] = [Self::FirmwareSigning, Self::DeviceIssuing, Self::Server];

    /// The name of its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Root => "root-ca",
            Self::FirmwareSigning => "firmware-signing-ca",
            Self::DeviceIssuing => "device-issuing-ca",
            Self::Server => "server-ca",
            Self::Factory => "factory-ca",
            Self::Operator => "operator-ca",
        }
    }

    /// How many days its certificate is valid by default.
    pub fn default_days(self) -> u32 {
        match self {
            Self::Root => 25 * 365,
            Self::FirmwareSigning | Self::Factory => 10 * 365,
            Self::DeviceIssuing | Self::Server | Self::Operator => 5 * 365,
        }
    }

    pub(crate) fn params(self, organisation: &Organisation) -> CertificateParams {
        match self {
            Self::Root => root::params(organisation),
            Self::FirmwareSigning => firmware_signing_ca::params(organisation),
            Self::DeviceIssuing => device_issuing_ca::params(organisation),
            Self::Server => server_ca::params(organisation),
            Self::Factory => factory_ca::params(organisation),
            Self::Operator => operator_ca::params(organisation),
        }
    }
}

/// What a leaf certificate says, apart from key and validity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Leaf {
    /// A person who signs firmware.
    FirmwareSigner(FirmwareSigner),
    /// An API server.
    ApiServer(ApiServer),
    /// A device's working identity (LDevID).
    Device(Device),
    /// A device's identity from the factory (IDevID).
    FactoryDevice(Device),
    /// An operator.
    Operator(Operator),
}

impl Leaf {
    /// The CA that issues it.
    pub fn issuer(&self) -> CaKind {
        match self {
            Self::FirmwareSigner(_) => CaKind::FirmwareSigning,
            Self::ApiServer(_) => CaKind::Server,
            Self::Device(_) => CaKind::DeviceIssuing,
            Self::FactoryDevice(_) => CaKind::Factory,
            Self::Operator(_) => CaKind::Operator,
        }
    }

    /// How many days it is valid by default; none if it has no end.
    pub fn default_days(&self) -> Option<u32> {
        match self {
            Self::FirmwareSigner(_) => Some(2 * 365),
            Self::ApiServer(_) | Self::Device(_) => Some(90),
            Self::Operator(_) => Some(365),
            Self::FactoryDevice(_) => None,
        }
    }

    pub(crate) fn params(&self, organisation: &Organisation) -> Result<CertificateParams> {
        match self {
            Self::FirmwareSigner(signer) => signer.params(organisation),
            Self::ApiServer(server) => server.params(organisation),
            Self::Device(device) => device.params(organisation),
            Self::FactoryDevice(device) => device.factory_params(organisation),
            Self::Operator(operator) => operator.params(organisation),
        }
    }
}

/// Sets serial number (16 random bytes) and validity, which every certificate has (RFC 5280, sections 4.1.2.2 and 4.1.2.5).
pub(crate) fn finish(
    params: &mut CertificateParams,
    validity: Validity,
    entropy: &mut dyn Entropy,
) -> Result<()> {
    let mut serial = [0_u8; 16];
    entropy.fill(&mut serial)?;
    // Positive, and the same length always.
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = date(validity.not_before)?;
    params.not_after = date(validity.not_after)?;
    Ok(())
}

pub(crate) fn date(time: Timestamp) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(time.unix_seconds())
        .map_err(|e| Error::malformed("time", "a date in a certificate", e))
}

fn ca(organisation: &Organisation, name: &str, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(Some(organisation), name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn leaf(subject: DistinguishedName, purposes: Vec<ExtendedKeyUsagePurpose>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = purposes;
    params.use_authority_key_identifier_extension = true;
    params
}

fn subject(organisation: Option<&Organisation>, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation.name());
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn uri(text: &str) -> Result<SanType> {
    text.try_into()
        .map(SanType::URI)
        .map_err(|_| not_ascii(text))
}

fn dns(text: &str) -> Result<SanType> {
    text.try_into()
        .map(SanType::DnsName)
        .map_err(|_| not_ascii(text))
}

fn not_ascii(text: &str) -> Error {
    Error::Name {
        what: "alternative name",
        found: text.to_owned(),
        why: "is not ASCII",
    }
}

pub(crate) fn api_server_purpose() -> ExtendedKeyUsagePurpose {
    ExtendedKeyUsagePurpose::Other(oid::API_SERVER.to_vec())
}
