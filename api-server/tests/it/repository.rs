//! Published files.

use std::time::Duration;

use api_server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, parse};

const FILE: &str = "/repository/metadata/timestamp.json";

#[tokio::test]
async fn a_file_is_served_whole_and_in_part() {
    let world = World::new().await;
    let device = world.device("SN-1");
    let whole = world.get(&device, FILE).await;
    assert_eq!(
        (whole.status, whole.body.as_slice()),
        (200, &b"0123456789"[..])
    );
    assert_eq!(whole.headers["content-length"], "10");
    assert_eq!(whole.headers["accept-ranges"], "bytes");
    let etag = whole.headers["etag"].clone();

    let head = world.ask(&device, &format!("HEAD {FILE}"), &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "10");

    let get = format!("GET {FILE}");
    for (field, status, body, content_range) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-1", 206, "9", Some("bytes 9-9/10")),
        ("bytes=8-99", 206, "89", Some("bytes 8-9/10")),
        ("bytes=0-1,3-4", 200, "0123456789", None),
        ("bytes=x", 200, "0123456789", None),
    ] {
        let answer = world
            .ask(&device, &get, &[&format!("Range: {field}")], b"")
            .await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, body.as_bytes()),
            "{field}"
        );
        assert_eq!(
            answer.headers["content-length"],
            body.len().to_string(),
            "{field}"
        );
        assert_eq!(
            answer.headers.get("content-range").map(String::as_str),
            content_range,
            "{field}"
        );
    }
    let beyond = world.ask(&device, &get, &["Range: bytes=10-"], b"").await;
    assert_eq!(
        (beyond.status, beyond.headers["content-range"].as_str()),
        (416, "bytes */10")
    );

    let known = world
        .ask(
            &device,
            &get,
            &[&format!("If-None-Match: \"x\", W/{etag}")],
            b"",
        )
        .await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    for (tag, status) in [(etag.as_str(), 206), ("\"other\"", 200)] {
        let headers = [&format!("If-Range: {tag}")[..], "Range: bytes=2-4"];
        assert_eq!(
            world.ask(&device, &get, &headers, b"").await.status,
            status,
            "{tag}"
        );
    }
}

#[tokio::test]
async fn nothing_outside_of_the_repository_is_served() {
    let world = World::new().await;
    let device = world.device("SN-1");
    std::fs::write(world.folder.path().join("secret"), "secret").unwrap();
    std::fs::write(world.folder.path().join("repository/.hidden"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", world.folder.path().join("repository/link")).unwrap();
    for path in [
        "/repository/../secret",
        "/repository/metadata/../../secret",
        "/repository/%2e%2e/secret",
        "/repository/..%2fsecret",
        "/repository/..%5csecret",
        "/repository/%2e%2e%2fsecret",
        "/repository/%252e%252e/secret",
        "/repository//etc/passwd",
        "/repository/%2fetc%2fpasswd",
        "/repository/metadata/timestamp.json%00",
        "/repository/metadata/timestamp.json/",
        "/repository/.hidden",
        "/repository/link",
        "/repository/metadata",
        "/repository/",
        "/repository",
        "/secret",
        "/",
        "//repository/metadata/timestamp.json",
    ] {
        let answer = world.get(&device, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("secret\n"),
            "{path}"
        );
        assert_eq!(answer.json()["status"], 404);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(
            world
                .ask(&device, &format!("{method} {FILE}"), &[], b"x")
                .await
                .status,
            405,
            "{method}"
        );
    }
    assert_eq!(world.get(&device, "/v1/reports").await.status, 405);
    assert_eq!(world.get(&device, "/healthz").await.status, 200);
    // What is percent-encoded once is decoded once.
    std::fs::write(world.folder.path().join("repository/a%2Fb c.json"), "odd").unwrap();
    assert_eq!(
        world
            .get(&device, "/repository/a%252Fb%20c.json")
            .await
            .body,
        b"odd"
    );
}

#[tokio::test]
async fn a_large_file_arrives_unchanged() {
    let world = World::new().await;
    let device = world.device("SN-1");
    let bytes: Vec<u8> = (0..5_000_011_u32)
        .map(|n| (n % 251).try_into().unwrap())
        .collect();
    std::fs::write(world.folder.path().join("repository/big"), &bytes).unwrap();
    assert!(world.get(&device, "/repository/big").await.body == bytes);
    let part = world
        .ask(
            &device,
            "GET /repository/big",
            &["Range: bytes=70000-4999999"],
            b"",
        )
        .await;
    assert!(part.body == bytes[70_000..5_000_000]);
}

#[tokio::test]
async fn a_connection_serves_several_requests_and_stopping_lets_them_end() {
    let world = World::new().await;
    let device = world.device("SN-1");
    let mut stream = world.connect(&device).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(format!("GET {FILE} HTTP/1.1\r\nHost: api\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"0123456789") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert_eq!(parse(&answer).status, 200);
    }
    let stopping = tokio::spawn(world.stop());
    // The open connection, which asks for nothing, is closed and does not hold the server up.
    let end = tokio::time::timeout(Duration::from_secs(5), stream.read_u8())
        .await
        .unwrap();
    assert!(end.is_err());
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    let limits = Limits {
        idle: Duration::from_millis(300),
        reload: Duration::from_millis(50),
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let device = world.device("SN-1");
    std::fs::write(
        world.folder.path().join("repository/big"),
        vec![7; 50_000_000],
    )
    .unwrap();
    let mut stream = world.connect(&device).await.unwrap();
    stream
        .write_all(b"GET /repository/big HTTP/1.1\r\nHost: api\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest).await;
    assert!(
        end.is_err() && rest.len() < 50_000_000,
        "all {} bytes were waited for",
        rest.len()
    );
}
