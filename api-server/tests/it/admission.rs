//! Who gets in, and who is put out.

use std::time::Duration;

use api_server::Limits;
use device_pki::{Identity, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{World, ceremony, read_all, start};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n";

/// Whether a request with this configuration gets an answer.
async fn gets_in(world: &World, config: rustls::ClientConfig) -> bool {
    let Ok(mut stream) = world.connect_with(config).await else {
        return false;
    };
    if stream.write_all(REQUEST).await.is_err() {
        return false;
    }
    read_all(&mut stream)
        .await
        .is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

fn client(identity: &Identity, trust: &Trust) -> rustls::ClientConfig {
    device_pki::tls::device_client(identity, trust).unwrap()
}

#[tokio::test]
async fn only_devices_of_this_pki_get_in() {
    let world = World::new().await;
    let trust = world.trust(start());
    assert!(gets_in(&world, client(&world.device("SN-1"), &trust)).await);

    let stranger = World::new().await;
    assert!(
        !gets_in(&world, client(&stranger.device("SN-1"), &trust)).await,
        "another PKI"
    );

    let own = world.folder.path().join("pki/servers/api");
    let server = Identity::load(&own.join("chain.pem"), &own.join("key.pem")).unwrap();
    assert!(
        !gets_in(&world, client(&server, &trust)).await,
        "a server as a device"
    );

    let mut nobody = client(&world.device("SN-2"), &trust);
    nobody.client_auth_cert_resolver = std::sync::Arc::new(NoCertificate);
    assert!(!gets_in(&world, nobody).await, "no certificate");
}

#[tokio::test]
async fn an_expired_device_is_told_why() {
    // The device's clock is behind, so that it takes the server's certificate, which has expired as well.
    for (days, expected) in [(89, true), (91, false)] {
        let world = World::at(start().plus_seconds(days * 86_400)).await;
        let device = world.device("SN-1");
        let answer = world.raw(&device, REQUEST).await;
        assert_eq!(answer.is_ok(), expected, "after {days} days");
        if let Err(error) = answer {
            assert!(error.to_string().contains("CertificateExpired"), "{error}");
        }
    }
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<std::sync::Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn revoking_closes_open_connections_and_keeps_new_ones_out() {
    let limits = Limits {
        reload: Duration::from_secs(3600),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let trust = world.trust(start());
    let (good, bad) = (world.device("SN-1"), world.device("SN-2"));
    let mut open_good = world.connect(&good).await.unwrap();
    let mut open_bad = world.connect(&bad).await.unwrap();
    for stream in [&mut open_good, &mut open_bad] {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'H');
    }

    ceremony(|c| world.pki.revoke("SN-2", c)).unwrap();
    world.reloader.reload();
    let end = tokio::time::timeout(Duration::from_secs(10), read_to_end(&mut open_bad)).await;
    assert!(end.is_ok(), "the revoked device's connection stayed open");

    assert!(
        !gets_in(&world, client(&bad, &trust)).await,
        "a revoked device got in"
    );
    assert!(gets_in(&world, client(&good, &trust)).await);
    // The other connection goes on.
    open_good.write_all(REQUEST).await.unwrap();
    let rest = read_all(&mut open_good).await.unwrap();
    assert!(
        String::from_utf8_lossy(&rest).contains("HTTP/1.1 200"),
        "the good connection was closed"
    );
}

async fn read_to_end(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) {
    let mut rest = Vec::new();
    // An end or an error: either way the connection is over.
    stream
        .read_to_end(&mut rest)
        .await
        .map(drop)
        .unwrap_or_default();
}

#[tokio::test]
async fn a_broken_list_changes_nothing() {
    let limits = Limits {
        reload: Duration::from_millis(20),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let device = world.device("SN-1");
    let list = world
        .pki
        .crl_path(device_pki::CaKind::DeviceIssuing)
        .unwrap();
    std::fs::write(&list, "broken").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(gets_in(&world, client(&device, &world.trust(start()))).await);
    // A good one is taken over without being told.
    ceremony(|c| world.pki.revoke("SN-1", c)).unwrap();
    let mut waited = 0;
    while gets_in(&world, client(&device, &world.trust(start()))).await {
        waited += 1;
        assert!(waited < 100, "the new list was never taken over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn slow_clients_are_closed() {
    let limits = Limits {
        handshake: Duration::from_millis(200),
        head: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut byte = [0];
    let end = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut byte)).await;
    assert_eq!(end.expect("a handshake may take for ever").unwrap_or(0), 0);

    let device = world.device("SN-1");
    let mut slow = world.connect(&device).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    let end = tokio::time::timeout(Duration::from_secs(5), read_to_end(&mut slow)).await;
    assert!(end.is_ok(), "a request's head may take for ever");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let device = world.device("SN-1");
    let first = world.connect(&device).await.unwrap();
    // Its handshake is over for the server as well when it answers.
    let mut first = answered(first).await;
    let second = world.raw(&device, REQUEST);
    tokio::pin!(second);
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waited.is_err(), "a second connection was served");
    first.shutdown().await.unwrap();
    drop(first);
    tokio::time::timeout(Duration::from_secs(5), second)
        .await
        .unwrap()
        .unwrap();
}

/// A connection on which one request has been answered, at least its first byte.
async fn answered(
    mut stream: tokio_rustls::client::TlsStream<TcpStream>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    stream
}

#[tokio::test]
async fn silent_strangers_do_not_take_the_places_of_devices() {
    let limits = Limits {
        connections: 1,
        handshakes: 4,
        handshakes_per_address: 3,
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let device = world.device("SN-1");
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(world.address).await.unwrap());
    }
    let served = tokio::time::timeout(Duration::from_secs(5), world.raw(&device, REQUEST)).await;
    assert!(served.expect("silent connections hold the places").is_ok());
    // One more from this address has its share, the next is closed.
    silent.push(TcpStream::connect(world.address).await.unwrap());
    let mut surplus = TcpStream::connect(world.address).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(5), surplus.read(&mut [0])).await;
    assert_eq!(
        end.expect("an address has more than its share")
            .unwrap_or(0),
        0
    );
}

#[tokio::test]
async fn a_device_has_so_many_connections_and_loses_the_oldest() {
    let limits = Limits {
        connections_per_device: 2,
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let (device, other) = (world.device("SN-1"), world.device("SN-2"));
    let _others = answered(world.connect(&other).await.unwrap()).await;
    let mut oldest = answered(world.connect(&device).await.unwrap()).await;
    let _second = answered(world.connect(&device).await.unwrap()).await;
    let _third = answered(world.connect(&device).await.unwrap()).await;
    let end = tokio::time::timeout(Duration::from_secs(5), read_to_end(&mut oldest)).await;
    assert!(end.is_ok(), "a device holds any number of connections");
}

#[tokio::test]
async fn a_list_that_was_set_back_or_is_gone_clears_nobody() {
    let limits = Limits {
        reload: Duration::from_millis(20),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let (good, bad) = (world.device("SN-1"), world.device("SN-2"));
    let trust = world.trust(start());
    let list = world
        .pki
        .crl_path(device_pki::CaKind::DeviceIssuing)
        .unwrap();
    let before = std::fs::read(&list).unwrap();
    ceremony(|c| world.pki.revoke("SN-2", c)).unwrap();
    let mut waited = 0;
    while gets_in(&world, client(&bad, &trust)).await {
        waited += 1;
        assert!(waited < 100, "the new list was never taken over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for back in [false, true] {
        if back {
            std::fs::write(&list, &before).unwrap();
        } else {
            std::fs::remove_file(&list).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!gets_in(&world, client(&bad, &trust)).await, "{back}");
        assert!(gets_in(&world, client(&good, &trust)).await, "{back}");
    }
}
