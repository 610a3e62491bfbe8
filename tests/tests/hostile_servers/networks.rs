//! A whole device by a network that is hostile or bad: what the server does, at which file, and what a person reads. Whatever it is,
//! what is trusted and what runs stay as they were, nothing is armed, and the next poll by a good network is enough.

use std::sync::Arc;

use crate::server::{Step, answer};
use crate::stand::{Asked, Ends, File, METADATA, NETWORK, PAYLOAD, Stand, Trick};

use Ends::{Fails, Installed};
use File::{Manifest, Payload, Timestamp};

/// Rows that are tried at the same time.
const AT_ONCE: usize = 6;
const PAGE: &[u8] =
    b"<!DOCTYPE html><title>Welcome to the Hotel</title><p>Please accept our terms.";

/// A row: its name, the file, what is answered to each request, how many requests there are, and how it ends.
struct Row(String, File, Trick, usize, Ends);

fn row(
    name: &str,
    file: File,
    requests: usize,
    ends: Ends,
    trick: impl Fn(usize, &Asked) -> Vec<Step> + Send + Sync + 'static,
) -> Row {
    Row(
        format!("{file:?}: {name}"),
        file,
        Box::new(trick),
        requests,
        ends,
    )
}

async fn holds(rows: Vec<Row>) {
    let stand = Stand::new().await;
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for Row(name, file, trick, requests, ends) in rows {
        let (stand, turns) = (Arc::clone(&stand), Arc::clone(&turns));
        let turn = turns.acquire_owned().await.unwrap();
        // What a device does blocks.
        running.push(tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let runtime = tokio::runtime::Handle::current();
            runtime.block_on(stand.row(&name, file, trick, requests, ends));
        }));
    }
    let mut broken = 0;
    for row in running {
        broken += usize::from(row.await.is_err());
    }
    assert_eq!(broken, 0, "rows that do not hold, told above");
}

fn send(bytes: &[u8]) -> Step {
    Step::Send(bytes.to_vec())
}

/// What a device reads of an answer that is cut off here.
type Place = fn(&Asked) -> usize;

/// Every kind of byte that an answer has, and of a payload every kind of place.
const PLACES: &[(&str, Place)] = &[
    ("before anything", |_| 0),
    ("in the status line", |_| 11),
    ("in a header", |asked| asked.head_length() - 10),
    ("before the end of the head", |asked| {
        asked.head_length() - 2
    }),
    ("before the body", Asked::head_length),
    ("after its first byte", |asked| asked.head_length() + 1),
    ("in its midst", |asked| {
        (asked.head_length() + asked.bytes().len()) / 2
    }),
    ("before its last byte", |asked| asked.bytes().len() - 1),
];

const FRAMES: &[(&str, Place)] = &[
    ("after the head of the payload", |asked| {
        asked.head_length() + asked.frames[0]
    }),
    ("between two frames", |asked| {
        asked.head_length() + asked.frames[2]
    }),
    ("a byte before a frame ends", |asked| {
        asked.head_length() + asked.frames[2] - 1
    }),
    ("a byte after a frame began", |asked| {
        asked.head_length() + asked.frames[2] + 1
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_is_gone_on_with() {
    let mut rows = Vec::new();
    for file in [Timestamp, Manifest, Payload] {
        let more: &[(&str, Place)] = if file == Payload { FRAMES } else { &[] };
        for (name, place) in PLACES.iter().chain(more) {
            let name = format!("cut off once, {name}");
            rows.push(row(
                &name,
                file,
                2,
                Installed,
                |number, asked| match number {
                    0 => vec![send(&asked.bytes()[..place(asked)])],
                    _ => asked.good(),
                },
            ));
        }
    }
    let every_place = row(
        "cut off again and again",
        Payload,
        4,
        Installed,
        |number, asked| {
            let length = asked.bytes().len();
            let until = asked.head_length() + 900_000;
            match number {
                3 => asked.good(),
                _ => vec![send(&asked.bytes()[..until.min(length)])],
            }
        },
    );
    rows.push(every_place);
    for (name, place) in PLACES {
        let name = format!("cut off each time, {name}");
        let told: &[&str] = match *name {
            _ if name.contains("body") || name.contains("byte") || name.contains("midst") => &[
                "timestamp.json broke off after",
                "Hint: check the network, the proxy and the server; the next run goes on where this one stopped",
            ],
            _ => &[
                "no answer from https://",
                "timestamp.json",
                "Hint: check the network",
            ],
        };
        rows.push(row(
            &name,
            Timestamp,
            2,
            Fails(NETWORK, told),
            |_, asked| vec![send(&asked.bytes()[..place(asked)])],
        ));
    }
    let told = &[
        "/targets/",
        "broke off after 1000 bytes",
        "the connection was closed before its end",
        "goes on where this one stopped",
    ];
    rows.push(row(
        "cut off each time",
        Payload,
        6,
        Fails(NETWORK, told),
        |_, asked| vec![send(&asked.bytes()[..asked.head_length() + 1000])],
    ));
    holds(rows).await;
}

fn flipped(asked: &Asked, at: usize) -> Vec<Step> {
    let mut bytes = asked.bytes();
    let at = asked.head_length() + at - asked.from;
    bytes[at] ^= 1;
    vec![Step::Send(bytes), Step::Next]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_is_found() {
    let refused = &[
        "payload router-x/rootfs-1.0.0.full is refused",
        "has digest",
        "nothing of it was used",
    ];
    holds(vec![
        row(
            "its first byte changed",
            Timestamp,
            1,
            Fails(
                NETWORK,
                &[
                    "timestamp.json answered with",
                    "expected metadata, a JSON object",
                    "captive portal",
                ],
            ),
            |_, asked| flipped(asked, 0),
        ),
        row(
            "a byte in its midst changed",
            Timestamp,
            1,
            Fails(METADATA, &["timestamp"]),
            |_, asked| flipped(asked, asked.whole.len() / 2),
        ),
        row(
            "a byte in its midst changed",
            Manifest,
            1,
            Fails(
                PAYLOAD,
                &["is not the one that was signed", "check the mirror"],
            ),
            |_, asked| flipped(asked, asked.whole.len() / 2),
        ),
        row(
            "its first byte changed",
            Payload,
            1,
            Fails(
                NETWORK,
                &[
                    "answered with something else: expected a payload, found",
                    "captive portal",
                ],
            ),
            |_, asked| flipped(asked, 0),
        ),
        row(
            "a byte in its first frame changed",
            Payload,
            1,
            Fails(PAYLOAD, refused),
            |_, asked| flipped(asked, asked.frames[0] + 5000),
        ),
        row(
            "a byte of its head changed",
            Payload,
            1,
            Fails(PAYLOAD, refused),
            |_, asked| flipped(asked, 30),
        ),
        row(
            "its last byte changed",
            Payload,
            1,
            Fails(PAYLOAD, refused),
            |_, asked| flipped(asked, asked.whole.len() - 1),
        ),
        row(
            "another file of the same length",
            Payload,
            1,
            Fails(NETWORK, &["expected a payload, found \"xxxx"]),
            |_, asked| answer("200 OK", &[], &vec![b'x'; asked.whole.len()]),
        ),
    ])
    .await;
}

fn busy() -> Vec<Step> {
    answer(
        "503 Service Unavailable",
        &["content-type: text/html"],
        PAGE,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_trouble_is_asked_again_and_then_left_alone() {
    let mut rows = Vec::new();
    for file in [Timestamp, Payload] {
        rows.push(row("503 once", file, 2, Installed, |number, asked| {
            if number == 0 { busy() } else { asked.good() }
        }));
        let told = &[
            "answered with status 503; expected 200",
            "is in trouble: the device asks again by itself",
        ];
        rows.push(row(
            "503 each time",
            file,
            2,
            Fails(NETWORK, told),
            |_, _| busy(),
        ));
        let told = &["status 503", "asks to be left alone for 3600 s"];
        rows.push(row(
            "503 for an hour",
            file,
            1,
            Fails(NETWORK, told),
            |_, _| answer("503 Service Unavailable", &["retry-after: 3600"], b""),
        ));
        rows.push(row(
            "a gateway's page",
            file,
            2,
            Fails(NETWORK, &["status 502"]),
            |_, _| answer("502 Bad Gateway", &["content-type: text/html"], PAGE),
        ));
        rows.push(row(
            "no HTTP",
            file,
            2,
            Fails(NETWORK, &["no answer from"]),
            |_, _| vec![send(b"220 mail.example ESMTP\r\n")],
        ));
    }
    rows.push(row(
        "cut off, then 503, then the rest",
        Payload,
        3,
        Installed,
        |number, asked| match number {
            0 => vec![send(&asked.bytes()[..2_000_000])],
            1 => busy(),
            _ => asked.good(),
        },
    ));
    let missing = &[
        "is missing: the server or the bundle does not have it",
        "Hint: check the URLs in [server]",
    ];
    for file in [Timestamp, Payload, Manifest] {
        rows.push(row("404", file, 1, Fails(METADATA, missing), |_, _| {
            answer("404 Not Found", &[], PAGE)
        }));
    }
    holds(rows).await;
}

fn to(location: &str) -> Vec<Step> {
    answer("302 Found", &[&format!("location: {location}")], b"")
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_lead_nowhere_that_is_not_meant() {
    let mut rows = Vec::new();
    for file in [Timestamp, Payload] {
        let told = &[
            "is not followed: only https may follow https",
            "make the server answer with the file itself",
        ];
        rows.push(row("to HTTP", file, 1, Fails(NETWORK, told), |_, _| {
            to("http://portal.example/login")
        }));
        rows.push(row(
            "in a circle",
            file,
            4,
            Fails(NETWORK, &["more than 3 redirects in a row"]),
            |_, _| to("?"),
        ));
        rows.push(row(
            "to nowhere",
            file,
            1,
            Fails(NETWORK, &["it does not say whereto"]),
            |_, _| answer("302 Found", &[], b""),
        ));
    }
    rows.push(row(
        "to the same server",
        Timestamp,
        2,
        Installed,
        |number, asked| match number {
            0 => to("/repository/moved/metadata/timestamp.json"),
            _ => asked.good(),
        },
    ));
    let told = &[
        "metadata has to come from the server that is configured",
        "configure the URL that it leads to",
    ];
    rows.push(row(
        "to another server",
        Timestamp,
        1,
        Fails(NETWORK, told),
        |_, _| to("https://elsewhere.example/timestamp.json"),
    ));
    let told = &["no answer from https://127.0.0.1:1/payload", "refused"];
    rows.push(row(
        "to another server, which is not there",
        Payload,
        1,
        Fails(NETWORK, told),
        |_, _| to("https://127.0.0.1:1/payload"),
    ));
    holds(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_trickles_or_stops_is_given_up() {
    let mut rows = Vec::new();
    for file in [Timestamp, Payload] {
        let told = &[
            "comes too slowly",
            "expected at least 4000",
            "lower network.minimum_rate",
        ];
        rows.push(row(
            "a byte now and then",
            file,
            1,
            Fails(NETWORK, told),
            |_, asked| {
                let head = asked.head(&[&format!("content-length: {}", asked.whole.len())]);
                vec![Step::Send(head), Step::Drip(asked.whole[..1].to_vec(), 50)]
            },
        ));
        rows.push(row(
            "silence in the midst, once",
            file,
            2,
            Installed,
            |number, asked| match number {
                0 => vec![
                    send(&asked.bytes()[..asked.head_length() + 100]),
                    Step::Hang,
                ],
                _ => asked.good(),
            },
        ));
    }
    let told = &["broke off after 100 bytes", "nothing came for 2 s"];
    rows.push(row(
        "silence in the midst",
        Timestamp,
        2,
        Fails(NETWORK, told),
        |_, asked| {
            vec![
                send(&asked.bytes()[..asked.head_length() + 100]),
                Step::Hang,
            ]
        },
    ));
    holds(rows).await;
}

fn with_length(asked: &Asked, lengths: &[&str]) -> Vec<u8> {
    let lengths: Vec<String> = lengths
        .iter()
        .map(|length| format!("content-length: {length}"))
        .collect();
    let lengths: Vec<&str> = lengths.iter().map(String::as_str).collect();
    [&asked.head(&lengths), &asked.whole[asked.from..]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_are_wrong() {
    let mut rows = Vec::new();
    for file in [Timestamp, Payload] {
        rows.push(row(
            "negative",
            file,
            2,
            Fails(NETWORK, &["no answer from"]),
            |_, asked| vec![Step::Send(with_length(asked, &["-5"]))],
        ));
        rows.push(row(
            "two of them",
            file,
            2,
            Fails(NETWORK, &["no answer from"]),
            |_, asked| {
                let length = asked.whole.len().to_string();
                vec![Step::Send(with_length(asked, &[&length, "5"]))]
            },
        ));
        let told = &[
            "is longer than the",
            "it announces 18446744073709551613",
            "it sends more than was signed",
        ];
        rows.push(row("huge", file, 1, Fails(METADATA, told), |_, asked| {
            vec![
                Step::Send(with_length(asked, &["18446744073709551613"])),
                Step::Hang,
            ]
        }));
    }
    let length = |asked: &Asked, more: isize| {
        asked.whole[asked.from..]
            .len()
            .saturating_add_signed(more)
            .to_string()
    };
    let told = &[
        "timestamp.json broke off after",
        "goes on where this one stopped",
    ];
    rows.push(row(
        "too long",
        Timestamp,
        2,
        Fails(NETWORK, told),
        move |_, asked| vec![Step::Send(with_length(asked, &[&length(asked, 10)]))],
    ));
    let told = &["is longer than the", "it announces"];
    rows.push(row(
        "too long",
        Payload,
        1,
        Fails(METADATA, told),
        move |_, asked| vec![Step::Send(with_length(asked, &[&length(asked, 10)]))],
    ));
    rows.push(row(
        "too short",
        Timestamp,
        1,
        Fails(METADATA, &["timestamp"]),
        move |_, asked| vec![Step::Send(with_length(asked, &[&length(asked, -10)]))],
    ));
    rows.push(row(
        "too short",
        Payload,
        6,
        Fails(NETWORK, &["broke off after"]),
        move |_, asked| vec![Step::Send(with_length(asked, &["1000"]))],
    ));
    rows.push(row(
        "too short, once",
        Payload,
        2,
        Installed,
        move |number, asked| match number {
            0 => vec![Step::Send(with_length(asked, &[&length(asked, -10)]))],
            _ => asked.good(),
        },
    ));
    holds(rows).await;
}

/// The first request is cut off, and what this says is answered to the one for the rest.
fn rest(
    answer: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
) -> impl Fn(usize, &Asked) -> Vec<Step> + Send + Sync + 'static {
    move |number, asked| match number {
        0 => vec![send(&asked.bytes()[..2_000_000])],
        _ => answer(asked),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_that_are_wrong() {
    let mixed = &[
        "with the part \"bytes 0-",
        "expected one that begins at byte",
        "ranges are mixed up",
    ];
    let part = |range: &str, body: &[u8]| {
        answer(
            "206 Partial Content",
            &[&format!("content-range: {range}")],
            body,
        )
    };
    holds(vec![
        row(
            "ignored",
            Payload,
            2,
            Installed,
            rest(|asked| answer("200 OK", &[], &asked.whole)),
        ),
        row(
            "another part",
            Payload,
            2,
            Fails(NETWORK, mixed),
            rest(move |asked| {
                part(
                    &format!("bytes 0-{}/{}", asked.whole.len() - 1, asked.whole.len()),
                    &asked.whole,
                )
            }),
        ),
        row(
            "no part",
            Payload,
            2,
            Fails(NETWORK, &["with the part \"\""]),
            rest(|asked| answer("206 Partial Content", &[], &asked.whole[asked.from..])),
        ),
        row(
            "the right part of another file",
            Payload,
            2,
            Fails(PAYLOAD, &["has digest", "check the mirror"]),
            rest(move |asked| {
                let last = asked.whole.len() - 1;
                part(
                    &format!("bytes {}-{last}/{}", asked.from, last + 1),
                    &vec![b'x'; last + 1 - asked.from],
                )
            }),
        ),
        row(
            "beyond its end",
            Payload,
            2,
            Fails(METADATA, &["is missing"]),
            rest(|_| answer("416 Range Not Satisfiable", &[], b"")),
        ),
        row(
            "a part where the whole was asked for",
            Payload,
            1,
            Fails(
                NETWORK,
                &["status 206; expected 200", "ranges are mixed up"],
            ),
            move |_, asked| {
                let last = asked.whole.len() - 1;
                part(&format!("bytes 0-{last}/{}", last + 1), &asked.whole)
            },
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_between_answers_in_the_servers_place() {
    let mut rows = Vec::new();
    let portal = &["<!DOCTYPE html>", "captive portal"];
    for file in [Timestamp, Manifest, Payload] {
        rows.push(row(
            "a captive portal's page",
            file,
            1,
            Fails(NETWORK, portal),
            |_, _| answer("200 OK", &["content-type: text/html"], PAGE),
        ));
        let told = &[
            "is sent compressed (gzip); expected as it is",
            "switch compression off",
        ];
        rows.push(row(
            "compressed",
            file,
            1,
            Fails(NETWORK, told),
            |_, asked| answer("200 OK", &["content-encoding: gzip"], &asked.whole),
        ));
    }
    holds(rows).await;
}

fn chunked(asked: &Asked, steps: &[Step]) -> Vec<Step> {
    let head = Step::Send(asked.head(&["transfer-encoding: chunked"]));
    [&[head], steps].concat()
}

fn chunk(bytes: &[u8]) -> Step {
    Step::Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_and_broken_chunks() {
    let mut rows = Vec::new();
    for file in [Timestamp, Payload] {
        rows.push(row("in chunks", file, 1, Installed, |_, asked| {
            chunked(
                asked,
                &[chunk(&asked.whole), send(b"0\r\n\r\n"), Step::Next],
            )
        }));
        let again = if file == Payload { 6 } else { 2 };
        let told = &["broke off after", "goes on where this one stopped"];
        rows.push(row(
            "a chunk without a length",
            file,
            again,
            Fails(NETWORK, told),
            |_, asked| chunked(asked, &[send(b"xyz\r\nabc\r\n")]),
        ));
        rows.push(row(
            "a chunk of another length",
            file,
            again,
            Fails(NETWORK, told),
            |_, asked| chunked(asked, &[send(b"3\r\n"), send(&asked.whole[..100])]),
        ));
        rows.push(row(
            "a chunk beyond all measure",
            file,
            again,
            Fails(NETWORK, told),
            |_, asked| chunked(asked, &[send(b"fffffffffffffffff\r\n{")]),
        ));
        rows.push(row(
            "no last chunk",
            file,
            2,
            Installed,
            |number, asked| match number {
                0 => chunked(asked, &[chunk(&asked.whole[..100])]),
                _ => asked.good(),
            },
        ));
        rows.push(row(
            "a head without end",
            file,
            2,
            Fails(NETWORK, &["no answer from"]),
            |_, _| {
                vec![
                    send(b"HTTP/1.1 200 OK\r\n"),
                    Step::Flood(b"x-filler: filler filler filler\r\n".repeat(100)),
                ]
            },
        ));
    }
    let told = &[
        "is longer than the",
        "that it may have",
        "it sends more than was signed",
    ];
    rows.push(row(
        "endless",
        Timestamp,
        1,
        Fails(METADATA, told),
        |_, _| {
            vec![
                send(b"HTTP/1.1 200 OK\r\n\r\n"),
                Step::Flood(vec![b'{'; 10_000]),
            ]
        },
    ));
    rows.push(row(
        "endless, in chunks",
        Timestamp,
        1,
        Fails(METADATA, told),
        |_, asked| chunked(asked, &[Step::Flood(b"8\r\n{{{{{{{{\r\n".repeat(1000))]),
    ));
    rows.push(row(
        "endless zeros",
        Payload,
        1,
        Fails(NETWORK, &["expected a payload"]),
        |_, _| {
            vec![
                send(b"HTTP/1.1 200 OK\r\n\r\n"),
                Step::Flood(vec![0; 10_000]),
            ]
        },
    ));
    rows.push(row(
        "as it should be, and then endless",
        Payload,
        1,
        Fails(METADATA, told),
        |_, asked| {
            let head = asked.head(&[]);
            vec![
                Step::Send([&head[..], &asked.whole].concat()),
                Step::Flood(vec![0; 10_000]),
            ]
        },
    ));
    holds(rows).await;
}
