//! The server as a whole: listen, accept, reload, stop.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::admission::Handshakes;
use crate::config::Config;
use crate::connection::{self, Shared};
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::routes::{self, App};
use crate::store::SqliteStore;

/// How long to wait when accepting fails, as it does when file descriptors have run out.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
    reload: Arc<Notify>,
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
        let store = Arc::new(SqliteStore::open(&config.data)?);
        let app = App::new(&config, store)?;
        let listen = |source| Error::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Shared {
            credentials,
            sessions: Arc::default(),
            router: routes::router(app.clone()),
            app,
            places: Arc::new(Semaphore::new(config.limits.connections)),
            limits: config.limits,
        };
        Ok(Self {
            listener,
            address,
            shared,
            reload: Arc::default(),
        })
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
            reload,
            ..
        } = self;
        let graceful = GracefulShutdown::new();
        let handshakes = Handshakes::new(&shared.limits);
        let mut connections = JoinSet::new();
        let mut tick = tokio::time::interval(shared.limits.reload);
        tokio::pin!(shutdown);
        loop {
            let accept = async {
                // A place first, so that connections beyond the limit wait in the kernel.
                let place = handshakes.wait().await;
                (place, listener.accept().await)
            };
            tokio::select! {
                () = &mut shutdown => break,
                _ = tick.tick() => look_after(&shared).await,
                () = reload.notified() => look_after(&shared).await,
                _ended = connections.join_next(), if !connections.is_empty() => {}
                (place, accepted) = accept => match accepted {
                    Ok((stream, address)) => match handshakes.take(place, address.ip()) {
                        Some(place) => {
                            let watcher = graceful.watcher();
                            connections.spawn(connection::serve(shared.clone(), stream, place, watcher));
                        }
                        None => tracing::debug!(%address, "too many handshakes at once, closed"),
                    },
                    Err(error) => {
                        tracing::warn!(reason = %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
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

/// Takes over changed files, and closes connections that may not go on.
async fn look_after(shared: &Shared) {
    let shared = shared.clone();
    let looking = tokio::task::spawn_blocking(move || {
        match shared.credentials.reload() {
            Ok(true) => {
                let in_force = shared.credentials.current();
                let lists = in_force.trust.revocations.lists().len();
                tracing::info!(lists, "certificates and revocation lists reloaded");
                shared
                    .sessions
                    .close_refused(&in_force.trust, in_force.trust.clock.now());
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(reason = %error, "reload failed, the old files stay in force");
            }
        }
        let now = shared.credentials.current().trust.clock.now();
        shared.sessions.close_stale(shared.limits.idle, now);
    });
    if let Err(error) = looking.await {
        tracing::error!(reason = %error, "looking after connections failed");
    }
}
