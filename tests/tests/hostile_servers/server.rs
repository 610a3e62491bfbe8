//! A server that does exactly what it is told, byte by byte, over TLS; and the device's side of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use updater::error::TransportError;
use updater::transport::http::{Http, Proxy, Settings};
use updater::transport::{NetworkLimits, Part, Request, Transport, fetch};

use crate::pki;

/// What a server does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this again and again, as fast as it is taken.
    Flood(Vec<u8>),
    /// Sends this again and again, with so many milliseconds between.
    Drip(Vec<u8>, u64),
    /// Says nothing more, and keeps the connection.
    Hang,
    /// Reads the next request on the same connection, and does for it what follows.
    Next,
    /// Ends TLS as it should be ended, before the connection; without this it is simply cut.
    Goodbye,
}

/// What it does for each request, by number (from 0) and head.
pub(crate) type Script = Arc<dyn Fn(usize, &str) -> Vec<Step> + Send + Sync>;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    taken: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(
        script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::at("127.0.0.1".parse().unwrap(), script)
            .await
            .unwrap()
    }

    pub(crate) async fn at(
        address: IpAddr,
        script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let script: Script = Arc::new(script);
        let listener = TcpListener::bind((address, 0)).await?;
        let acceptor = TlsAcceptor::from(pki::server_tls(&["http/1.1"]));
        Ok(Self::on(listener, acceptor, script))
    }

    /// One with a certificate of any PKI.
    pub(crate) fn on(listener: TcpListener, acceptor: TlsAcceptor, script: Script) -> Self {
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let taken: Arc<AtomicUsize> = Arc::default();
        let (noted, counted) = (Arc::clone(&heads), Arc::clone(&connections));
        let given = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                let (noted, given) = (Arc::clone(&noted), Arc::clone(&given));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &script, &noted, &given).await;
                    }
                });
            }
        });
        Self {
            address,
            heads,
            connections,
            taken,
            task,
        }
    }

    /// The base of all URLs.
    pub(crate) fn base(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The request lines so far, without protocol.
    pub(crate) fn asked(&self) -> Vec<String> {
        let line = |head: &String| {
            let line = head.lines().next().unwrap_or_default();
            line.trim_end_matches(" HTTP/1.1").to_owned()
        };
        self.heads().iter().map(line).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Bytes that were taken of its answers, as far as its side of the sockets can tell.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// A device that asks here.
    pub(crate) fn http(&self, limits: NetworkLimits) -> Http {
        http(&self.base(), limits, Proxy::None)
    }
}

/// A device that asks at this base.
pub(crate) fn http(base: &str, limits: NetworkLimits, proxy: Proxy) -> Http {
    let settings = Settings { limits, proxy };
    let (metadata, targets) = (format!("{base}/metadata"), format!("{base}/targets"));
    Http::new(pki::device_tls(), &settings, &metadata, &targets).unwrap()
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    script: &Script,
    noted: &Mutex<Vec<String>>,
    taken: &AtomicUsize,
) {
    let mut waiting = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut waiting).await {
        let number = {
            let mut noted = noted.lock().unwrap();
            noted.push(head.clone());
            noted.len() - 1
        };
        let mut goes_on = false;
        for step in script(number, &head) {
            let done = match step {
                Step::Send(bytes) => send(&mut stream, &bytes, taken).await,
                Step::Flood(bytes) => repeat(&mut stream, &bytes, Duration::ZERO, taken).await,
                Step::Drip(bytes, pause) => {
                    repeat(&mut stream, &bytes, Duration::from_millis(pause), taken).await
                }
                Step::Hang => std::future::pending().await,
                Step::Next => {
                    goes_on = true;
                    Ok(())
                }
                Step::Goodbye => stream.shutdown().await,
            };
            if done.is_err() {
                return;
            }
        }
        if !goes_on {
            return;
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    taken: &AtomicUsize,
) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    taken.fetch_add(bytes.len(), Ordering::SeqCst);
    stream.flush().await
}

async fn repeat<S: AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    pause: Duration,
    taken: &AtomicUsize,
) -> std::io::Result<()> {
    loop {
        send(stream, bytes, taken).await?;
        tokio::time::sleep(pause).await;
    }
}

/// The head of the next request, with its empty line; what comes behind it waits.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    waiting: &mut Vec<u8>,
) -> Option<String> {
    let mut buffer = vec![0; 4096];
    loop {
        if let Some(end) = waiting.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = waiting.drain(..end + 4).collect();
            return Some(String::from_utf8(head).unwrap());
        }
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => waiting.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
}

/// An answer with this status line, these header lines, and this body with its length.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<Step> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    vec![Step::Send([head.as_bytes(), body].concat()), Step::Next]
}

/// A head that begins a body of its own kind.
pub(crate) fn head(status: &str, headers: &[&str]) -> Step {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    Step::Send(head.into_bytes())
}

/// Pauses that a test can wait for, and the patience of a real device.
pub(crate) fn patient() -> NetworkLimits {
    NetworkLimits {
        pause: Duration::from_millis(2),
        ..NetworkLimits::DEFAULT
    }
}

/// What a fetch ends in, as a word or two: the bytes, that it is not there, or how the error begins.
pub(crate) async fn outcome(http: &mut Http, part: Part, path: &str, limit: u64) -> String {
    let fetched = fetch(http, part, path, limit).await;
    told(fetched.map(|bytes| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())))
}

/// What a stream from `offset` on ends in, and the bytes that had come.
pub(crate) async fn streamed(http: &mut Http, offset: u64, most: u64) -> (String, Vec<u8>) {
    let request = Request {
        part: Part::Targets,
        path: "payload".to_owned(),
        offset,
        most,
    };
    let mut bytes = Vec::new();
    let mut body = match http.open(&request).await {
        Ok(Some(body)) => body,
        other => return (told(other.map(|body| body.map(|_| String::new()))), bytes),
    };
    loop {
        match body.piece().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return ("whole".to_owned(), bytes),
            Err(e) => return (told(Err(e)), bytes),
        }
    }
}

pub(crate) fn told(result: Result<Option<String>, TransportError>) -> String {
    match result {
        Ok(Some(text)) => text,
        Ok(None) => "not there".to_owned(),
        Err(e) => {
            let mut text = format!("{e}");
            let mut cause = std::error::Error::source(&e);
            while let Some(next) = cause {
                text.push_str(&format!(": {next}"));
                cause = next.source();
            }
            // An error names the URL, and what a person can do.
            assert!(text.contains("https://"), "{text}");
            assert!(!e.hint().is_empty());
            text
        }
    }
}
