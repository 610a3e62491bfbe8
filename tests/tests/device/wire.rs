//! What a poll costs on the wire: a relay between device and server takes TLS off on one side and puts it on again on the
//! other, and counts what lies between.

use std::sync::{Arc, Mutex};

use device_pki::{Clock, Identity, RevocationPolicy, Revocations, Trust, tls};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use updater::Outcome;

use crate::world::{SERIAL, World, image};

/// Most bytes that an idle poll may take above TLS, both ways, heads and bodies.
const IDLE_POLL: usize = 2048;

/// What went through the relay.
#[derive(Default)]
struct Traffic {
    connections: usize,
    protocols: Vec<String>,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl Traffic {
    fn bytes(&self) -> usize {
        self.up.len() + self.down.len()
    }

    /// Requests, counted by their heads: of HTTP/2, the frames of type HEADERS (RFC 9113, section 6.2).
    fn requests(&self) -> usize {
        let Some(mut frames) = self.up.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") else {
            return String::from_utf8_lossy(&self.up)
                .matches("\r\n\r\n")
                .count();
        };
        let mut requests = 0;
        while let [a, b, c, kind, ..] = *frames {
            requests += usize::from(kind == 1);
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
            frames = &frames[9 + length..];
        }
        requests
    }
}

/// Stands between the device and its server, known to both by the other's certificate.
struct Relay {
    port: u16,
    traffic: Arc<Mutex<Traffic>>,
}

impl Relay {
    /// One that speaks only this protocol (RFC 7301).
    async fn new(world: &World, protocol: &str) -> Self {
        let identity = |path: &str| {
            let folder = world.path("pki").join(path);
            Identity::load(&folder.join("chain.pem"), &folder.join("key.pem")).unwrap()
        };
        let anchor = std::fs::read(world.path("pki/trust-anchor.pem")).unwrap();
        let trust = Trust {
            anchor: device_pki::TrustAnchor::from_pem(&anchor).unwrap(),
            revocations: Arc::new(Revocations::default()),
            policy: RevocationPolicy::Available,
            clock: Clock::System,
        };
        let mut towards_device = tls::api_server(&identity("servers/api"), &trust).unwrap();
        let device = identity(&format!("devices/{SERIAL}"));
        let mut towards_server = tls::device_client(&device, &trust).unwrap();
        towards_device.alpn_protocols = vec![protocol.into()];
        towards_server.alpn_protocols = vec![protocol.into()];
        let acceptor = TlsAcceptor::from(Arc::new(towards_device));
        let connector = TlsConnector::from(Arc::new(towards_server));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = world.server_port();
        let traffic = Arc::new(Mutex::new(Traffic::default()));
        let noted = Arc::clone(&traffic);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let device = acceptor.accept(stream).await.unwrap();
                    let chosen = device.get_ref().1.alpn_protocol().unwrap_or_default();
                    let chosen = String::from_utf8_lossy(chosen).into_owned();
                    let stream = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                    let name = ServerName::try_from("127.0.0.1").unwrap();
                    let server = connector.connect(name, stream).await.unwrap();
                    {
                        let mut noted = noted.lock().unwrap();
                        noted.connections += 1;
                        noted.protocols.push(chosen);
                    }
                    let (from_device, to_device) = tokio::io::split(device);
                    let (from_server, to_server) = tokio::io::split(server);
                    tokio::join!(
                        pass(from_device, to_server, |bytes| {
                            noted.lock().unwrap().up.extend_from_slice(bytes);
                        }),
                        pass(from_server, to_device, |bytes| {
                            noted.lock().unwrap().down.extend_from_slice(bytes);
                        }),
                    );
                });
            }
        });
        Self { port, traffic }
    }

    /// What went through since this was asked last.
    fn take(&self) -> Traffic {
        std::mem::take(&mut self.traffic.lock().unwrap())
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    note: impl Fn(&[u8]),
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        note(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _closed_already = to.shutdown().await;
}

/// On one thread, as on a device.
#[tokio::test]
async fn an_idle_poll_is_two_requests_and_little_else() {
    let world = World::new().await;
    world.release("1.0.0", &image(1, 300_000));
    for protocol in ["http/1.1", "h2"] {
        let relay = Relay::new(&world, protocol).await;
        world.ask_at(relay.port);
        if protocol == "http/1.1" {
            world.update().await;
            let installed = relay.take();
            // Metadata, manifest, payload and reports of two runs: one connection for a run, and one for its reports.
            assert!(installed.connections <= 4, "{}", installed.connections);
        } else {
            world.once().await.unwrap();
            relay.take();
        }
        let idle = world.once().await.unwrap();
        assert!(matches!(idle, Outcome::NothingToDo { .. }), "{idle:?}");
        let traffic = relay.take();
        println!(
            "idle poll over {protocol}: {} requests, {} bytes up, {} bytes down",
            traffic.requests(),
            traffic.up.len(),
            traffic.down.len()
        );
        assert_eq!(traffic.protocols, [protocol], "one connection");
        assert_eq!(
            traffic.requests(),
            2,
            "{}",
            String::from_utf8_lossy(&traffic.up)
        );
        assert!(traffic.bytes() < IDLE_POLL, "{} bytes", traffic.bytes());
    }
}
