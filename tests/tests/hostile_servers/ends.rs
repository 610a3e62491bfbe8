//! How connections end: refused ones, certificates on both sides, other addresses of the same machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use updater::transport::http::Proxy;
use updater::transport::{NetworkLimits, Part};

use crate::pki;
use crate::server::{Server, answer, http, outcome, patient};

const GOOD: &[u8] = b"{\"signed\": {}}";

#[tokio::test]
async fn nobody_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut http = http(&base, patient(), Proxy::None);
    let found = outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
    assert!(
        found.contains("no answer from") && found.contains("refused"),
        "{found}"
    );
}

#[tokio::test]
async fn somebody_accepts_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let limits = NetworkLimits {
        connect: Duration::from_millis(50),
        attempts: 2,
        ..patient()
    };
    let mut http = http(&base, limits, Proxy::None);
    let found = outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
    assert!(
        found.contains("no answer from") && found.contains("timed out"),
        "{found}"
    );
}

/// A server that speaks plain HTTP, such as a captive portal that takes over the port.
#[tokio::test]
async fn somebody_speaks_without_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let page = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
            tokio::io::AsyncWriteExt::write_all(&mut stream, page)
                .await
                .unwrap();
        }
    });
    let mut http = http(&base, patient(), Proxy::None);
    let found = outcome(&mut http, Part::Metadata, "2.root.json", 1000).await;
    assert!(found.contains("what answers does not speak TLS"), "{found}");
}

/// A server of another PKI, such as one that opens TLS on the way, and one with a certificate that anybody can make: told at once,
/// and not asked again.
#[tokio::test]
async fn somebody_else_answers() {
    let cases = [
        (
            pki::other_server_tls(),
            "it does not lead to the trust anchor",
        ),
        (self_signed(), "it is not an API server's"),
    ];
    for (tls, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(tls);
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let _refused = acceptor.accept(stream).await;
            }
        });
        let mut http = http(&base, patient(), Proxy::None);
        let found = outcome(&mut http, Part::Metadata, "2.root.json", 1000).await;
        let expected = format!("the server's certificate is not accepted: {expected}");
        assert!(found.contains(&expected), "{found}");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    }
}

pub(crate) fn self_signed() -> Arc<rustls::ServerConfig> {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    Arc::new(config.unwrap())
}

/// The server's word about the device's certificate comes through, over both protocols.
#[tokio::test]
async fn the_device_is_not_let_in() {
    for protocol in ["http/1.1", "h2"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(pki::server_tls_of_others(protocol));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
            }
        });
        let mut http = http(&base, patient(), Proxy::None);
        let found = outcome(&mut http, Part::Metadata, "2.root.json", 1000).await;
        let told = "the server does not accept this device's certificate (";
        assert!(found.contains(told), "{protocol}: {found}");
    }
}

#[tokio::test]
async fn over_ipv6() {
    let Ok(server) = Server::at("::1".parse().unwrap(), |_, _| answer("200 OK", &[], GOOD)).await
    else {
        println!("this machine has no IPv6");
        return;
    };
    assert!(server.base().starts_with("https://[::1]:"));
    let found = outcome(
        &mut server.http(patient()),
        Part::Metadata,
        "timestamp.json",
        1000,
    )
    .await;
    assert_eq!(found.as_bytes(), GOOD);
}

/// A name with several addresses, of which only one answers.
#[tokio::test]
async fn by_a_name() {
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let base = format!("https://{}:{}", pki::NAME, server.address.port());
    let mut http = http(&base, patient(), Proxy::None);
    let found = outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
    assert_eq!(found.as_bytes(), GOOD);
}
