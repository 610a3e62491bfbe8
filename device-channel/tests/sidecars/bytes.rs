//! What goes in comes out: both ways, to the last byte, with its end.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::world::{World, echo, is_cut, nobody, program, talk};

#[test]
fn a_program_talks_to_a_program_on_another_device() {
    let world = World::new();
    let listen = world.listen(&world.device("B2"), "urn:example:device:A*", &echo(), &[]);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let mut stream = connect.to();
    talk(&mut stream);
    let line = listen.wait_for("connected");
    assert!(line.contains("peer=urn:example:device:A1"), "{line}");
    assert!(line.contains("X25519MLKEM768"), "{line}");
    drop(stream);
    let line = listen.wait_for("closed");
    assert!(line.contains("sent=4 received=4"), "{line}");
    for line in [
        "device_channel_opened_total 1",
        "device_channel_bytes_total{direction=\"to_peer\"} 4",
        "device_channel_open 0",
    ] {
        connect.wait_for_metric(line);
    }
    assert!(connect.http("/healthz").starts_with("HTTP/1.1 200 "));
    assert!(connect.http("/").starts_with("HTTP/1.1 404 "));
}

#[test]
fn one_side_may_have_said_all_while_the_other_goes_on() {
    let world = World::new();
    // Answers only when it has heard the end, and then more than any buffer on the way holds.
    let target = program(|mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        let answer: Vec<u8> = heard.iter().rev().copied().collect();
        stream.write_all(&answer).unwrap();
    });
    let target = target.to_string();
    let listen = world.listen(&world.device("B2"), "*", &target, &[]);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let mut stream = connect.to();
    let question: Vec<u8> = (0..8_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let asked = question.clone();
    let mut writer = stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&asked).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    answer.reverse();
    assert!(answer == question, "{} bytes", answer.len());
}

#[test]
fn the_side_that_was_connected_to_may_end_first() {
    let world = World::new();
    let target = program(|mut stream| {
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"and so on");
    });
    let listen = world.listen(&world.device("B2"), "*", &target.to_string(), &[]);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let mut stream = connect.to();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"hello");
    stream.write_all(b"and so on").unwrap();
    drop(stream);
    let line = listen.wait_for("closed");
    assert!(
        line.contains("received=9") && line.contains("both sides"),
        "{line}"
    );
}

#[test]
fn a_connection_that_was_cut_does_not_look_like_its_end() {
    let world = World::new();
    let mut listen = world.listen(&world.device("B2"), "*", &echo(), &[]);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let mut stream = connect.to();
    talk(&mut stream);
    listen.child.kill().unwrap();
    listen.child.wait().unwrap();
    assert!(is_cut(&mut stream), "{}", connect.said());
    connect.wait_for("closed");
}

#[test]
fn a_program_that_is_not_there_is_told_at_once() {
    let world = World::new();
    let listen = world.listen(&world.device("B2"), "*", &nobody(), &[]);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    assert!(is_cut(&mut connect.to()));
    listen.wait_for("cannot be reached");
    listen.wait_for_metric("device_channel_refused_total{reason=\"unreachable\"} 1");
    let nowhere = world.connect(&world.device("A2"), "B2", &nobody(), &[]);
    assert!(is_cut(&mut nowhere.to()));
    nowhere.wait_for("cannot be reached");
}

#[test]
fn unix_sockets_at_both_ends() {
    let world = World::new();
    let (inside, outside) = (world.path("inside.sock"), world.path("outside.sock"));
    let target = UnixListener::bind(&inside).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = target.accept().unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        stream.write_all(heard.to_uppercase().as_bytes()).unwrap();
    });
    let forward = format!("unix:{}", inside.display());
    let listen = world.listen(&world.device("B2"), "*", &forward, &[]);
    let at = format!("unix:{}", outside.display());
    // What a run that was killed has left is in nobody's way.
    drop(UnixListener::bind(&outside).unwrap());
    let mut connect = world.connect(&world.device("A1"), "B2", &listen.at(), &["--listen", &at]);
    let mut stream = UnixStream::connect(&outside).unwrap();
    stream.write_all(b"quiet").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "QUIET");
    connect.signal("-TERM");
    assert_eq!(connect.ended(), 0);
    assert!(!outside.exists());
}
