//! The sidecar as a whole: listen, accept, reload, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use device_pki::Clock;
use device_pki::admission::{Handshakes, Place};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::connection::{self, Shared};
use crate::credentials::{Credentials, Found};
use crate::error::{Error, Result};
use crate::listener::{Inherited, Listener};
use crate::metrics::{Metrics, Refusal};
use crate::settings::{Mode, Settings};
use crate::status;
use crate::streams::Plain;
use crate::target::Target;

/// How long to wait when accepting fails, as it does when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a running sidecar is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// To go on.
    Running,
    /// To take nobody in any more, and to let open channels end for a while.
    Draining,
    /// To close everything now.
    Stopping,
}

/// A sidecar that listens.
#[derive(Debug)]
pub struct Sidecar {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    status: Option<TcpListener>,
    reload: Arc<Notify>,
}

impl Sidecar {
    /// Loads the files, and listens: on the sockets that are `inherited`, or where the settings say.
    ///
    /// # Errors
    /// If the settings or a file are not usable, or an address is taken.
    pub async fn bind(settings: Settings, inherited: Inherited) -> Result<Self> {
        settings.check()?;
        let credentials = Credentials::load(&settings.files, settings.mode.allowed())?;
        let listeners = if inherited.is_empty() {
            let own = match &settings.mode {
                Mode::Listen { listen, .. } => Target::Tcp {
                    host: listen.ip().to_string(),
                    port: listen.port(),
                },
                Mode::Connect { listen, .. } => listen.clone(),
            };
            vec![Listener::bind(&own).await?]
        } else {
            inherited.listeners()?
        };
        for listener in &listeners {
            fits(listener, &settings)?;
        }
        let status = match settings.metrics {
            None => None,
            Some(address) => {
                Some(
                    TcpListener::bind(address)
                        .await
                        .map_err(|source| Error::Listen {
                            address: address.to_string(),
                            source,
                        })?,
                )
            }
        };
        let most = settings.limits.connections.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            shared: Arc::new(Shared {
                mode: settings.mode,
                plaintext_anywhere: settings.plaintext_anywhere,
                limits: settings.limits,
                credentials,
                open: Arc::default(),
                metrics: Metrics::default(),
                places: Arc::new(Semaphore::new(most)),
            }),
            listeners,
            status,
            reload: Arc::default(),
        })
    }

    /// Where it listens, as text.
    pub fn addresses(&self) -> Vec<String> {
        self.listeners.iter().map(Listener::name).collect()
    }

    /// Where metrics are told.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.status.as_ref()?.local_addr().ok()
    }

    /// Makes it look at its files when it is notified, instead of a little later.
    pub fn reloader(&self) -> Arc<Notify> {
        Arc::clone(&self.reload)
    }

    /// Runs until it is told to stop and open channels have ended, or their time is over.
    pub async fn run(self, mut stage: watch::Receiver<Stage>) {
        let Self {
            shared,
            listeners,
            status,
            reload,
        } = self;
        let in_force = shared.credentials.current();
        tracing::info!(own = %in_force.own, until = %in_force.not_after, "ready");
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(listener, Arc::clone(&shared), stage.clone()));
        }
        let mut background = JoinSet::new();
        if let Some(listener) = status {
            background.spawn(status::serve(listener, Arc::clone(&shared)));
        }
        let mut tick = tokio::time::interval(shared.limits.reload);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => look_after(&shared).await,
                () = reload.notified() => look_after(&shared).await,
                ended = tasks.join_next() => if ended.is_none() { break },
                // Lists are looked at while channels drain, too; told to stop, the tasks end by themselves.
                _ = stage.wait_for(|stage| *stage == Stage::Stopping) => break,
            }
        }
        while tasks.join_next().await.is_some() {}
        tracing::info!("stopped");
    }
}

/// Whether a socket is one that this end can use.
fn fits(listener: &Listener, settings: &Settings) -> Result<()> {
    let name = listener.name();
    match (&settings.mode, listener) {
        (Mode::Listen { .. }, Listener::Unix(..)) => Err(Error::config(
            name,
            "other devices cannot come over a Unix socket",
            "in the socket unit: ListenStream=7443",
        )),
        (Mode::Connect { .. }, _) if !settings.plaintext_anywhere && !listener.stays_here() => {
            Err(Error::config(
                name,
                "plaintext would be taken from the network",
                "in the socket unit: ListenStream=127.0.0.1:PORT, or a path",
            ))
        }
        _ => Ok(()),
    }
}

/// Accepts connections until it is told not to, and waits for theirs to end.
async fn accept(listener: Listener, shared: Arc<Shared>, mut stage: watch::Receiver<Stage>) {
    let limits = shared.limits;
    let handshakes = Handshakes::new(limits.handshakes, limits.handshakes_per_address);
    let mut connections = JoinSet::new();
    tracing::info!(address = listener.name(), "listening");
    loop {
        tokio::select! {
            // Told so, or nobody is there to tell any more.
            _ = stage.wait_for(|stage| *stage != Stage::Running) => break,
            _ended = connections.join_next(), if !connections.is_empty() => {}
            accepted = next(&listener, &shared, &handshakes) => {
                if let Some(accepted) = accepted {
                    connections.spawn(accepted.serve(Arc::clone(&shared)));
                }
            }
        }
    }
    drop(listener);
    tracing::info!(open = shared.open.count(), "draining");
    let all_ended = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = all_ended => {}
        () = tokio::time::sleep(limits.drain) => tracing::warn!(open = shared.open.count(), "closing channels that go on"),
        _ = stage.wait_for(|stage| *stage == Stage::Stopping) => {}
    }
    connections.shutdown().await;
}

/// A connection that has come, and its place.
enum Accepted {
    Device(TcpStream, String, Place),
    Program(Plain, String, OwnedSemaphorePermit),
}

impl Accepted {
    async fn serve(self, shared: Arc<Shared>) {
        match self {
            Self::Device(stream, address, place) => {
                connection::incoming(&shared, stream, &address, place).await;
            }
            Self::Program(stream, address, _place) => {
                connection::outgoing(&shared, stream, &address).await;
            }
        }
    }
}

/// Takes the next connection; none if it cannot be taken.
async fn next(
    listener: &Listener,
    shared: &Shared,
    handshakes: &Arc<Handshakes>,
) -> Option<Accepted> {
    // A place first, so that connections beyond the limit wait in the kernel.
    let (place, local) = match shared.mode {
        Mode::Listen { .. } => (handshakes.wait().await, None),
        Mode::Connect { .. } => (None, Arc::clone(&shared.places).acquire_owned().await.ok()),
    };
    let (stream, ip, address) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(reason = %error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            return None;
        }
    };
    match (local, stream, ip) {
        (Some(local), stream, _) => Some(Accepted::Program(stream, address, local)),
        (None, Plain::Tcp(stream), Some(ip)) => {
            let Some(place) = handshakes.take(place, ip) else {
                tracing::debug!(address, "too many handshakes at once, closed");
                shared.metrics.refused(Refusal::Limit);
                return None;
            };
            Some(Accepted::Device(stream, address, place))
        }
        // Devices do not come over a Unix socket: it was refused at the start.
        (None, ..) => None,
    }
}

/// Takes over changed files, and closes channels that may not go on.
async fn look_after(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let looking = tokio::task::spawn_blocking(move || {
        let found = shared.credentials.reload();
        let in_force = shared.credentials.current();
        match found {
            Ok(Found::Same | Found::StillFailing) => {}
            Ok(Found::Later) => shared.open.close_refused(&in_force.endpoint, in_force.now),
            Ok(Found::New) => {
                shared.metrics.reloaded(true);
                let revoked: usize = in_force
                    .revocations
                    .lists()
                    .iter()
                    .map(device_pki::Crl::len)
                    .sum();
                tracing::info!(own = %in_force.own, until = %in_force.not_after, revoked, "certificate and lists reloaded");
                shared.open.close_refused(&in_force.endpoint, in_force.now);
            }
            Err(error) => {
                shared.metrics.reloaded(false);
                tracing::error!(reason = %error, "reload failed, the former files stay in force");
            }
        }
        let now = in_force.now.max(Clock::System.now());
        shared.open.close_stale(shared.limits.idle, now);
    });
    if let Err(error) = looking.await {
        tracing::error!(reason = %error, "looking at the files failed");
    }
}
