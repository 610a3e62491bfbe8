//! What answers mean: statuses, attempts, `Retry-After`, pages that are no metadata. A table of named cases.

use std::time::{Duration, Instant};

use updater::transport::{NetworkLimits, Part};

use crate::server::{Server, Step, answer, head, outcome, patient};

const GOOD: &[u8] = b"{\"signed\": {}}";
const PAGE: &[u8] = b"<!DOCTYPE html><title>Welcome to the Hotel</title>";

type Answers = fn(usize) -> Vec<Step>;

/// The name; what is answered to each request; how the outcome reads; how many requests it took.
const CASES: &[(&str, Answers, &str, usize)] = &[
    (
        "as it should be",
        |_| answer("200 OK", &[], GOOD),
        "{\"signed\": {}}",
        1,
    ),
    (
        "404 is not there",
        |_| answer("404 Not Found", &[], b"no"),
        "not there",
        1,
    ),
    (
        "403 is not there",
        |_| answer("403 Forbidden", &[], b"no"),
        "not there",
        1,
    ),
    (
        "410 is not there",
        |_| answer("410 Gone", &[], b""),
        "not there",
        1,
    ),
    (
        "401 is an error",
        |_| answer("401 Unauthorized", &[], b""),
        "status 401; expected 200, or 404",
        1,
    ),
    (
        "400 is an error",
        |_| answer("400 Bad Request", &[], b""),
        "status 400",
        1,
    ),
    (
        "405 is an error",
        |_| answer("405 Method Not Allowed", &[], b""),
        "status 405",
        1,
    ),
    (
        "451 is an error",
        |_| answer("451 Unavailable", &[], b""),
        "status 451",
        1,
    ),
    (
        "204 is an error",
        |_| vec![head("204 No Content", &[]), Step::Next],
        "status 204",
        1,
    ),
    (
        "206 without a range is an error",
        |_| answer("206 Partial", &["content-range: bytes 0-13/14"], GOOD),
        "status 206",
        1,
    ),
    (
        "304 without being asked is an error",
        |_| vec![head("304 Not Modified", &[]), Step::Next],
        "status 304",
        1,
    ),
    (
        "416 without a range is an error",
        |_| answer("416 Range", &[], b""),
        "status 416",
        1,
    ),
    (
        "500 is asked again, and again, and then is an error",
        |_| answer("500 Oops", &[], b""),
        "status 500",
        4,
    ),
    (
        "500 thrice, then fine",
        |n| {
            if n < 3 {
                answer("500 Oops", &[], b"")
            } else {
                answer("200 OK", &[], GOOD)
            }
        },
        "{\"signed\": {}}",
        4,
    ),
    (
        "503 once, then not there",
        |n| {
            if n < 1 {
                answer("503 Busy", &[], b"")
            } else {
                answer("404 Not Found", &[], b"")
            }
        },
        "not there",
        2,
    ),
    (
        "408 and 429, then fine",
        |n| match n {
            0 => answer("408 Timeout", &[], b""),
            1 => answer("429 Too Many", &[], b""),
            _ => answer("200 OK", &[], GOOD),
        },
        "{\"signed\": {}}",
        3,
    ),
    (
        "429 with a short Retry-After",
        |n| {
            if n < 1 {
                answer("429 Too Many", &["retry-after: 0"], b"")
            } else {
                answer("200 OK", &[], GOOD)
            }
        },
        "{\"signed\": {}}",
        2,
    ),
    (
        "429 with a Retry-After beyond the bound is left alone at once",
        |_| answer("429 Too Many", &["retry-after: 3600"], b""),
        "status 429; expected 200, or 404 if it is not there; the server asks to be left alone for 3600 s",
        1,
    ),
    (
        "503 with a date beyond the bound is left alone at once",
        |_| {
            let headers = [
                "date: Sun, 06 Nov 1994 08:00:00 GMT",
                "retry-after: Sun, 06 Nov 1994 09:00:00 GMT",
            ];
            answer("503 Busy", &headers, b"")
        },
        "left alone for 3600 s",
        1,
    ),
    (
        "a captive portal's page",
        |_| answer("200 OK", &["content-type: text/html"], PAGE),
        "answered with something else: expected metadata, a JSON object, found \"<!DOCTYPE html>",
        1,
    ),
    (
        "an empty file",
        |_| answer("200 OK", &[], b""),
        "answered with something else: expected metadata, a JSON object, found \"\"",
        1,
    ),
    (
        "a JSON array",
        |_| answer("200 OK", &[], b" [1]"),
        "answered with something else",
        1,
    ),
    (
        "compressed, unasked",
        |_| answer("200 OK", &["content-encoding: gzip"], b"\x1f\x8b"),
        "is sent compressed (gzip); expected as it is",
        1,
    ),
    (
        "identity is no compression",
        |_| answer("200 OK", &["content-encoding: identity"], GOOD),
        "{\"signed\": {}}",
        1,
    ),
    (
        "no HTTP at all",
        |_| vec![Step::Send(b"220 mail.example ESMTP\r\n".to_vec())],
        "no answer from https://",
        4,
    ),
    (
        "nothing but the end",
        |_| vec![],
        "no answer from https://",
        4,
    ),
    (
        "100 Continue first",
        |_| [vec![head("100 Continue", &[])], answer("200 OK", &[], GOOD)].concat(),
        "{\"signed\": {}}",
        1,
    ),
];

#[tokio::test]
async fn what_answers_mean() {
    for (name, answers, expected, requests) in CASES {
        let answers = *answers;
        let server = Server::start(move |number, _| answers(number)).await;
        let mut http = server.http(patient());
        let found = outcome(&mut http, Part::Metadata, "2.root.json", 1000).await;
        assert!(found.contains(expected), "{name}: {found}");
        assert_eq!(server.heads().len(), *requests, "{name}");
    }
}

/// A target may hold anything; only metadata is looked at.
#[tokio::test]
async fn a_target_may_be_a_page() {
    let server = Server::start(|_, _| answer("200 OK", &[], PAGE)).await;
    let found = outcome(
        &mut server.http(patient()),
        Part::Targets,
        "index.html",
        1000,
    )
    .await;
    assert!(found.starts_with("<!DOCTYPE"), "{found}");
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let script = |number, _: &str| match number {
        0 => answer("503 Busy", &["retry-after: 1"], b""),
        _ => answer("200 OK", &[], GOOD),
    };
    let server = Server::start(script).await;
    let begin = Instant::now();
    let found = outcome(
        &mut server.http(patient()),
        Part::Metadata,
        "timestamp.json",
        1000,
    )
    .await;
    assert!(found.contains("signed"), "{found}");
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let line = format!("x-filler: {}\r\n", "x".repeat(1000)).into_bytes();
    let script = move |_, _: &str| {
        let head = Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec());
        vec![head, Step::Flood(line.clone())]
    };
    let server = Server::start(script).await;
    let found = outcome(
        &mut server.http(patient()),
        Part::Metadata,
        "timestamp.json",
        1000,
    )
    .await;
    assert!(found.contains("no answer from"), "{found}");
}

#[tokio::test]
async fn a_head_that_trickles_is_given_up() {
    let script = |_, _: &str| vec![Step::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), 20)];
    let server = Server::start(script).await;
    let limits = NetworkLimits {
        connect: Duration::from_millis(400),
        silence: Duration::from_millis(50),
        attempts: 1,
        ..patient()
    };
    let found = outcome(
        &mut server.http(limits),
        Part::Metadata,
        "timestamp.json",
        1000,
    )
    .await;
    assert!(found.contains("no answer from"), "{found}");
}

/// What every request says, and what it does not.
#[tokio::test]
async fn a_request_says_little() {
    let server = Server::start(|_, _| answer("200 OK", &[], GOOD)).await;
    let mut http = server.http(patient());
    outcome(&mut http, Part::Metadata, "timestamp.json", 1000).await;
    outcome(&mut http, Part::Targets, "a", 1000).await;
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /metadata/timestamp.json HTTP/1.1\r\naccept: */*\r\nuser-agent: updater/{version}\r\n\
         accept-encoding: identity\r\nhost: {}\r\n\r\n",
        server.address
    );
    assert_eq!(server.heads()[0], expected);
    assert_eq!(server.connections(), 1);
}
