//! One connection: handshake, whose it is, requests, end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::{Extension, Router};
use device_pki::admission::Place;
use device_pki::{DeviceIdentity, tls};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulConnection, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use crate::config::Limits;
use crate::credentials::Credentials;
use crate::routes::App;
use crate::routes::est::Newcomer;
use crate::sessions::{Activity, Sessions};

/// Largest head of a request.
const MAX_HEAD: usize = 16 * 1024;
/// Most header fields of a request.
const MAX_HEADERS: usize = 64;
/// Most requests at once on one connection (HTTP/2).
const MAX_STREAMS: u32 = 16;

/// By which listener a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// That of devices with a certificate.
    Devices,
    /// That of devices that enrol.
    Enrolment,
}

/// What all connections of a listener share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) door: Door,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) app: App,
    pub(crate) router: Router,
    /// Places for connections whose handshake is over.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) limits: Limits,
}

/// Serves a connection to its end. It keeps its place among the handshakes until it has one among the devices.
pub(crate) async fn serve(shared: Shared, stream: TcpStream, handshaking: Place, watcher: Watcher) {
    let address = stream
        .peer_addr()
        .map_or_else(|_| "?".to_owned(), |address| address.to_string());
    let (stream, generation) = match handshake(&shared, stream).await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::info!(%address, reason = %error, "handshake refused");
            return;
        }
    };
    // Not for ever, or waiting devices could hold all places for handshakes.
    let place = Arc::clone(&shared.places).acquire_owned();
    let Ok(Ok(_place)) = tokio::time::timeout(shared.limits.handshake, place).await else {
        tracing::warn!(%address, "no place for a connection, closed");
        return;
    };
    drop(handshaking);
    let ended = match shared.door {
        Door::Devices => requests(&shared, stream, generation, watcher).await,
        Door::Enrolment => enrolment(&shared, stream, watcher).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%address, reason = %error, "connection ended");
    }
}

async fn handshake(
    shared: &Shared,
    stream: TcpStream,
) -> io::Result<(TlsStream<Watched<TcpStream>>, u64)> {
    stream.set_nodelay(true)?;
    let in_force = shared.credentials.current();
    let stream = Watched {
        stream,
        activity: Arc::new(Activity::now()),
    };
    let tls = match shared.door {
        Door::Devices => in_force.tls,
        Door::Enrolment => in_force.enrolment,
    };
    let stream = tls::accept(tls, stream, shared.limits.handshake).await?;
    Ok((stream, in_force.generation))
}

async fn requests(
    shared: &Shared,
    stream: TlsStream<Watched<TcpStream>>,
    generation: u64,
    watcher: Watcher,
) -> io::Result<()> {
    let (transport, connection) = stream.get_ref();
    let peer = DeviceIdentity::of(connection).map_err(io::Error::other)?;
    let chain: Vec<_> = connection
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|c| c.clone().into_owned())
        .collect();
    let activity = Arc::clone(&transport.activity);
    let (_registered, closed) = shared.sessions.enter(
        peer.clone(),
        chain.clone(),
        activity,
        shared.limits.connections_per_device,
    );
    // Lists may have changed during the handshake, before this connection was in the list of those to close.
    let in_force = shared.credentials.current();
    if in_force.generation != generation {
        tls::verify_device(&chain, &in_force.trust, in_force.trust.clock.now())
            .map_err(io::Error::other)?;
    }
    tracing::debug!(device = %peer.urn(), open = shared.sessions.count(), "connected");
    shared.app.seen(&peer);

    let router = shared.router.clone().layer(Extension(peer));
    let connection = http(shared, stream, router);
    tokio::select! {
        ended = watcher.watch(connection) => ended.map_err(io::Error::other),
        _ = closed => Ok(()),
    }
}

/// Serves who enrols: not for long, so that what was judged at the handshake holds to the end.
async fn enrolment(
    shared: &Shared,
    stream: TlsStream<Watched<TcpStream>>,
    watcher: Watcher,
) -> io::Result<()> {
    let (_, connection) = stream.get_ref();
    let device = match connection.peer_certificates() {
        Some([_, ..]) => Some(DeviceIdentity::of(connection).map_err(io::Error::other)?),
        _ => None,
    };
    let router = shared.router.clone().layer(Extension(Newcomer(device)));
    let connection = watcher.watch(http(shared, stream, router));
    match tokio::time::timeout(shared.limits.idle, connection).await {
        Ok(ended) => ended.map_err(io::Error::other),
        Err(_) => Ok(()),
    }
}

fn http(
    shared: &Shared,
    stream: TlsStream<Watched<TcpStream>>,
    router: Router,
) -> impl GracefulConnection<Error = Box<dyn std::error::Error + Send + Sync>> + use<> {
    let service = TowerToHyperService::new(router);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(shared.limits.idle)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS);
    builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned()
}

/// A stream that notes when it last moved a byte.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.activity.mark();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if polled.is_ready() {
            self.activity.mark();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
