//! Plaintext streams, and how much moved through them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection with a program on this host.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Plain {
    /// Makes the end that is coming look like what it is, a connection that was cut, and not like the end of what was to be
    /// said. A Unix socket has no such end.
    pub(crate) fn cut(&self) {
        if let Self::Tcp(stream) = self {
            // If it fails, the connection has ended already.
            stream.set_zero_linger().ok();
        }
    }
}

/// Bytes that moved over a connection, and when the last one did.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    last: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Bytes that the program here said to the peer.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes that the peer said to the program here.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.age().saturating_sub(last)
    }

    fn add(&self, count: &AtomicU64, bytes: usize) {
        count.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        let now = u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }
}

/// A plaintext stream under a meter.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: Plain,
    meter: Arc<Meter>,
    ended: bool,
}

impl Metered {
    pub(crate) fn new(stream: Plain, meter: Arc<Meter>) -> Self {
        Self {
            stream,
            meter,
            ended: false,
        }
    }

    /// Both sides have said all.
    pub(crate) fn ended(&mut self) {
        self.ended = true;
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if !self.ended {
            self.stream.cut();
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Plain::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let read = buffer.filled().len().saturating_sub(before);
        if read > 0 {
            this.meter.add(&this.meter.sent, read);
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Plain::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        if let Poll::Ready(Ok(written)) = polled {
            this.meter.add(&this.meter.received, written);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Plain::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Plain::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Plain::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
