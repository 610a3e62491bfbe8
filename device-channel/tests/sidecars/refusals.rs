//! Who does not get in, what the log says about it, and what a sidecar does not start with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::raw::{ALPN, Shown, answer, knock, shown};
use crate::world::{Sidecar, World, days_ago, echo, is_cut, talk};

#[test]
fn only_devices_that_are_wanted_open_a_channel() {
    let world = World::since(200);
    let stranger = World::new();
    let listen = world.listen(&world.device("B2"), "urn:example:device:A*", &echo(), &[]);
    let at = listen.at();
    assert_eq!(
        knock(&at, Some(shown(&world.device("A1"))), &[ALPN]).unwrap(),
        [1]
    );
    world.device("A9");
    world.revoke("A9");
    listen.signal("-HUP");
    listen.wait_for_metric("device_channel_revoked_certificates 1");
    let no_chain = |bundle| Shown {
        chain: shown(bundle).chain.into_iter().take(1).collect(),
        ..shown(bundle)
    };
    let long = |bundle| {
        let mut shown = shown(bundle);
        let ca = shown.chain[1].clone();
        shown.chain.extend(std::iter::repeat_n(ca, 60));
        shown
    };
    for (case, who, reason) in [
        (
            "another device",
            shown(&world.device("C3")),
            "--accept or --peer names",
        ),
        (
            "an API server",
            shown(&world.server("api")),
            "clientAuth and serverAuth",
        ),
        (
            "an operator",
            shown(&world.operator("Olga")),
            "clientAuth and serverAuth",
        ),
        (
            "an identity from the factory",
            shown(&world.factory("A4")),
            "clientAuth and serverAuth",
        ),
        (
            "expired",
            shown(&world.device_at("A5", days_ago(150))),
            "xpired",
        ),
        ("revoked", shown(&world.path("A9.pem")), "Revoked"),
        (
            "another company",
            shown(&stranger.device("A1")),
            "a signature on the path is wrong",
        ),
        (
            "without its CA",
            no_chain(&world.device("A6")),
            "our trust anchor",
        ),
        (
            "a chain without end",
            long(&world.device("A7")),
            "chain of more than",
        ),
    ] {
        let before = listen.said().len();
        let answered = knock(&at, Some(who), &[ALPN]);
        assert!(answered.is_err(), "{case}: {answered:?}");
        listen.wait_after(before, &["refused", reason]);
    }
    assert!(knock(&at, None, &[ALPN]).is_err(), "nobody");
    let protocols: [&[&[u8]]; 2] = [&[], &[b"h2"]];
    for alpn in protocols {
        let answered = knock(&at, Some(shown(&world.device("A1"))), alpn);
        assert!(answered.is_err(), "another protocol: {alpn:?}");
    }
    let mut plain = TcpStream::connect(&at).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut heard = Vec::new();
    // It ends; with which alert does not matter.
    plain.read_to_end(&mut heard).ok();
    assert!(!heard.starts_with(b"HTTP"));
    assert_eq!(
        knock(&at, Some(shown(&world.device("A1"))), &[ALPN]).unwrap(),
        [1]
    );
    listen.wait_for_metric("device_channel_refused_total{reason=\"handshake\"} 13");
}

#[test]
fn the_log_names_who_was_refused() {
    let world = World::new();
    let listen = world.listen(&world.device("B2"), "urn:example:device:A1", &echo(), &[]);
    assert!(knock(&listen.at(), Some(shown(&world.device("C3"))), &[ALPN]).is_err());
    let line = listen.wait_for("refused");
    assert!(line.contains("urn:example:device:C3"), "{line}");
}

#[test]
fn nobody_answers_in_the_place_of_the_peer() {
    let world = World::new();
    let own = world.device("A1");
    for (case, other) in [
        ("another device", world.device("B3")),
        ("the API server", world.server("api")),
        ("an operator", world.operator("Olga")),
        ("another company", World::new().device("B2")),
    ] {
        let connect = world.connect(&own, "B2", &answer(shown(&other), ALPN), &[]);
        assert!(is_cut(&mut connect.to()), "{case}");
        connect.wait_for("refused");
    }
    let other = answer(shown(&world.device("B2")), b"h2");
    let connect = world.connect(&own, "B2", &other, &[]);
    assert!(is_cut(&mut connect.to()), "another protocol");
    let right = world.connect(&own, "B2", &answer(shown(&world.path("B2.pem")), ALPN), &[]);
    let mut stream = right.to();
    right.wait_for("connected");
    stream.write_all(b"x").unwrap();
}

#[test]
fn how_old_a_list_may_be_is_said() {
    let world = World::since(100);
    let (a, b) = (world.device("A1"), world.device("B2"));
    // Overdue by ten days: they were good for thirty.
    world.lists_of(days_ago(40));
    let with = |more: &[&str]| {
        let listen = world.listen(&b, "*", &echo(), more);
        knock(&listen.at(), Some(shown(&a)), &[ALPN])
    };
    assert!(with(&[]).is_ok());
    assert!(with(&["--max-overdue", "11"]).is_ok());
    let refused = with(&["--max-overdue", "9"]);
    assert!(refused.is_err(), "{refused:?}");
    world.forge_lists();
    assert!(with(&[]).is_ok(), "a forged list clears and revokes nobody");
    assert!(with(&["--max-overdue", "10000"]).is_err(), "and is none");
    world.remove_lists();
    assert!(with(&["--max-overdue", "10000"]).is_err());
    assert!(with(&[]).is_ok());
}

#[test]
fn limits_hold() {
    let world = World::new();
    let more = [
        "--max-per-peer",
        "1",
        "--handshake-time",
        "1",
        "--idle-time",
        "2",
    ];
    let listen = world.listen(&world.device("B2"), "*", &echo(), &more);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    // Somebody who says nothing is not waited for.
    let mut silent = TcpStream::connect(listen.at()).unwrap();
    let mut first = connect.to();
    talk(&mut first);
    assert!(is_cut(&mut connect.to()));
    listen.wait_for("--max-per-peer");
    let other = world.connect(&world.device("A2"), "B2", &listen.at(), &[]);
    talk(&mut other.to());
    silent
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert!(matches!(silent.read(&mut [0; 1]), Ok(0) | Err(_)));
    listen.wait_for("takes too long");
    assert!(is_cut(&mut first), "it was idle");
    listen.wait_for("nothing has moved for too long");
    listen.wait_for_metric("device_channel_refused_total{reason=\"limit\"} 1");
}

#[test]
fn as_many_channels_as_are_allowed() {
    let world = World::new();
    let listen = world.listen(
        &world.device("B2"),
        "*",
        &echo(),
        &["--max-connections", "1"],
    );
    let first = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let second = world.connect(&world.device("A2"), "B2", &listen.at(), &[]);
    let mut stream = first.to();
    talk(&mut stream);
    assert!(is_cut(&mut second.to()));
    listen.wait_for("--max-connections");
    drop(stream);
    listen.wait_for("closed");
    listen.wait_for_metric("device_channel_open 0");
    talk(&mut second.to());
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let world = World::new();
    let device = world.device("A1");
    let listen = ["listen", "--accept", "*", "--listen", "127.0.0.1:0"];
    let forward = ["--forward", "127.0.0.1:1"];
    let connect = [
        "connect",
        "--peer",
        "urn:example:device:B2",
        "--to",
        "127.0.0.1:1",
    ];
    let anywhere = ["--plaintext-beyond-this-host"];
    for (case, args, identity, code, said) in [
        (
            "plaintext",
            [&listen[..], &["--forward", "192.0.2.1:1"]].concat(),
            &device,
            8,
            "not on this host",
        ),
        (
            "a name",
            [&listen[..], &["--forward", "broker:1"]].concat(),
            &device,
            8,
            "not on this host",
        ),
        (
            "from anywhere",
            [&connect[..], &["--listen", "0.0.0.0:0"]].concat(),
            &device,
            8,
            "not on this host",
        ),
        (
            "metrics",
            [&listen[..], &forward, &["--metrics", "0.0.0.0:0"]].concat(),
            &device,
            8,
            "address of this host",
        ),
        (
            "nobody",
            vec!["listen", "--forward", "127.0.0.1:1"],
            &device,
            8,
            "--accept",
        ),
        (
            "no URN",
            [&["listen", "--accept", "router"][..], &forward].concat(),
            &device,
            8,
            "urn:example:device:SN-0001",
        ),
        (
            "usage",
            vec!["listen", "--forward", "here"],
            &device,
            2,
            "HOST:PORT",
        ),
        (
            "taken",
            [&connect[..], &["--listen", &echo()]].concat(),
            &device,
            3,
            "another program",
        ),
        (
            "a server",
            [&listen[..], &forward].concat(),
            &world.server("api"),
            8,
            "our own certificate",
        ),
        (
            "no file",
            [&listen[..], &forward].concat(),
            &world.path("none.pem"),
            8,
            "updater enrol",
        ),
        (
            "not here",
            [&listen[..], &["--forward", "h:1"], &anywhere].concat(),
            &world.path("none.pem"),
            8,
            "none.pem",
        ),
    ] {
        let mut command = Sidecar::command();
        command.args(&args).args(world.common(identity));
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{case}: {error}");
        assert!(error.contains(said), "{case}: {error}");
    }
}
