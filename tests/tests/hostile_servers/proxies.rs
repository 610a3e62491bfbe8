//! Proxies: a tunnel to the server, with and without a password; and what the proxy gets to see.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use updater::transport::Part;
use updater::transport::http::Proxy;

use crate::server::{Server, answer, http, outcome, patient, read_head};

const GOOD: &[u8] = b"{\"signed\": {}}";
/// `user:pass word` in Basic authentication (RFC 7617).
const BASIC: &str = "Basic dXNlcjpwYXNzIHdvcmQ=";

/// A proxy that makes tunnels for whoever says this, and notes what it is asked.
struct Tunnels {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    async fn start(password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    let mut waiting = Vec::new();
                    let Some(head) = read_head(&mut stream, &mut waiting).await else {
                        return;
                    };
                    noted.lock().unwrap().push(head.clone());
                    let expected =
                        password.map(|password| format!("proxy-authorization: {password}\r\n"));
                    if expected
                        .is_some_and(|line| !head.to_lowercase().contains(&line.to_lowercase()))
                    {
                        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(refusal).await.unwrap();
                        return;
                    }
                    let target = head.split(' ').nth(1).unwrap().to_owned();
                    let Ok(mut server) = TcpStream::connect(&target).await else {
                        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(refusal).await.unwrap();
                        return;
                    };
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    let _ended = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn proxy(&self, user: &str, except: &str) -> Proxy {
        Proxy::Through {
            url: format!("http://{user}127.0.0.1:{}", self.port),
            except: except.to_owned(),
        }
    }
}

#[tokio::test]
async fn through_a_tunnel() {
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let tunnels = Tunnels::start(None).await;
    let mut http = http(&server.base(), patient(), tunnels.proxy("", ""));
    for _ in 0..3 {
        let found = outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
        assert_eq!(found.as_bytes(), GOOD);
    }
    let heads = tunnels.heads();
    assert_eq!(heads.len(), 1, "one tunnel for all requests");
    let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", server.address);
    assert!(heads[0].starts_with(&connect), "{}", heads[0]);
    assert!(!heads[0].contains("timestamp"));
    // The server is not told what the proxy is.
    assert!(
        server
            .heads()
            .iter()
            .all(|head| !head.to_lowercase().contains("proxy"))
    );
}

#[tokio::test]
async fn with_a_password() {
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let tunnels = Tunnels::start(Some(BASIC)).await;
    let mut with = http(
        &server.base(),
        patient(),
        tunnels.proxy("user:pass%20word@", ""),
    );
    let found = outcome(&mut with, Part::Metadata, "timestamp.json", 1000).await;
    assert_eq!(found.as_bytes(), GOOD);
    assert!(
        server
            .heads()
            .iter()
            .all(|head| !head.to_lowercase().contains("authorization"))
    );

    let mut without = http(&server.base(), patient(), tunnels.proxy("user:wrong@", ""));
    let found = outcome(&mut without, Part::Metadata, "timestamp.json", 1000).await;
    assert!(found.contains("proxy authorization required"), "{found}");
    assert!(!found.contains("wrong"), "{found}");
}

#[tokio::test]
async fn straight_where_it_says_so() {
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let tunnels = Tunnels::start(None).await;
    for (except, tunnelled) in [("example.com, 127.0.0.0/8", 0), ("10.0.0.0/8", 1)] {
        let mut http = http(&server.base(), patient(), tunnels.proxy("", except));
        let found = outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
        assert_eq!(found.as_bytes(), GOOD);
        assert_eq!(tunnels.heads().len(), tunnelled, "{except}");
    }
}

/// No proxy, no way: what is configured is never gone round.
#[tokio::test]
async fn a_proxy_that_is_not_there_is_an_error() {
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let proxy = Proxy::Through {
        url: format!("http://127.0.0.1:{port}"),
        except: String::new(),
    };
    let mut http = http(&server.base(), patient(), proxy);
    let found = outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
    assert!(
        found.contains("no answer from") && found.contains("refused"),
        "{found}"
    );
    assert!(server.heads().is_empty());
}

/// The environment's word, in a process of its own, for it holds for a whole process.
#[tokio::test(flavor = "multi_thread")]
async fn as_the_environment_says() {
    const BASE: &str = "TEST_BASE_URL";
    if let Ok(base) = std::env::var(BASE) {
        // This is that process. What comes of it is of another PKI, and does not matter here.
        let mut http = http(&base, patient(), Proxy::Environment);
        outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
        return;
    }
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let cases = [
        ("HTTPS_PROXY", "", true),
        ("https_proxy", "", true),
        ("ALL_PROXY", "", true),
        ("HTTP_PROXY", "", false),
        ("HTTPS_PROXY", "127.0.0.1", false),
        ("HTTPS_PROXY", "example.com", true),
    ];
    for (variable, except, tunnelled) in cases {
        let tunnels = Tunnels::start(None).await;
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            child.env_remove(name).env_remove(name.to_lowercase());
        }
        child
            .args(["--exact", "proxies::as_the_environment_says"])
            .env(BASE, server.base())
            .env(variable, format!("http://127.0.0.1:{}", tunnels.port))
            .env("NO_PROXY", except);
        let connections = server.connections();
        let done = tokio::task::spawn_blocking(move || child.output().unwrap()).await;
        assert!(done.unwrap().status.success());
        assert!(server.connections() > connections, "{variable} {except}");
        assert_eq!(
            !tunnels.heads().is_empty(),
            tunnelled,
            "{variable} {except}"
        );
    }
}
