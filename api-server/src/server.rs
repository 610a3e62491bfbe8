//! The server as a whole: listen, accept, reload, stop.

use std::net::SocketAddr;
use std::sync::Arc;

use device_pki::admission::{Handshakes, Place};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::config::{Config, Limits};
use crate::connection::{self, Door, Shared};
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::issuer::Issuer;
use crate::routes::{self, App};
use crate::store::{SqliteStore, Store};

/// How long to wait when accepting fails, as it does when file descriptors have run out.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
    enrolment: Option<Enrolment>,
    reload: Arc<Notify>,
}

/// The listener where devices enrol.
struct Enrolment {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
    keeper: Keeper,
}

/// What keeps the revocation list of the CA in this server.
#[derive(Clone)]
struct Keeper {
    issuer: Arc<Issuer>,
    store: Arc<dyn Store>,
}

/// Makes a running server look at its files at once.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Notify>);

impl Reloader {
    /// Looks at the files now, instead of a little later.
    pub fn reload(&self) {
        self.0.notify_one();
    }
}

impl Server {
    /// Loads certificates and database, and listens.
    ///
    /// # Errors
    /// If a file is not usable, or the address is taken.
    pub async fn bind(config: Config) -> Result<Self> {
        let credentials = Arc::new(Credentials::load(&config)?);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&config.data)?);
        let anchor = credentials.current().trust.anchor;
        let open = |est| Issuer::open(est, &anchor, &config.data).map(Arc::new);
        let issuer = config.est.as_ref().map(open).transpose()?;
        let app = App::new(
            &config,
            Arc::clone(&store),
            Arc::clone(&credentials),
            issuer.clone(),
        )?;
        let shared = Shared {
            door: Door::Devices,
            credentials,
            sessions: Arc::default(),
            router: routes::router(app.clone()),
            app,
            places: Arc::new(Semaphore::new(config.limits.connections)),
            limits: config.limits,
        };
        let enrolment = match config.est.as_ref().zip(issuer) {
            None => None,
            Some((est, issuer)) => {
                let keeper = Keeper { issuer, store };
                keeper.publish(&shared)?;
                let (listener, address) = listen(est.listen).await?;
                // Places of their own: strangers take none from devices.
                let shared = Shared {
                    door: Door::Enrolment,
                    router: routes::enrolment(shared.app.clone()),
                    places: Arc::new(Semaphore::new(config.limits.handshakes)),
                    ..shared.clone()
                };
                Some(Enrolment {
                    listener,
                    address,
                    shared,
                    keeper,
                })
            }
        };
        // The last of all: who reaches the server here finds all of it.
        let (listener, address) = listen(config.listen).await?;
        Ok(Self {
            listener,
            address,
            shared,
            enrolment,
            reload: Arc::default(),
        })
    }

    /// The address where devices enrol, if they do.
    pub fn enrolment_addr(&self) -> Option<SocketAddr> {
        self.enrolment.as_ref().map(|enrolment| enrolment.address)
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A handle that makes it look at its files.
    pub fn reloader(&self) -> Reloader {
        Reloader(Arc::clone(&self.reload))
    }

    /// Serves until `shutdown` resolves, then lets open requests end.
    ///
    /// # Errors
    /// None so far; what goes wrong with one connection ends that connection.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Self {
            listener,
            shared,
            enrolment,
            reload,
            ..
        } = self;
        let graceful = GracefulShutdown::new();
        let Limits {
            handshakes: places,
            handshakes_per_address: share,
            ..
        } = shared.limits;
        let handshakes = Handshakes::new(places, share);
        let newcomers = Handshakes::new(places, share);
        let keeper = enrolment.as_ref().map(|enrolment| enrolment.keeper.clone());
        let mut connections = JoinSet::new();
        let mut tick = tokio::time::interval(shared.limits.reload);
        tokio::pin!(shutdown);
        loop {
            let enrolling = async {
                match &enrolment {
                    Some(door) => (accept(&newcomers, &door.listener).await, &door.shared),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut shutdown => break,
                _ = tick.tick() => look_after(&shared, keeper.as_ref()).await,
                () = reload.notified() => look_after(&shared, keeper.as_ref()).await,
                _ended = connections.join_next(), if !connections.is_empty() => {}
                accepted = accept(&handshakes, &listener) => {
                    serve(&mut connections, &shared, accepted, graceful.watcher()).await;
                }
                (accepted, shared) = enrolling => {
                    serve(&mut connections, shared, accepted, graceful.watcher()).await;
                }
            }
        }
        drop((listener, enrolment));
        tracing::info!(open = shared.sessions.count(), "stopping");
        if tokio::time::timeout(shared.limits.shutdown, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(
                open = shared.sessions.count(),
                "closing connections that go on"
            );
        }
        connections.shutdown().await;
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

type Accepted = std::io::Result<(TcpStream, SocketAddr, Option<Place>)>;

/// The next connection, and its place among the handshakes if there is one for its address.
async fn accept(handshakes: &Arc<Handshakes>, listener: &TcpListener) -> Accepted {
    // A place first, so that connections beyond the limit wait in the kernel.
    let place = handshakes.wait().await;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, handshakes.take(place, address.ip())))
}

async fn serve(
    connections: &mut JoinSet<()>,
    shared: &Shared,
    accepted: Accepted,
    watcher: Watcher,
) {
    match accepted {
        Ok((stream, _, Some(place))) => {
            connections.spawn(connection::serve(shared.clone(), stream, place, watcher));
        }
        Ok((_, address, None)) => tracing::debug!(%address, "too many handshakes at once, closed"),
        Err(error) => {
            tracing::warn!(reason = %error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

impl Keeper {
    /// Issues a new revocation list if it is time; it is in force when this has returned.
    fn publish(&self, shared: &Shared) -> Result<()> {
        let in_force = shared.credentials.current();
        let lists = in_force.trust.revocations.lists();
        let now = in_force.trust.clock.now();
        let store: &dyn Store = self.store.as_ref();
        if self.issuer.publish(store, lists, now)? {
            shared.credentials.reload()?;
        }
        Ok(())
    }
}

/// Takes over changed files, and closes connections that may not go on.
async fn look_after(shared: &Shared, keeper: Option<&Keeper>) {
    let (shared, keeper) = (shared.clone(), keeper.cloned());
    let looking = tokio::task::spawn_blocking(move || {
        let before = shared.credentials.current().generation;
        match shared.credentials.reload() {
            Ok(true) => tracing::info!("certificates and revocation lists reloaded"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(reason = %error, "reload failed, the old files stay in force");
            }
        }
        if let Some(Err(error)) = keeper.map(|keeper| keeper.publish(&shared)) {
            tracing::error!(reason = %error, "no new revocation list");
        }
        let in_force = shared.credentials.current();
        let now = in_force.trust.clock.now();
        if in_force.generation != before {
            shared.sessions.close_refused(&in_force.trust, now);
        }
        shared.sessions.close_stale(shared.limits.idle, now);
    });
    if let Err(error) = looking.await {
        tracing::error!(reason = %error, "looking after connections failed");
    }
}
