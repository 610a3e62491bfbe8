//! `/metrics` and `/healthz` over plain HTTP/1.1, on an address of this host. One request for each connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::connection::Shared;
use crate::metrics::Now;

/// Largest head of a request.
const MAX_HEAD: u64 = 8 * 1024;
/// Time for a request and its answer.
const TIME: Duration = Duration::from_secs(5);
/// Most requests at once; further ones wait.
const AT_ONCE: usize = 8;
/// How long to wait when accepting fails.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // Who asks and goes away needs no answer.
            drop(tokio::time::timeout(TIME, answer(stream, &shared)).await);
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut head = Vec::new();
    let mut limited = (&mut stream).take(MAX_HEAD);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if limited.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (status, kind, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => {
            let body = shared.metrics.text(now(shared));
            ("200 OK", "text/plain; version=0.0.4; charset=utf-8", body)
        }
        ("GET" | "HEAD", "/healthz") => match shared.credentials.health() {
            Ok(()) => ("200 OK", "text/plain", "ok\n".to_owned()),
            Err(why) => ("503 Service Unavailable", "text/plain", format!("{why}\n")),
        },
        ("GET" | "HEAD", _) => (
            "404 Not Found",
            "text/plain",
            "there are /metrics and /healthz\n".to_owned(),
        ),
        _ => ("405 Method Not Allowed", "text/plain", String::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

fn now(shared: &Shared) -> Now {
    let in_force = shared.credentials.current();
    let (sent, received) = shared.open.moved();
    Now {
        open: shared.open.count(),
        sent,
        received,
        not_after: in_force.not_after.unix_seconds(),
        revoked: in_force
            .revocations
            .lists()
            .iter()
            .map(device_pki::Crl::len)
            .sum(),
    }
}
