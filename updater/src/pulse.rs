//! The pulse of this process: counted wherever work advances, so that a service manager's watchdog is fed by work and not by a
//! thread that has nothing else to do. A slow storage or network is one that advances.
//!
//! There is one for the process, as there is one watchdog: what reads a block of a disk knows of no service.

use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

static PULSE: AtomicUsize = AtomicUsize::new(0);

/// Says that work has advanced: bytes were read, written or received, or a wait with an end of its own goes on.
pub(crate) fn beat() {
    PULSE.fetch_add(1, Ordering::Relaxed);
}

/// Waits, which is no standing still.
pub(crate) async fn sleep(mut time: Duration) {
    const SLICE: Duration = Duration::from_secs(1);
    while !time.is_zero() {
        let slice = time.min(SLICE);
        tokio::time::sleep(slice).await;
        beat();
        time = time.saturating_sub(slice);
    }
}

/// What `work` comes to, if it does within `limit`: waiting for it has an end of its own, and is no standing still.
pub(crate) async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = std::pin::pin!(timeout(limit, work));
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// A file whose readings are beats of the pulse.
pub(crate) struct Pulsing<R>(pub(crate) R);

impl<R: Read> Read for Pulsing<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        beat();
        self.0.read(bytes)
    }
}

impl<R: Seek> Seek for Pulsing<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// When to feed a watchdog: again and again, whatever else happens meanwhile.
pub(crate) struct Watch {
    ticks: Option<Interval>,
    seen: usize,
}

impl Watch {
    /// Every so often; never, without.
    pub(crate) fn every(time: Option<Duration>) -> Self {
        let ticks = time.map(|time| {
            let mut ticks = interval_at(Instant::now() + time, time);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self {
            ticks,
            seen: PULSE.load(Ordering::Relaxed),
        }
    }

    /// Waits until it is time; whether the pulse has beaten since the last time.
    pub(crate) async fn is_due(&mut self) -> bool {
        match &mut self.ticks {
            Some(ticks) => ticks.tick().await,
            None => std::future::pending().await,
        };
        let now = PULSE.load(Ordering::Relaxed);
        now != std::mem::replace(&mut self.seen, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_an_answer_with_an_end_does_not_stand_still() {
        let mut watch = Watch::every(Some(Duration::from_secs(5)));
        let limit = Duration::from_secs(60);
        let silent = within(limit, std::future::pending::<()>());
        let watching = async {
            let mut due = 0;
            while due < 11 {
                assert!(watch.is_due().await, "after {due} times");
                due += 1;
            }
        };
        let began = Instant::now();
        let (silent, ()) = tokio::join!(silent, watching);
        assert!(silent.is_err());
        assert_eq!(began.elapsed(), limit);
        assert_eq!(within(limit, async { 7 }).await.ok(), Some(7));
    }
}
