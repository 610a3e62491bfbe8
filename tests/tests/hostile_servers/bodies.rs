//! Bodies that are too long, too slow, or cut off: whole files. A table of named cases.

use std::time::{Duration, Instant};

use updater::transport::{NetworkLimits, Part};

use crate::server::{Server, Step, answer, head, outcome, patient};

const GOOD: &[u8] = b"{\"signed\": {}}";
/// What the file may have.
const LIMIT: u64 = 1000;

fn send(bytes: &[u8]) -> Step {
    Step::Send(bytes.to_vec())
}

/// What is cut off at first and whole the second time.
fn then_good(number: usize, cut: Vec<Step>) -> Vec<Step> {
    if number == 0 {
        cut
    } else {
        answer("200 OK", &[], GOOD)
    }
}

/// The limits of cases in which time runs out: in well under a second.
fn impatient() -> NetworkLimits {
    NetworkLimits {
        silence: Duration::from_millis(100),
        window: Duration::from_millis(200),
        minimum_rate: 1000,
        attempts: 2,
        ..patient()
    }
}

type Answers = fn(usize) -> Vec<Step>;

/// The name; what is answered to each request; how the outcome reads; how many requests it took.
const CASES: &[(&str, Answers, &str, usize)] = &[
    (
        "as long as it may be",
        |_| answer("200 OK", &[], &[b'{'; 1000]),
        "{{{{",
        1,
    ),
    (
        "announced too long: refused before it is read",
        |_| vec![head("200 OK", &["content-length: 1001"]), Step::Hang],
        "is longer than the 1000 bytes that it may have: it announces 1001",
        1,
    ),
    (
        "announced beyond all measure",
        |_| {
            vec![
                head("200 OK", &["content-length: 18446744073709551613"]),
                Step::Hang,
            ]
        },
        "it announces 18446744073709551613",
        1,
    ),
    (
        "a length that is no number",
        |_| vec![head("200 OK", &["content-length: many"]), Step::Hang],
        "no answer from",
        4,
    ),
    (
        "two lengths that differ",
        |_| {
            vec![
                head("200 OK", &["content-length: 14", "content-length: 15"]),
                send(GOOD),
                Step::Hang,
            ]
        },
        "no answer from",
        4,
    ),
    (
        "one byte too long, in chunks",
        |_| {
            vec![
                head("200 OK", &["transfer-encoding: chunked"]),
                send(b"3e9\r\n"),
                send(&[b'{'; 1001]),
                Step::Hang,
            ]
        },
        "is longer than the 1000 bytes",
        1,
    ),
    (
        "endless, in chunks",
        |_| {
            vec![
                head("200 OK", &["transfer-encoding: chunked"]),
                Step::Flood(b"8\r\n{{{{{{{{\r\n".to_vec()),
            ]
        },
        "is longer than the 1000 bytes",
        1,
    ),
    (
        "endless, without a length",
        |_| vec![head("200 OK", &[]), Step::Flood(vec![b'{'; 100])],
        "is longer than the 1000 bytes",
        1,
    ),
    (
        "in chunks",
        |_| {
            let rest = b"7\r\n{\"signe\r\n7\r\nd\": {}}\r\n0\r\n\r\n";
            vec![
                head("200 OK", &["transfer-encoding: chunked"]),
                send(rest),
                Step::Next,
            ]
        },
        "{\"signed\": {}}",
        1,
    ),
    (
        "until the end of the connection",
        |_| vec![head("200 OK", &[]), send(GOOD), Step::Goodbye],
        "{\"signed\": {}}",
        1,
    ),
    (
        "until the connection is cut, which is not its end",
        |n| then_good(n, vec![head("200 OK", &[]), send(b"{\"si")]),
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off before the body",
        |n| then_good(n, vec![head("200 OK", &["content-length: 14"])]),
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off in the body",
        |n| {
            then_good(
                n,
                vec![
                    head("200 OK", &["content-length: 14"]),
                    send(b"{\"si"),
                    Step::Goodbye,
                ],
            )
        },
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off before the last byte",
        |n| {
            then_good(
                n,
                vec![head("200 OK", &["content-length: 14"]), send(&GOOD[..13])],
            )
        },
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off in a chunk",
        |n| {
            then_good(
                n,
                vec![
                    head("200 OK", &["transfer-encoding: chunked"]),
                    send(b"7\r\n{\"s"),
                ],
            )
        },
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off before the last chunk",
        |n| {
            then_good(
                n,
                vec![
                    head("200 OK", &["transfer-encoding: chunked"]),
                    send(b"e\r\n{\"signed\": {}}\r\n"),
                ],
            )
        },
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off in the head",
        |n| then_good(n, vec![send(b"HTTP/1.1 200 OK\r\ncontent-le")]),
        "{\"signed\": {}}",
        2,
    ),
    (
        "cut off each time",
        |_| vec![head("200 OK", &["content-length: 14"]), send(b"{\"si")],
        "broke off after 4 bytes",
        4,
    ),
    (
        "shorter than announced, on a connection that stays",
        |n| then_good(n, answer("200 OK", &[], GOOD)),
        "{\"signed\": {}}",
        1,
    ),
];

#[tokio::test]
async fn lengths_and_ends_of_bodies() {
    for (name, answers, expected, requests) in CASES {
        let answers = *answers;
        let server = Server::start(move |number, _| answers(number)).await;
        let mut http = server.http(patient());
        let found = outcome(&mut http, Part::Metadata, "timestamp.json", LIMIT).await;
        assert!(found.contains(expected), "{name}: {found}");
        assert_eq!(server.heads().len(), *requests, "{name}");
    }
}

type Answer = fn() -> Vec<Step>;

/// The name; what is answered; how the outcome reads. Each runs into one of the limits of [`impatient`].
const SLOW: &[(&str, Answer, &str)] = &[
    (
        "a byte now and then",
        || {
            vec![
                head("200 OK", &["content-length: 900"]),
                Step::Drip(b"{".to_vec(), 10),
            ]
        },
        "comes too slowly",
    ),
    (
        "a byte now and then, in chunks",
        || {
            vec![
                head("200 OK", &["transfer-encoding: chunked"]),
                Step::Drip(b"1\r\n{\r\n".to_vec(), 10),
            ]
        },
        "bytes in 0.2 s, expected at least 200",
    ),
    (
        "a burst, then a trickle",
        || {
            let burst = Step::Send(vec![b'{'; 500]);
            vec![
                head("200 OK", &["content-length: 900"]),
                burst,
                Step::Drip(b"{".to_vec(), 10),
            ]
        },
        "comes too slowly",
    ),
    (
        "silence in the midst",
        || {
            vec![
                head("200 OK", &["content-length: 900"]),
                Step::Send(b"{".to_vec()),
                Step::Hang,
            ]
        },
        "broke off after 1 bytes: nothing came for 0.1 s",
    ),
    (
        "silence at once",
        || vec![head("200 OK", &["content-length: 900"]), Step::Hang],
        "broke off after 0 bytes: nothing came",
    ),
];

#[tokio::test]
async fn slow_bodies_are_given_up() {
    for (name, answers, expected) in SLOW {
        let answers = *answers;
        let server = Server::start(move |_, _| answers()).await;
        let mut http = server.http(impatient());
        let begin = Instant::now();
        let found = outcome(&mut http, Part::Metadata, "timestamp.json", LIMIT).await;
        assert!(found.contains(expected), "{name}: {found}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{name}");
    }
}

/// Fast enough for the least rate, and without end in sight: the time in all is bounded by the length that is allowed.
#[tokio::test]
async fn the_time_in_all_is_bounded() {
    let script = |_, _: &str| {
        let chunks = Step::Drip(b"1\r\n{\r\n".to_vec(), 5);
        vec![head("200 OK", &["transfer-encoding: chunked"]), chunks]
    };
    let server = Server::start(script).await;
    let limits = NetworkLimits {
        minimum_rate: 1_000_000,
        window: Duration::from_secs(60),
        total: Duration::from_millis(300),
        ..patient()
    };
    let found = outcome(
        &mut server.http(limits),
        Part::Metadata,
        "timestamp.json",
        LIMIT,
    )
    .await;
    assert!(
        found.contains("did not come whole within the 0 s"),
        "{found}"
    );
    assert_eq!(server.heads().len(), 1);
}
