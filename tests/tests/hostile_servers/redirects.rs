//! Redirects: which are followed, how far, and what of the request goes along.

use updater::transport::Part;

use crate::server::{Server, Step, answer, outcome, patient, streamed};

const GOOD: &[u8] = b"{\"signed\": {}}";

fn to(location: &str) -> Vec<Step> {
    answer(
        "302 Found",
        &[&format!("location: {location}")],
        b"elsewhere",
    )
}

#[tokio::test]
async fn which_are_followed() {
    // The Location of metadata/a, what a fetch of it ends in, and the requests it takes.
    let cases = [
        ("/metadata/b", "{\"signed\"", 2),
        ("b", "{\"signed\"", 2),
        (
            "//127.0.0.1:1/b",
            "metadata has to come from the server that is configured",
            1,
        ),
        ("/metadata/a", "more than 3 redirects in a row", 4),
        (
            "http://127.0.0.1/metadata/b",
            "only https may follow https",
            1,
        ),
        ("https://user:secret@127.0.0.1/b", "it has a user's name", 1),
        (
            "https://elsewhere.example/b",
            "metadata has to come from the server that is configured",
            1,
        ),
        ("", "it does not say whereto", 1),
        ("https://", "is not followed", 1),
        ("javascript:alert(1)", "only https may follow https", 1),
    ];
    for (location, expected, requests) in cases {
        let script = move |_, head: &str| match head.starts_with("GET /metadata/a ") {
            true => to(location),
            false => answer("200 OK", &[], GOOD),
        };
        let server = Server::start(script).await;
        let found = outcome(&mut server.http(patient()), Part::Metadata, "a", 1000).await;
        assert!(found.contains(expected), "{location}: {found}");
        assert!(!found.contains("secret"), "{found}");
        assert_eq!(server.heads().len(), requests, "{location}");
        assert_eq!(server.connections(), 1, "{location}");
    }
}

#[tokio::test]
async fn each_kind_is_followed() {
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let script = move |number, _: &str| match number {
            0 => answer(status, &["location: b"], b""),
            _ => answer("200 OK", &[], GOOD),
        };
        let server = Server::start(script).await;
        let found = outcome(&mut server.http(patient()), Part::Metadata, "a", 1000).await;
        assert_eq!(found.as_bytes(), GOOD, "{status}");
        assert_eq!(
            server.asked(),
            ["GET /metadata/a", "GET /metadata/b"],
            "{status}"
        );
    }
    let server = Server::start(|_, _| answer("300 Choices", &["location: b"], b"")).await;
    let found = outcome(&mut server.http(patient()), Part::Metadata, "a", 1000).await;
    assert!(found.contains("status 300"), "{found}");
}

/// A target may stand on another server of the same PKI, and its range is asked for there.
#[tokio::test]
async fn a_target_may_be_elsewhere() {
    let script = |_, _: &str| answer("206 Partial", &["content-range: bytes 4-7/8"], b"4567");
    let elsewhere = Server::start(script).await;
    let location = format!("{}/large/payload", elsewhere.base());
    let server = Server::start(move |_, _| to(&location)).await;
    let found = streamed(&mut server.http(patient()), 4, 8).await;
    assert_eq!(found, ("whole".to_owned(), b"4567".to_vec()));
    assert_eq!(elsewhere.asked(), ["GET /large/payload"]);
    assert!(elsewhere.heads()[0].contains("range: bytes=4-\r\n"));
}

/// A redirect to what is broken for a moment: each hop is asked again by itself.
#[tokio::test]
async fn a_hop_may_fail_for_a_moment() {
    let script = |number, _: &str| match number {
        0 => to("b"),
        1 => answer("503 Busy", &[], b""),
        _ => answer("200 OK", &[], GOOD),
    };
    let server = Server::start(script).await;
    let found = outcome(&mut server.http(patient()), Part::Metadata, "a", 1000).await;
    assert_eq!(found.as_bytes(), GOOD);
    assert_eq!(
        server.asked(),
        ["GET /metadata/a", "GET /metadata/b", "GET /metadata/b"]
    );
}
