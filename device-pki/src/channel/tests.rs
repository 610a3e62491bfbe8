//! Channels between devices, over a pipe in memory.

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::testing::TestPki;
use crate::tls::{self, Expected};

type Ends = (
    Result<Channel<tokio::io::DuplexStream>>,
    Result<Channel<tokio::io::DuplexStream>>,
);

fn open(pki: &TestPki, near: &Identity, far: &Identity, wanted: &str, allowed: Allowed) -> Ends {
    let trust = pki.trust(Vec::new());
    let (a, b) = tokio::io::duplex(64 * 1024);
    let wanted = wanted.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::join!(
            connect(a, near, &trust, &wanted),
            accept(b, far, &trust, Arc::new(allowed))
        )
    })
}

#[test]
fn two_devices_talk_and_know_each_other() {
    let pki = TestPki::new("channel");
    let (a, b) = (pki.device("A1"), pki.device("B2"));
    let allowed = Allowed::default().pattern("urn:example:device:A*");
    let (near, far) = open(&pki, &a, &b, "urn:example:device:B2", allowed);
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    assert_eq!(near.peer().urn().as_str(), "urn:example:device:B2");
    assert_eq!(far.peer().serial(), "A1");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        near.write_all(b"ping").await.unwrap();
        near.shutdown().await.unwrap();
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "ping");
        far.write_all(b"pong").await.unwrap();
        far.shutdown().await.unwrap();
        heard.clear();
        near.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "pong");
    });
}

#[test]
fn both_sides_hear_of_a_refusal() {
    let pki = TestPki::new("channel");
    let stranger = TestPki::new("stranger");
    let everyone = || Allowed::default().pattern("*");
    let b = "urn:example:device:B2";
    for (case, near, far, wanted, allowed) in [
        (
            "not allowed",
            pki.device("A1"),
            pki.device("B2"),
            b,
            Allowed::default(),
        ),
        (
            "another answers",
            pki.device("A1"),
            pki.device("C3"),
            b,
            everyone(),
        ),
        (
            "strange caller",
            stranger.device("A1"),
            pki.device("B2"),
            b,
            everyone(),
        ),
        (
            "strange answer",
            pki.device("A1"),
            stranger.device("B2"),
            b,
            everyone(),
        ),
        (
            "server calls",
            pki.server("api.corp.example"),
            pki.device("B2"),
            b,
            everyone(),
        ),
        (
            "server answers",
            pki.device("A1"),
            pki.server("api.corp.example"),
            b,
            everyone(),
        ),
    ] {
        let (near, far) = open(&pki, &near, &far, wanted, allowed);
        assert!(near.is_err(), "{case}: connect believed it was accepted");
        assert!(far.is_err(), "{case}: accepted");
    }
}

#[test]
fn a_peer_that_names_no_protocol_is_refused() {
    let pki = TestPki::new("channel");
    let (a, b) = (pki.device("A1"), pki.device("B2"));
    let trust = pki.trust(Vec::new());
    let everyone = Arc::new(Allowed::default().pattern("*"));
    let expected = || Expected::Devices(Arc::clone(&everyone));
    let client = Arc::new(tls::client(&a, &trust, expected()).unwrap());
    let server = Arc::new(tls::server(&b, &trust, expected()).unwrap());
    let name = || ServerName::try_from("device.invalid").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connector = TlsConnector::from(client);
        let (_, accepted) = tokio::join!(
            connector.connect(name(), near),
            accept(far, &b, &trust, Arc::clone(&everyone))
        );
        assert!(accepted.is_err(), "accepted another protocol");

        let (near, far) = tokio::io::duplex(64 * 1024);
        let wanted = "urn:example:device:B2".parse().unwrap();
        let answer = async {
            let mut stream = TlsAcceptor::from(server).accept(far).await?;
            stream.write_u8(ACCEPTED).await?;
            stream.flush().await?;
            Ok::<_, io::Error>(stream)
        };
        let (connected, _answered) = tokio::join!(connect(near, &a, &trust, &wanted), answer);
        assert!(connected.is_err(), "connected to another protocol");
    });
}

#[test]
fn patterns_match_all_of_the_urn() {
    for (pattern, text, expected) in [
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*b*c", "axbxc", true),
        ("a*b*c", "axc", false),
        ("*", "", true),
        ("a", "ab", false),
        ("b", "ab", false),
        ("ab*ba", "aba", false),
        ("a*a", "a", false),
        ("*b*b", "ab", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
