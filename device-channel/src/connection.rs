//! One connection: handshake, whose it is, bytes both ways, end.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use device_pki::Channel;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::credentials::{Credentials, InForce};
use crate::metrics::{Metrics, Refusal};
use crate::open::Open;
use crate::settings::{Limits, Mode};
use crate::streams::{Meter, Metered, Plain};
use crate::target::Target;

/// Bytes that are read at once in each direction: one record of TLS.
const BUFFER: usize = 16 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mode: Mode,
    pub(crate) plaintext_anywhere: bool,
    pub(crate) limits: Limits,
    pub(crate) credentials: Credentials,
    pub(crate) open: Arc<Open>,
    pub(crate) metrics: Metrics,
    /// Places for channels.
    pub(crate) places: Arc<Semaphore>,
}

/// A device has come to us: who is it, may it, and what does it say to the program behind us?
pub(crate) async fn incoming<H>(shared: &Shared, stream: TcpStream, address: &str, handshaking: H) {
    let Mode::Listen { forward, .. } = &shared.mode else {
        return;
    };
    let in_force = shared.credentials.current();
    let within = shared.limits.handshake;
    let channel = match in_force.endpoint.accept(stream, within).await {
        Ok(channel) => channel,
        Err(error) => return refused(shared, address, &error),
    };
    let peer = channel.peer().urn().as_str().to_owned();
    let Ok(_place) = Arc::clone(&shared.places).try_acquire_owned() else {
        return limit(shared, &peer, address, "--max-connections");
    };
    drop(handshaking);
    let plain = match tokio::time::timeout(within, forward.connect(shared.plaintext_anywhere)).await
    {
        Ok(Ok(plain)) => plain,
        failed => return unreachable(shared, forward, &text_of(failed)),
    };
    relay(
        shared,
        channel,
        plain,
        &in_force,
        address,
        shared.limits.per_peer,
    )
    .await;
}

/// A program of this host has come to us: opens a channel to the peer for it.
pub(crate) async fn outgoing(shared: &Shared, plain: Plain, address: &str) {
    let Mode::Connect { to, .. } = &shared.mode else {
        return;
    };
    let in_force = shared.credentials.current();
    let within = shared.limits.handshake;
    let stream = match tokio::time::timeout(within, to.connect(true)).await {
        Ok(Ok(Plain::Tcp(stream))) => stream,
        failed => {
            plain.cut();
            return unreachable(shared, to, &text_of(failed));
        }
    };
    match in_force.endpoint.connect(stream, within).await {
        Ok(channel) => relay(shared, channel, plain, &in_force, address, usize::MAX).await,
        Err(error) => {
            plain.cut();
            refused(shared, &to.to_string(), &error);
        }
    }
}

/// Carries bytes both ways until both sides have said all, or one of them breaks off.
async fn relay<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    mut channel: Channel<S>,
    plain: Plain,
    judged_by: &InForce,
    address: &str,
    per_peer: usize,
) {
    let meter = Arc::new(Meter::new());
    let identity = channel.peer().clone();
    let peer = identity.urn().as_str().to_owned();
    let chain = channel.chain();
    let entered = shared
        .open
        .enter(identity, chain.clone(), Arc::clone(&meter), per_peer);
    let Some((_registered, closed)) = entered else {
        plain.cut();
        return limit(shared, &peer, address, "--max-per-peer");
    };
    // Lists may have changed during the handshake, before this channel was among those to close.
    let current = shared.credentials.current();
    if !Arc::ptr_eq(&current.endpoint, &judged_by.endpoint)
        && let Err(error) = current.endpoint.judge(&chain, current.now)
    {
        plain.cut();
        return refused(shared, address, &error);
    }
    shared.metrics.opened();
    let key_exchange = channel.key_exchange();
    tracing::info!(%peer, address, ?key_exchange, "connected");
    let mut plain = Metered::new(plain, Arc::clone(&meter));
    let reason = tokio::select! {
        ended = tokio::io::copy_bidirectional_with_sizes(&mut channel, &mut plain, BUFFER, BUFFER) => {
            match ended {
                Ok(_) => {
                    plain.ended();
                    "both sides have ended it".to_owned()
                }
                Err(error) => broken(&error),
            }
        }
        Ok(why) = closed => {
            shared.metrics.closed_by_us();
            why
        }
    };
    shared.metrics.moved(meter.sent(), meter.received());
    tracing::info!(
        %peer,
        address,
        sent = meter.sent(),
        received = meter.received(),
        seconds = meter.age().as_secs(),
        reason,
        "closed"
    );
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the peer was cut off in the middle".to_owned(),
        _ => format!("broken off: {error}"),
    }
}

fn refused(shared: &Shared, address: &str, error: &device_pki::Error) {
    shared.metrics.refused(Refusal::Handshake);
    let who = match error {
        device_pki::Error::Handshake { peer, .. } => peer.as_str(),
        _ => "the peer",
    };
    let reason = error
        .source()
        .map_or_else(|| error.to_string(), |cause| in_words(&cause.to_string()));
    tracing::warn!(address, who, reason, "refused");
}

/// The reasons of TLS that are hard to guess, in words.
fn in_words(reason: &str) -> String {
    let meaning = [
        (
            "ApplicationVerificationFailure",
            "a device, but not one that --accept or --peer names",
        ),
        (
            "AccessDenied",
            "the peer's --accept or --peer does not name us",
        ),
        (
            "received fatal alert: CertificateRevoked",
            "the peer says that our certificate is revoked",
        ),
        (
            "received fatal alert: CertificateExpired",
            "the peer says that our certificate has expired, or its clock is wrong",
        ),
        (
            "received fatal alert: UnknownCA",
            "the peer has another trust anchor",
        ),
        (
            "InvalidPurpose",
            "not a device's working certificate: it needs clientAuth and serverAuth along its whole chain",
        ),
        (
            "UnknownIssuer",
            "its chain does not lead to our trust anchor",
        ),
    ];
    meaning
        .iter()
        .find(|(mark, _)| reason.contains(mark))
        .map_or_else(
            || reason.to_owned(),
            |(_, words)| format!("{words} ({reason})"),
        )
}

fn limit(shared: &Shared, peer: &str, address: &str, option: &str) {
    shared.metrics.refused(Refusal::Limit);
    tracing::warn!(
        peer,
        address,
        option,
        "refused: as many as this option allows are open"
    );
}

fn unreachable(shared: &Shared, target: &Target, reason: &str) {
    shared.metrics.refused(Refusal::Unreachable);
    tracing::warn!(%target, reason, "cannot be reached");
}

fn text_of(failed: Result<io::Result<Plain>, tokio::time::error::Elapsed>) -> String {
    match failed {
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(_)) => "it is no TCP address".to_owned(),
        Err(_) => "no answer in time".to_owned(),
    }
}
