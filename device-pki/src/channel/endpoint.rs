//! One end of many channels: key and trust are prepared once, each connection gets a TLS configuration of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use metadata_schema::time::Timestamp;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier as _;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error as TlsError, OtherError, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::observer::Observer;
use super::{ACCEPTED, ALPN, Allowed, Channel};
use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::identity::{DeviceIdentity, Identity};
use crate::tls::{self, Expected, Trust, Verifier};

/// Our end of channels: who we are, whom we trust, and whom we talk to. To take over a new certificate or new revocation
/// lists, make another one and let [`Endpoint::judge`] say which open channels may go on.
#[derive(Debug)]
pub struct Endpoint {
    own: Arc<SingleCertAndKey>,
    trust: Trust,
    expected: Expected,
    provider: Arc<CryptoProvider>,
}

impl Endpoint {
    /// Prepares an end of channels with the devices in `allowed`.
    ///
    /// # Errors
    /// If the identity is not usable in TLS.
    pub fn new(identity: &Identity, trust: &Trust, allowed: Arc<Allowed>) -> Result<Self> {
        let provider = tls::provider();
        let own = CertifiedKey::from_der(identity.chain_der(), identity.key_der(), &provider)
            .map_err(tls::unusable)?;
        Ok(Self {
            own: Arc::new(own.into()),
            trust: trust.clone(),
            expected: Expected::Devices(allowed),
            provider,
        })
    }

    /// Opens a channel over a stream, and returns when the peer has accepted us.
    ///
    /// # Errors
    /// If either side refuses the other, or opening takes longer than `within`.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        within: Duration,
    ) -> Result<Channel<S>> {
        let observer = self.observer();
        let config = Arc::new(self.client(&observer)?);
        let name = ServerName::try_from("device.invalid").map_err(tls::unusable)?;
        let open = async {
            let mut stream = TlsConnector::from(config).connect(name, stream).await?;
            same_protocol(stream.get_ref().1)?;
            match stream.read_u8().await {
                Ok(ACCEPTED) => Ok(stream),
                Ok(_) => Err(foreign("unknown answer from the peer")),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "the peer has hung up without accepting us",
                )),
                Err(e) => Err(e),
            }
        };
        let stream = timed(within, open)
            .await
            .map_err(|source| handshake(&observer, "the peer", source))?;
        Channel::of(stream.into())
    }

    /// Accepts a channel over a stream.
    ///
    /// # Errors
    /// If either side refuses the other, or the handshake takes longer than `within`.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        within: Duration,
    ) -> Result<Channel<S>> {
        let observer = self.observer();
        let config = Arc::new(self.server(&observer)?);
        let admit = async {
            let mut stream = tls::accept(config, stream, within).await?;
            let welcome = async {
                same_protocol(stream.get_ref().1)?;
                stream.write_u8(ACCEPTED).await?;
                stream.flush().await
            };
            timed(within, welcome).await?;
            Ok(stream)
        };
        let stream = admit
            .await
            .map_err(|source| handshake(&observer, "the connecting device", source))?;
        Channel::of(stream.into())
    }

    /// Judges a chain (leaf first) as a handshake would now: for channels that are open when lists, or what is allowed, change.
    ///
    /// # Errors
    /// If a handshake with it would be refused.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<DeviceIdentity> {
        let (leaf, issuers) = chain
            .split_first()
            .ok_or_else(|| tls::unusable("no certificate"))?;
        let seconds = u64::try_from(now.unix_seconds()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.observer()
            .verify_client_cert(leaf, issuers, now)
            .map_err(tls::unusable)?;
        DeviceIdentity::from_verified(&Certificate::from_der("peer certificate", leaf)?)
    }

    fn observer(&self) -> Arc<Observer> {
        let verifier = Verifier::new(&self.trust, self.expected.clone(), &self.provider);
        Arc::new(Observer::new(verifier))
    }

    fn client(&self, observer: &Arc<Observer>) -> Result<ClientConfig> {
        let provider = Arc::clone(&self.provider);
        let mut config = ClientConfig::builder_with_details(provider, self.trust.clock.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls::unusable)?
            .dangerous()
            .with_custom_certificate_verifier(observer.clone())
            .with_client_cert_resolver(self.own.clone());
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // The peer is known by its URN; a server name would only tell listeners where we go.
        config.enable_sni = false;
        Ok(config)
    }

    fn server(&self, observer: &Arc<Observer>) -> Result<ServerConfig> {
        let provider = Arc::clone(&self.provider);
        let mut config = ServerConfig::builder_with_details(provider, self.trust.clock.provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls::unusable)?
            .with_client_cert_verifier(observer.clone())
            .with_cert_resolver(self.own.clone());
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

/// TLS refuses a peer that names other protocols, and not one that names none.
fn same_protocol(connection: &rustls::CommonState) -> io::Result<()> {
    if connection.alpn_protocol() == Some(ALPN) {
        Ok(())
    } else {
        Err(foreign("the peer does not speak the protocol of channels"))
    }
}

fn foreign(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

async fn timed<T>(within: Duration, open: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the peer takes too long");
    tokio::time::timeout(within, open)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// The refusal, with the name that the peer's certificate claims: it need not be true.
fn handshake(observer: &Observer, nobody: &str, source: io::Error) -> Error {
    let peer = observer.claimed().map_or_else(
        || nobody.to_owned(),
        |claimed| format!("who shows a certificate of {claimed}"),
    );
    Error::Handshake {
        peer,
        source: plain(source),
    }
}

/// A reason of ours, taken out of what TLS has wrapped it in.
fn plain(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    match inner {
        Some(TlsError::InvalidCertificate(CertificateError::Other(OtherError(ours)))) => {
            io::Error::new(error.kind(), ours.to_string())
        }
        _ => error,
    }
}
