//! A PKI, a repository, a running server, and a client that sends exactly what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_server::store::DeviceRow;
use api_server::{Config, Limits, Reloader, Server, SqliteStore, Store};
use device_pki::folder::{Algorithms, Ceremony, KeySource, PkiFolder};
use device_pki::{
    ApiServer, Clock, Device, Identity, Leaf, Organisation, Protection, RevocationPolicy,
    Revocations, SystemEntropy, Trust,
};
use metadata_schema::time::Timestamp;
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) pki: PkiFolder,
    pub(crate) address: SocketAddr,
    /// Where devices enrol, if they do.
    pub(crate) enrolment: Option<SocketAddr>,
    pub(crate) reloader: Reloader,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn ceremony<T>(work: impl FnOnce(&mut Ceremony<'_>) -> T) -> T {
    let protection = Protection::FileMode;
    work(&mut Ceremony {
        now: start(),
        protection,
        entropy: &mut SystemEntropy,
    })
}

/// A PKI in which one server is certified, and a repository with one file.
pub(crate) fn prepare(folder: &Path) -> PkiFolder {
    let corp = Organisation::new("Example Corp", "corp.example", "example").unwrap();
    let pki = ceremony(|c| PkiFolder::create(&folder.join("pki"), &corp, Algorithms::STANDARD, c))
        .unwrap();
    ceremony(|c| certify_server(&pki, c));
    std::fs::create_dir_all(folder.join("repository/metadata")).unwrap();
    std::fs::write(
        folder.join("repository/metadata/timestamp.json"),
        "0123456789",
    )
    .unwrap();
    pki
}

pub(crate) fn certify_server(pki: &PkiFolder, ceremony: &mut Ceremony<'_>) {
    let server = Leaf::ApiServer(ApiServer {
        name: "api".to_owned(),
        dns_names: vec!["api.corp.example".to_owned()],
        addresses: vec![],
    });
    pki.issue(&server, KeySource::Generate, None, ceremony)
        .unwrap();
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::build(limits, start()).await
    }

    /// A server whose clock stands elsewhere, with revocation lists of that time.
    pub(crate) async fn at(clock: Timestamp) -> Self {
        Self::build(Limits::default(), clock).await
    }

    async fn build(limits: Limits, clock: Timestamp) -> Self {
        Self::configured(limits, clock, |_, _| {}).await
    }

    pub(crate) async fn configured(
        limits: Limits,
        clock: Timestamp,
        configure: impl FnOnce(&PkiFolder, &mut Config),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = prepare(folder.path());
        ceremony(|c| {
            c.now = clock;
            pki.write_crls(30, c)
        })
        .unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let path = folder.path();
        let mut config = Config::new(
            any,
            path.join("pki"),
            path.join("repository"),
            path.join("data"),
        );
        config.clock = Clock::Fixed(clock);
        config.limits = limits;
        configure(&pki, &mut config);
        let server = Server::bind(config).await.unwrap();
        let (address, reloader) = (server.local_addr(), server.reloader());
        let enrolment = server.enrolment_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            server.run(stopped).await.unwrap();
        });
        Self {
            folder,
            pki,
            address,
            enrolment,
            reloader,
            stop: Some(stop),
            running,
        }
    }

    pub(crate) fn device(&self, serial: &str) -> Identity {
        let device = Leaf::Device(Device {
            serial: serial.to_owned(),
        });
        let issued = ceremony(|c| self.pki.issue(&device, KeySource::Generate, None, c)).unwrap();
        Identity::load(&issued.chain_path, &issued.key_path.unwrap()).unwrap()
    }

    pub(crate) fn trust(&self, clock: Timestamp) -> Trust {
        Trust {
            anchor: self.pki.anchor().unwrap(),
            revocations: Arc::new(Revocations::default()),
            policy: RevocationPolicy::Available,
            clock: Clock::Fixed(clock),
        }
    }

    pub(crate) async fn connect(
        &self,
        identity: &Identity,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(device_pki::tls::device_client(identity, &self.trust(start())).unwrap())
            .await
    }

    pub(crate) async fn connect_with(
        &self,
        config: rustls::ClientConfig,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("api.corp.example").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Sends bytes over a new connection and reads to its end.
    pub(crate) async fn raw(
        &self,
        identity: &Identity,
        request: &[u8],
    ) -> std::io::Result<Vec<u8>> {
        let mut stream = self.connect(identity).await?;
        stream.write_all(request).await?;
        read_all(&mut stream).await
    }

    /// One request and its answer.
    pub(crate) async fn ask(
        &self,
        identity: &Identity,
        line: &str,
        headers: &[&str],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{line} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let answer = self
            .raw(identity, &[head.as_bytes(), body].concat())
            .await
            .unwrap();
        parse(&answer)
    }

    pub(crate) async fn get(&self, identity: &Identity, path: &str) -> Answer {
        self.ask(identity, &format!("GET {path}"), &[], b"").await
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.folder.path().join("data")).unwrap()
    }

    /// The registry, once it has a device: connections are noted in the background.
    pub(crate) async fn noted(&self) -> Vec<DeviceRow> {
        let store = self.store();
        for _ in 0..200 {
            let known = store.devices().unwrap();
            if !known.is_empty() {
                return known;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no device was noted");
    }

    /// Stops the server and waits for it.
    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.running)
            .await
            .unwrap()
            .unwrap();
    }
}

/// Reads until the other side closes. A close without TLS's own goodbye ends it as well, as with an aborted connection.
pub(crate) async fn read_all(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes).await {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof && !bytes.is_empty() => Ok(bytes),
        other => other.map(|_| bytes),
    }
}

pub(crate) fn parse(answer: &[u8]) -> Answer {
    let cut = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(answer[..cut].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: answer[cut + 4..].to_vec(),
    }
}
