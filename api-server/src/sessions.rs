//! Connections that are open: who they belong to, and how to close them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use device_pki::{DeviceIdentity, Trust, tls};
use metadata_schema::time::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<u64, Session>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Session {
    peer: DeviceIdentity,
    chain: Vec<CertificateDer<'static>>,
    activity: Arc<Activity>,
    /// Dropped to close the connection.
    _close: oneshot::Sender<()>,
}

/// When a connection last moved a byte.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    milliseconds: AtomicU64,
}

impl Activity {
    pub(crate) fn now() -> Self {
        Self {
            start: Instant::now(),
            milliseconds: AtomicU64::new(0),
        }
    }

    pub(crate) fn mark(&self) {
        let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.store(since, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.milliseconds.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}

/// Takes a connection out of the list when it ends.
#[derive(Debug)]
pub(crate) struct Registered {
    sessions: Arc<Sessions>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
    }
}

impl Sessions {
    /// Enters a connection. It has to end when the receiver resolves. The device's oldest one is closed if it has more
    /// than `most`: a device that lost its network comes back before we hear that the old connection is dead.
    pub(crate) fn enter(
        self: &Arc<Self>,
        peer: DeviceIdentity,
        chain: Vec<CertificateDer<'static>>,
        activity: Arc<Activity>,
        most: usize,
    ) -> (Registered, oneshot::Receiver<()>) {
        let (close, closed) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.lock();
        let own = open
            .iter()
            .filter(|(_, other)| other.peer.urn() == peer.urn());
        let mut own: Vec<u64> = own.map(|(id, _)| *id).collect();
        own.sort_unstable();
        let surplus = own.len().saturating_add(1).saturating_sub(most.max(1));
        for id in own.into_iter().take(surplus) {
            tracing::info!(device = %peer.urn(), most, "too many connections, the oldest closed");
            open.remove(&id);
        }
        open.insert(
            id,
            Session {
                peer,
                chain,
                activity,
                _close: close,
            },
        );
        drop(open);
        (
            Registered {
                sessions: Arc::clone(self),
                id,
            },
            closed,
        )
    }

    /// Closes connections whose device a handshake would now refuse.
    pub(crate) fn close_refused(&self, trust: &Trust, now: Timestamp) {
        self.close_if(|session| {
            tls::verify_device(&session.chain, trust, now)
                .err()
                .map(|why| why.to_string())
        });
    }

    /// Closes connections that move nothing, or whose certificate has expired.
    pub(crate) fn close_stale(&self, idle: Duration, now: Timestamp) {
        self.close_if(|session| {
            if session.activity.idle() > idle {
                Some("nothing has moved for too long".to_owned())
            } else if now > session.peer.not_after() {
                Some("its certificate has expired".to_owned())
            } else {
                None
            }
        });
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn close_if(&self, reason: impl Fn(&Session) -> Option<String>) {
        self.lock().retain(|_, session| {
            let reason = reason(session);
            if let Some(reason) = &reason {
                tracing::info!(device = %session.peer.urn(), reason, "connection closed");
            }
            reason.is_none()
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Session>> {
        // The map is whole even if a thread panicked: every change is a single call.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
