//! Payloads: bodies that are taken piece by piece, from any byte on. They are not asked for again here: whoever takes them goes
//! on from where they broke off.

use std::time::Duration;

use updater::transport::NetworkLimits;

use crate::server::{Server, Step, answer, head, patient, streamed};

/// The file.
const FILE: &[u8] = b"0123456789";

fn part(range: &str, body: &[u8]) -> Vec<Step> {
    answer(
        "206 Partial Content",
        &[&format!("content-range: {range}")],
        body,
    )
}

type Answers = fn() -> Vec<Step>;

/// The name; the first byte that is wanted; what is answered; the outcome; the bytes that came.
const CASES: &[(&str, u64, Answers, &str, &[u8])] = &[
    (
        "from the beginning",
        0,
        || answer("200 OK", &[], FILE),
        "whole",
        FILE,
    ),
    (
        "from the midst",
        4,
        || part("bytes 4-9/10", b"456789"),
        "whole",
        b"456789",
    ),
    (
        "of unknown length",
        4,
        || part("bytes 4-9/*", b"456789"),
        "whole",
        b"456789",
    ),
    (
        "a server without ranges",
        4,
        || answer("200 OK", &[], FILE),
        "whole",
        b"456789",
    ),
    (
        "nothing is left",
        10,
        || answer("416 Range", &["content-range: bytes */10"], b""),
        "not there",
        b"",
    ),
    (
        "gone meanwhile",
        4,
        || answer("404 Not Found", &[], b""),
        "not there",
        b"",
    ),
    (
        "another range",
        4,
        || part("bytes 0-5/10", b"012345"),
        "with the part \"bytes 0-5/10\"; expected one that begins at byte 4",
        b"",
    ),
    (
        "no range",
        4,
        || answer("206 Partial", &[], b"456789"),
        "with the part \"\"; expected one that begins at byte 4",
        b"",
    ),
    (
        "a range in other units",
        4,
        || part("lines 4-9/10", b"456789"),
        "begins at byte 4",
        b"",
    ),
    (
        "several ranges",
        4,
        || {
            answer(
                "206 Partial",
                &["content-type: multipart/byteranges; boundary=x"],
                b"--x",
            )
        },
        "begins at byte 4",
        b"",
    ),
    (
        "a range that is no number",
        4,
        || part("bytes four-nine/10", b"456789"),
        "begins at byte 4",
        b"",
    ),
    (
        "longer than signed",
        0,
        || answer("200 OK", &[], b"0123456789A"),
        "is longer than the 10 bytes",
        b"",
    ),
    (
        "the rest longer than signed",
        4,
        || part("bytes 4-10/11", b"456789A"),
        "is longer than the 6 bytes",
        b"",
    ),
    (
        "all of it longer than signed",
        4,
        || answer("200 OK", &[], b"0123456789A"),
        "is longer than the 10 bytes",
        b"",
    ),
    (
        "longer than signed, in chunks",
        4,
        || {
            vec![
                head(
                    "206 P",
                    &["content-range: bytes 4-9/10", "transfer-encoding: chunked"],
                ),
                Step::Flood(b"1\r\nx\r\n".to_vec()),
            ]
        },
        "is longer than the 6 bytes",
        b"",
    ),
    (
        "cut off",
        4,
        || {
            vec![
                head(
                    "206 P",
                    &["content-range: bytes 4-9/10", "content-length: 6"],
                ),
                Step::Send(b"456".to_vec()),
            ]
        },
        "broke off after 3 bytes",
        b"456",
    ),
    (
        "cut off in what is passed over",
        4,
        || {
            vec![
                head("200 OK", &["content-length: 10"]),
                Step::Send(b"012".to_vec()),
            ]
        },
        "broke off after 3 bytes",
        b"",
    ),
    (
        "compressed",
        4,
        || {
            answer(
                "206 P",
                &["content-range: bytes 4-9/10", "content-encoding: br"],
                b"456789",
            )
        },
        "is sent compressed (br)",
        b"",
    ),
];

#[tokio::test]
async fn parts_of_a_file() {
    for (name, offset, answers, expected, bytes) in CASES {
        let answers = *answers;
        let server = Server::start(move |_, _| answers()).await;
        let (found, came) = streamed(&mut server.http(patient()), *offset, 10).await;
        assert!(found.contains(expected), "{name}: {found}");
        // Of what is too long, some may have come before.
        if !expected.contains("longer") {
            assert_eq!(came, *bytes, "{name}");
        }
        let heads = server.heads();
        assert_eq!(heads.len(), 1, "{name}");
        let range = format!("range: bytes={offset}-\r\n");
        assert_eq!(heads[0].contains(&range), *offset > 0, "{name}");
    }
}

#[tokio::test]
async fn a_payload_that_trickles_is_given_up() {
    let script = |_, _: &str| {
        vec![
            head("200 OK", &["content-length: 100000"]),
            Step::Drip(b"xx".to_vec(), 10),
        ]
    };
    let server = Server::start(script).await;
    let limits = NetworkLimits {
        window: Duration::from_millis(200),
        minimum_rate: 1000,
        ..patient()
    };
    let (found, came) = streamed(&mut server.http(limits), 0, 100_000).await;
    assert!(
        found.contains("comes too slowly") && found.contains("expected at least 200"),
        "{found}"
    );
    assert!(came.len() < 200, "{}", came.len());
}

/// A device that is slow itself, because its storage is, does not hold that against the server.
#[tokio::test]
async fn a_slow_storage_is_not_a_slow_server() {
    use updater::transport::{Part, Request, Transport as _};
    let script = |_, _: &str| {
        let half = || Step::Send(vec![b'x'; 500]);
        vec![
            head("200 OK", &["content-length: 1000"]),
            half(),
            half(),
            Step::Next,
        ]
    };
    let server = Server::start(script).await;
    let limits = NetworkLimits {
        silence: Duration::from_millis(150),
        window: Duration::from_millis(150),
        minimum_rate: 5000,
        total: Duration::from_millis(150),
        ..patient()
    };
    let mut http = server.http(limits);
    let request = Request {
        part: Part::Targets,
        path: "payload".to_owned(),
        offset: 0,
        most: 1000,
    };
    let mut body = http.open(&request).await.unwrap().unwrap();
    let mut length = 0;
    while let Some(piece) = body.piece().await.unwrap() {
        length += piece.len();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(length, 1000);
}
