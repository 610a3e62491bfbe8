//! Channels that are open: whose they are, and how to close them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device_pki::{DeviceIdentity, Endpoint};
use metadata_schema::time::Timestamp;
use rustls_pki_types::CertificateDer;
use tokio::sync::oneshot;

use crate::streams::Meter;

/// All open channels.
#[derive(Debug, Default)]
pub(crate) struct Open {
    channels: Mutex<HashMap<u64, Entry>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    peer: DeviceIdentity,
    chain: Vec<CertificateDer<'static>>,
    meter: Arc<Meter>,
    close: oneshot::Sender<String>,
}

/// Takes a channel out of the list when it ends.
#[derive(Debug)]
pub(crate) struct Registered {
    open: Arc<Open>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.open.lock().remove(&self.id);
    }
}

impl Open {
    /// Enters a channel, which has to end with the reason that the receiver gives. None if its peer has `most` already.
    pub(crate) fn enter(
        self: &Arc<Self>,
        peer: DeviceIdentity,
        chain: Vec<CertificateDer<'static>>,
        meter: Arc<Meter>,
        most: usize,
    ) -> Option<(Registered, oneshot::Receiver<String>)> {
        let (close, closed) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut channels = self.lock();
        let of_peer = |entry: &&Entry| entry.peer.urn() == peer.urn();
        if channels.values().filter(of_peer).count() >= most {
            return None;
        }
        let entry = Entry {
            peer,
            chain,
            meter,
            close,
        };
        channels.insert(id, entry);
        drop(channels);
        let open = Arc::clone(self);
        Some((Registered { open, id }, closed))
    }

    /// Closes channels whose peer a handshake would now refuse.
    pub(crate) fn close_refused(&self, endpoint: &Endpoint, now: Timestamp) {
        // Judged outside of the lock: new channels need not wait for all signatures.
        let chains: Vec<(u64, Vec<CertificateDer<'static>>)> = self
            .lock()
            .iter()
            .map(|(id, entry)| (*id, entry.chain.clone()))
            .collect();
        for (id, chain) in chains {
            if let Err(why) = endpoint.judge(&chain, now)
                && let Some(entry) = self.lock().remove(&id)
            {
                // It may have ended by itself.
                entry.close.send(why.to_string()).ok();
            }
        }
    }

    /// Closes channels that move nothing, or whose peer's certificate has expired.
    pub(crate) fn close_stale(&self, idle: Duration, now: Timestamp) {
        let late = |entry: &Entry| {
            if !idle.is_zero() && entry.meter.idle() > idle {
                Some("nothing has moved for too long")
            } else if now > entry.peer.not_after() {
                Some("its certificate has expired")
            } else {
                None
            }
        };
        let mut channels = self.lock();
        let ids: Vec<(u64, &str)> = channels
            .iter()
            .filter_map(|(id, entry)| Some((*id, late(entry)?)))
            .collect();
        for (id, why) in ids {
            if let Some(entry) = channels.remove(&id) {
                entry.close.send(why.to_owned()).ok();
            }
        }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Bytes that went out and came in over those that are open.
    pub(crate) fn moved(&self) -> (u64, u64) {
        self.lock()
            .values()
            .fold((0, 0), |(sent, received), entry| {
                let (out, back) = (entry.meter.sent(), entry.meter.received());
                (sent.saturating_add(out), received.saturating_add(back))
            })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        // The map is whole even if a thread panicked: every change is a single call.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
