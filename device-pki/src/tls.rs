//! Mutual TLS between devices and the API server, on rustls with aws-lc-rs: TLS 1.3 only, X25519MLKEM768 preferred.
//!
//! Who may stand where follows from the purposes that each issuing CA carries, and that are asked for in every
//! certificate of a path:
//!
//! | asked for | required in the leaf and in its CA | who has it |
//! |---|---|---|
//! | a device | clientAuth and serverAuth, and exactly one device URN | what the device-issuing CA issues |
//! | an API server | serverAuth and our own purpose "API server", the name, no URN | what the server CA issues |
//!
//! | a device that enrols | our purpose "factory identity", and exactly one device URN | what the Factory CA issues |
//!
//! So a device never passes as the API server, although its certificate has serverAuth, and the API server never passes
//! as a device. Sessions are not resumed: a resumed session would skip the check of revocation.
//!
//! A device's clock may be behind, and a certificate that was issued after the time it shows is no reason to stay away
//! from its server for ever: [`Clock::AtLeast`]. A server has to have a right clock.
//!
//! A configuration holds the revocation lists that it was made with. To take over new lists, make a new configuration
//! and swap it in.

mod accept;
mod verifier;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use metadata_schema::time::Timestamp;
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier as _;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, ConfigBuilder, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::anchor::TrustAnchor;
use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::identity::{DeviceIdentity, Identity};
use crate::revocations::Revocations;

pub use accept::accept;
pub(crate) use verifier::{Expected, Verifier};

/// What a missing or an overdue revocation list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationPolicy {
    /// Without a current list of its issuer a certificate is refused: for servers.
    Strict,
    /// The same, but a list may be overdue by so many seconds: for devices that are cut off from time to time.
    Overdue(u32),
    /// Lists that are there count, even if a newer one was due: for devices, which may be cut off for a long time.
    Available,
}

/// What time it is for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// The system's clock at each handshake, which is right: for servers.
    System,
    /// Exactly this time.
    Fixed(Timestamp),
    /// It is this time or later: for devices, whose reference time may be years behind. A path is judged at the time when
    /// its newest certificate was issued, if that is later.
    AtLeast(Timestamp),
}

/// Whom a TLS configuration trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Where every path has to end.
    pub anchor: TrustAnchor,
    /// The lists in force.
    pub revocations: Arc<Revocations>,
    /// What a missing list means.
    pub policy: RevocationPolicy,
    /// What time it is.
    pub clock: Clock,
}

/// The configuration of a device that talks to the API server.
///
/// # Errors
/// If the identity is not usable in TLS.
pub fn device_client(identity: &Identity, trust: &Trust) -> Result<ClientConfig> {
    client(identity, trust, Expected::ApiServer)
}

/// The configuration of the API server, which lets only devices in.
///
/// # Errors
/// If the identity is not usable in TLS, or the clock is [`Clock::AtLeast`].
pub fn api_server(identity: &Identity, trust: &Trust) -> Result<ServerConfig> {
    trust.clock.right()?;
    server(identity, trust, Expected::AnyDevice)
}

/// The configuration of a client that has no certificate yet, only a token.
///
/// # Errors
/// If TLS cannot be set up.
pub fn nameless_client(trust: &Trust) -> Result<ClientConfig> {
    let mut config = client_builder(trust, Expected::ApiServer)?.with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The configuration of the API server where devices enrol: it lets in identities from the factory, and clients without a
/// certificate, who have to show something else. What the Factory CA issued stays good after that CA has expired.
///
/// # Errors
/// If the identity is not usable in TLS, or the clock is [`Clock::AtLeast`].
pub fn enrolment_server(identity: &Identity, trust: &Trust) -> Result<ServerConfig> {
    trust.clock.right()?;
    server(identity, trust, Expected::FactoryDevice)
}

/// Judges a device's chain (leaf first, as the peer showed it) as a handshake would now: for connections that are open
/// when revocation lists change.
///
/// # Errors
/// If a handshake with it would be refused, or the clock is [`Clock::AtLeast`].
pub fn verify_device(
    chain: &[CertificateDer<'_>],
    trust: &Trust,
    now: Timestamp,
) -> Result<DeviceIdentity> {
    trust.clock.right()?;
    let (leaf, issuers) = chain
        .split_first()
        .ok_or_else(|| unusable("no certificate"))?;
    let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let verifier = Verifier::new(trust, Expected::AnyDevice, &provider());
    verifier
        .verify_client_cert(leaf, issuers, now)
        .map_err(unusable)?;
    DeviceIdentity::from_verified(&Certificate::from_der("peer certificate", leaf)?)
}

pub(crate) fn client(identity: &Identity, trust: &Trust, peer: Expected) -> Result<ClientConfig> {
    let mut config = client_builder(trust, peer)?
        .with_client_auth_cert(identity.chain_der(), identity.key_der())
        .map_err(unusable)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn client_builder(
    trust: &Trust,
    peer: Expected,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = provider();
    let verifier = Arc::new(Verifier::new(trust, peer, &provider));
    Ok(
        ClientConfig::builder_with_details(provider, trust.clock.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier),
    )
}

pub(crate) fn server(identity: &Identity, trust: &Trust, peer: Expected) -> Result<ServerConfig> {
    let provider = provider();
    let verifier = Arc::new(Verifier::new(trust, peer, &provider));
    let mut config = ServerConfig::builder_with_details(provider, trust.clock.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain_der(), identity.key_der())
        .map_err(unusable)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Given explicitly everywhere, so that no process-wide default can change it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn unusable(error: impl std::fmt::Display) -> Error {
    Error::Tls {
        reason: error.to_string(),
    }
}

impl Clock {
    /// What time it is by this clock.
    pub fn now(self) -> Timestamp {
        match self {
            Self::Fixed(time) | Self::AtLeast(time) => time,
            Self::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let seconds = since.unwrap_or_default().as_secs();
                Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
            }
        }
    }

    pub(crate) fn provider(self) -> Arc<dyn TimeProvider> {
        match self {
            Self::System => Arc::new(DefaultTimeProvider),
            Self::Fixed(time) | Self::AtLeast(time) => Arc::new(Fixed(time)),
        }
    }

    /// That this is a clock for a server.
    fn right(self) -> Result<()> {
        match self {
            Self::System | Self::Fixed(_) => Ok(()),
            Self::AtLeast(_) => Err(unusable("a server has to know what time it is")),
        }
    }
}

#[derive(Debug)]
struct Fixed(Timestamp);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.unix_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests;
