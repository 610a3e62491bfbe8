//! A word from outside that a run is to stop: where it can be gone on with, and soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shared by a run and whoever may stop it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(AtomicBool, Notify)>);

impl Stop {
    /// Asks the run to stop.
    pub fn stop(&self) {
        self.0.0.store(true, Ordering::Relaxed);
        self.0.1.notify_waiters();
    }

    /// Takes the word back, for the next run.
    pub fn clear(&self) {
        self.0.0.store(false, Ordering::Relaxed);
    }

    /// Whether the run is to stop.
    pub fn is_asked(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Waits until the run is to stop.
    pub async fn asked(&self) {
        let notified = self.0.1.notified();
        let mut notified = std::pin::pin!(notified);
        // From here on nothing is missed.
        notified.as_mut().enable();
        if !self.is_asked() {
            notified.await;
        }
    }
}
