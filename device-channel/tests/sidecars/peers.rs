//! Others' programs at the other end: `tests/peers` runs these.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::world::{SOON, Sidecar, World, echo, talk};

/// OpenSSL as a client: what it heard, and what it said about the connection.
fn s_client(world: &World, at: &str, identity: &str, more: &[&str]) -> (bool, String) {
    let bundle = world.path(identity);
    let mut child = Command::new("timeout")
        .args([
            "10", "openssl", "s_client", "-connect", at, "-quiet", "-state",
        ])
        .args(["-alpn", "device-channel/1", "-verify_return_error"])
        .arg("-CAfile")
        .arg(world.anchor())
        .args(["-verify", "3", "-cert"])
        .arg(&bundle)
        .arg("-cert_chain")
        .arg(world.path("pki/device-issuing-ca/ca.pem"))
        .arg("-key")
        .arg(&bundle)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"from openssl").ok();
    thread::sleep(Duration::from_secs(1));
    drop(input);
    let output = child.wait_with_output().unwrap();
    let heard = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (heard.contains("\u{1}from openssl"), heard + &said)
}

#[test]
#[ignore = "needs openssl: tests/peers has it"]
fn openssl_opens_a_channel_as_a_device_and_as_nobody_else() {
    let world = World::new();
    let listen = world.listen(&world.device("B2"), "urn:example:device:A*", &echo(), &[]);
    world.device("A1");
    world.server("api");
    world.operator("Olga");
    let (heard, said) = s_client(&world, &listen.at(), "A1.pem", &[]);
    assert!(heard, "{said}\n{}", listen.said());
    assert!(
        !said.contains("SESSION TICKET") && !said.contains("session ticket"),
        "{said}"
    );
    for (identity, more) in [
        ("api.pem", &[][..]),
        ("Olga.pem", &[]),
        ("A1.pem", &["-tls1_2"]),
        ("A1.pem", &["-alpn", "http/1.1"]),
    ] {
        let (heard, said) = s_client(&world, &listen.at(), identity, more);
        assert!(!heard, "{identity} {more:?}: {said}");
    }
    world.revoke("A1");
    listen.wait_for_metric("device_channel_revoked_certificates 1");
    let (heard, said) = s_client(&world, &listen.at(), "A1.pem", &[]);
    assert!(!heard && said.contains("certificate revoked"), "{said}");
}

#[test]
#[ignore = "needs openssl: tests/peers has it"]
fn openssl_answers_as_the_peer() {
    let world = World::new();
    let bundle = world.device("B2");
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let mut server = Command::new("timeout")
        .args([
            "20", "openssl", "s_server", "-accept", &port, "-tls1_3", "-quiet",
        ])
        .args([
            "-alpn",
            "device-channel/1",
            "-Verify",
            "3",
            "-verify_return_error",
        ])
        .arg("-CAfile")
        .arg(world.anchor())
        .arg("-cert")
        .arg(&bundle)
        .arg("-cert_chain")
        .arg(world.path("pki/device-issuing-ca/ca.pem"))
        .arg("-key")
        .arg(&bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    let connect = world.connect(&world.device("A1"), "B2", &format!("127.0.0.1:{port}"), &[]);
    let mut stream = connect.to();
    let mut input = server.stdin.take().unwrap();
    thread::sleep(Duration::from_millis(500));
    input.write_all(b"\x01from openssl").unwrap();
    input.flush().unwrap();
    let mut heard = [0; 12];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"from openssl");
    stream.write_all(b"to openssl").unwrap();
    let mut out = server.stdout.take().unwrap();
    let mut heard = [0; 10];
    out.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"to openssl");
    drop(input);
    // It waits for more connections.
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Opens a socket as systemd does, hands it over as descriptor 3, and becomes the program.
const ACTIVATE: &str = r#"
import os, socket, sys
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen()
print(listening.getsockname()[1], flush=True)
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
#[ignore = "needs python3: tests/peers has it"]
fn systemd_opens_the_socket() {
    let world = World::new();
    let listen = world.listen(&world.device("B2"), "*", &echo(), &[]);
    let mut command = Command::new("python3");
    command.args(["-c", ACTIVATE, env!("CARGO_BIN_EXE_device-channel")]);
    command.args([
        "connect",
        "--peer",
        "urn:example:device:B2",
        "--to",
        &listen.at(),
    ]);
    command.args(world.common(&world.device("A1")));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command.process_group(0);
    let connect = Sidecar::spawned(command);
    connect.wait_for("ready");
    let mut stream = connect.to();
    stream.set_read_timeout(Some(SOON)).unwrap();
    talk(&mut stream);
}
