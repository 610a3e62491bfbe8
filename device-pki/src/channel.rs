//! Secure channels from device to device.
//!
//! Both sides show a device's certificate under the same anchor, and each says beforehand whom it wants to talk to. A
//! TLS 1.3 handshake is over for the connecting side before the other side has judged its certificate, so the accepting
//! side sends one byte once it has: [`connect`] returns when that has come, or the refusal.

mod endpoint;
mod observer;

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::error::Result;
use crate::identity::{DeviceIdentity, Identity};
use crate::name::DeviceUrn;
use crate::tls::Trust;

pub use endpoint::Endpoint;

/// The byte by which the accepting side says that it has accepted.
const ACCEPTED: u8 = 0x01;
/// The protocol's name in ALPN, so that a channel is never taken for something else (RFC 7301).
const ALPN: &[u8] = b"device-channel/1";
/// How long opening a channel may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Which devices may open a channel: exact URNs, or patterns in which `*` stands for any run of characters.
///
/// ```
/// use device_pki::channel::Allowed;
/// let allowed = Allowed::default().device("urn:example:device:A1".parse()?).pattern("urn:example:device:SN-*");
/// assert!(allowed.admits(&"urn:example:device:SN-7".parse()?));
/// assert!(!allowed.admits(&"urn:example:device:A2".parse()?));
/// # Ok::<(), device_pki::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    exact: BTreeSet<DeviceUrn>,
    patterns: Vec<String>,
}

impl Allowed {
    /// One more device.
    #[must_use]
    pub fn device(mut self, urn: DeviceUrn) -> Self {
        self.exact.insert(urn);
        self
    }

    /// All devices whose URN matches.
    #[must_use]
    pub fn pattern(mut self, pattern: &str) -> Self {
        self.patterns.push(pattern.to_owned());
        self
    }

    /// Whether a device is among them.
    pub fn admits(&self, urn: &DeviceUrn) -> bool {
        self.exact.contains(urn)
            || self
                .patterns
                .iter()
                .any(|pattern| matches(pattern, urn.as_str()))
    }
}

/// Whether all of `text` matches, where `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    // The first place where a middle part fits leaves the most text for those after it.
    for part in parts {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(last)
}

/// An open channel: bytes in order, encrypted and authenticated, and the peer's name.
#[derive(Debug)]
pub struct Channel<S> {
    stream: TlsStream<S>,
    peer: DeviceIdentity,
}

impl<S> Channel<S> {
    fn of(stream: TlsStream<S>) -> Result<Self> {
        let peer = DeviceIdentity::of(stream.get_ref().1)?;
        Ok(Self { stream, peer })
    }

    /// The device at the other end.
    pub fn peer(&self) -> &DeviceIdentity {
        &self.peer
    }

    /// The chain that the peer has shown, leaf first: what [`Endpoint::judge`] asks for.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        let shown = self.stream.get_ref().1.peer_certificates();
        let owned = |der: &CertificateDer<'_>| der.clone().into_owned();
        shown.unwrap_or_default().iter().map(owned).collect()
    }

    /// The key exchange that was agreed on, such as `X25519MLKEM768`.
    pub fn key_exchange(&self) -> Option<rustls::NamedGroup> {
        let group = self.stream.get_ref().1.negotiated_key_exchange_group();
        group.map(rustls::crypto::SupportedKxGroup::name)
    }
}

/// Opens a channel to a device: no other may answer.
///
/// Returns when the peer has accepted us. Who opens many channels makes one [`Endpoint`] for them.
///
/// # Errors
/// If either side refuses the other, or opening takes longer than [`HANDSHAKE_TIMEOUT`].
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    identity: &Identity,
    trust: &Trust,
    peer: &DeviceUrn,
) -> Result<Channel<S>> {
    let allowed = Arc::new(Allowed::default().device(peer.clone()));
    Endpoint::new(identity, trust, allowed)?
        .connect(stream, HANDSHAKE_TIMEOUT)
        .await
}

/// Accepts a channel from one of the devices in `allowed`. Who accepts many makes one [`Endpoint`] for them.
///
/// # Errors
/// If either side refuses the other, or opening takes longer than [`HANDSHAKE_TIMEOUT`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    identity: &Identity,
    trust: &Trust,
    allowed: Arc<Allowed>,
) -> Result<Channel<S>> {
    Endpoint::new(identity, trust, allowed)?
        .accept(stream, HANDSHAKE_TIMEOUT)
        .await
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Channel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Channel<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
