//! Odd names arrive at a server exactly as they were meant: decoded once, they are what they were.

use percent_encoding::percent_decode_str;
use updater::transport::Part;

use crate::server::{Server, answer, outcome, patient};

const NAMES: &[&str] = &[
    "plain.json",
    "a b",
    "a#b",
    "a?b=c&d",
    "100%",
    "%41",
    "%2e%2e",
    "a+b",
    "a&b;c=d,e",
    "é",
    "e\u{301}",
    "дом",
    "🐧",
    "~user",
    "-._~",
    "a:b@c",
    "[x]{y}|z",
    "\"quoted\" <tag>",
    "^`'!*()$",
    "...",
    "..a",
    "a..",
    ".hidden",
];

#[tokio::test]
async fn targets_and_metadata() {
    let server = Server::start(|_, _| answer("200 OK", &[], b"{}")).await;
    let mut http = server.http(patient());
    let mut expected = Vec::new();
    for name in NAMES {
        let target = format!("folder {name}/{name}");
        outcome(&mut http, Part::Targets, &target, 10).await;
        expected.push(format!("/targets/{target}"));
        let role = format!("1.{name}.json");
        outcome(&mut http, Part::Metadata, &role, 10).await;
        expected.push(format!("/metadata/{role}"));
    }
    let asked = server.asked();
    let decoded: Vec<String> = asked
        .iter()
        .map(|line| {
            let path = line.strip_prefix("GET ").unwrap();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
            assert!(path.bytes().all(plain), "{path}");
            percent_decode_str(path).decode_utf8().unwrap().into_owned()
        })
        .collect();
    assert_eq!(decoded, expected);
    assert_eq!(server.connections(), 1);
}

/// A role's name is one segment, whatever is in it: the server never sees another folder.
#[tokio::test]
async fn a_role_cannot_leave_its_folder() {
    let server = Server::start(|_, _| answer("200 OK", &[], b"{}")).await;
    let mut http = server.http(patient());
    for role in [
        "1.../../root.json",
        "1.a/b.json",
        "../1.root.json",
        "1./etc/passwd.json",
    ] {
        outcome(&mut http, Part::Metadata, role, 10).await;
    }
    let expected = [
        "GET /metadata/1...%2F..%2Froot.json",
        "GET /metadata/1.a%2Fb.json",
        "GET /metadata/..%2F1.root.json",
        "GET /metadata/1.%2Fetc%2Fpasswd.json",
    ];
    assert_eq!(server.asked(), expected);
}
