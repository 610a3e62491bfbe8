//! The simulator over HTTP, for programs under test.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body::Frame;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use updater::error::TransportError;

use super::files::Fault;
use super::{Simulator, transport};

/// A simulator behind a port of this machine. It serves until it is dropped.
pub struct Served {
    repository: Arc<Mutex<Simulator>>,
    paths: Arc<Mutex<Vec<String>>>,
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    /// Begins to serve, on threads of its own.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start(repository: Simulator) -> std::io::Result<Self> {
        let repository = Arc::new(Mutex::new(repository));
        let paths = Arc::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(accept(
            listener,
            Arc::clone(&repository),
            Arc::clone(&paths),
        ));
        Ok(Self {
            repository,
            paths,
            address,
            runtime: Some(runtime),
        })
    }

    /// The repository, to change it or to ask what was requested. Nobody is served meanwhile.
    pub fn repository(&self) -> MutexGuard<'_, Simulator> {
        lock(&self.repository)
    }

    /// The paths that were asked for since the last call, as they came, percent-encoded.
    pub fn take_paths(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.paths))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its metadata is.
    pub fn metadata_url(&self) -> String {
        format!("http://{}/metadata/", self.address)
    }

    /// Where its targets are.
    pub fn targets_url(&self) -> String {
        format!("http://{}/targets/", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    listener: TcpListener,
    repository: Arc<Mutex<Simulator>>,
    paths: Arc<Mutex<Vec<String>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        // Head and body go out at once, or each answer waits for the client's delayed acknowledgement.
        let _as_it_is = stream.set_nodelay(true);
        let (repository, paths) = (Arc::clone(&repository), Arc::clone(&paths));
        let service = service_fn(move |request: Request<Incoming>| {
            lock(&paths).push(request.uri().path().to_owned());
            let answer = answer(&repository, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            // A client that hangs up is the client's business.
            let _ended = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(repository: &Mutex<Simulator>, request: &Request<Incoming>) -> Response<Stream> {
    let path = percent_decode_str(request.uri().path().trim_start_matches('/'));
    let Ok(name) = path.decode_utf8() else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let (bytes, fault) = lock(repository).answer(&name);
    if let Some(Fault::Status(status)) = fault {
        return plain(StatusCode::from_u16(status).unwrap());
    }
    let Some(bytes) = bytes else {
        return plain(StatusCode::NOT_FOUND);
    };
    let whole = bytes.len();
    let offset = request.headers().get(RANGE).and_then(first_byte);
    let begin = offset.unwrap_or(0);
    if begin > 0 && begin >= whole {
        return plain(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let offset = u64::try_from(begin).unwrap();
    let endless = matches!(fault, Some(Fault::Endless));
    let Ok(Some(mut body)) = transport::open(&name, offset, Some(bytes), fault) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        loop {
            let piece = match body.piece().await {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => break,
                Err(e) => Err(e),
            };
            let failed = piece.is_err();
            if sender.send(piece).await.is_err() || failed {
                break;
            }
        }
    });
    let mut response = Response::new(Stream(Some(receiver)));
    let headers = response.headers_mut();
    if !endless {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(whole - begin));
    }
    if begin > 0 {
        let range = format!("bytes {begin}-{}/{whole}", whole - 1);
        headers.insert(CONTENT_RANGE, range.parse().unwrap());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// The first byte of `bytes=N-`.
fn first_byte(range: &HeaderValue) -> Option<usize> {
    let range = range.to_str().ok()?.strip_prefix("bytes=")?;
    range.strip_suffix('-')?.parse().ok()
}

fn plain(status: StatusCode) -> Response<Stream> {
    let mut response = Response::new(Stream(None));
    *response.status_mut() = status;
    response
}

/// A body whose pieces come from a task.
struct Stream(Option<mpsc::Receiver<Result<bytes::Bytes, TransportError>>>);

impl http_body::Body for Stream {
    type Data = bytes::Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, TransportError>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(receiver) => receiver
                .poll_recv(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
