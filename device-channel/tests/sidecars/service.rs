//! As a service: configuration file, end, help.

use std::fs;
use std::os::unix::net::UnixDatagram;

use crate::world::{SOON, Sidecar, World, echo, is_cut, talk};

#[test]
fn a_configuration_file_says_the_same_as_options() {
    let world = World::new();
    world.device("B2");
    let file = world.path("channel.toml");
    let text = format!(
        "accept = ['urn:example:device:A1', 'urn:example:device:S-*']\nforward = '{}'\nlisten = '127.0.0.1:0'\n\
         anchor = 'pki/trust-anchor.pem'\nidentity = 'B2.pem'\ncrl = 'pki/crl'\nmax-per-peer = 3\n\
         plaintext-beyond-this-host = false\n",
        echo()
    );
    fs::write(&file, &text).unwrap();
    let config = ["--config".to_owned(), file.display().to_string()];
    let listen = Sidecar::start(&["listen"], &config);
    for device in ["A1", "S-7"] {
        let connect = world.connect(&world.device(device), "B2", &listen.at(), &[]);
        talk(&mut connect.to());
    }
    let narrower = Sidecar::start(&["listen", "--accept", "urn:example:device:A1"], &config);
    let connect = world.connect(&world.path("S-7.pem"), "B2", &narrower.at(), &[]);
    assert!(is_cut(&mut connect.to()), "options count more");
    connect.wait_for("does not name us");
    for (bad, said) in [
        ("acept = 'x'", "--acept"),
        ("forward = { to = 1 }", "neither a text"),
        ("config = 'other.toml'", "names no other"),
        ("listen", "expected"),
    ] {
        fs::write(&file, bad).unwrap();
        let output = Sidecar::command()
            .arg("listen")
            .args(&config)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{error}");
        assert!(error.contains(said), "{bad}: {error}");
    }
}

#[test]
fn told_to_stop_it_lets_open_channels_end() {
    let world = World::new();
    let mut listen = world.listen(&world.device("B2"), "*", &echo(), &[]);
    let at = listen.at();
    let connect = world.connect(&world.device("A1"), "B2", &at, &[]);
    let mut stream = connect.to();
    talk(&mut stream);
    listen.signal("-TERM");
    listen.wait_for("draining");
    talk(&mut stream);
    assert!(
        std::net::TcpStream::connect(&at).is_err(),
        "takes nobody in"
    );
    drop(stream);
    assert_eq!(listen.ended(), 0);
    listen.wait_for("stopped");
}

#[test]
fn channels_that_go_on_are_closed_when_their_time_is_over() {
    let world = World::new();
    for again in [false, true] {
        let time = if again { "600" } else { "1" };
        let mut listen = world.listen(&world.device("B2"), "*", &echo(), &["--drain-time", time]);
        let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
        let mut stream = connect.to();
        talk(&mut stream);
        listen.signal("-TERM");
        listen.wait_for("draining");
        if again {
            listen.signal("-TERM");
        }
        assert_eq!(listen.ended(), 0);
        assert!(is_cut(&mut stream));
    }
}

#[test]
fn the_service_manager_is_told() {
    let world = World::new();
    let path = world.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let next = || {
        let mut bytes = [0; 500];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut command = Sidecar::command();
    command.args(["listen", "--accept", "*", "--listen", "127.0.0.1:0"]);
    command.args(["--forward", &echo()]);
    command.args(world.common(&world.device("B2")));
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let mut listen = Sidecar::spawned(command);
    let status = next();
    assert!(
        status.starts_with("STATUS=listening on 127.0.0.1:"),
        "{status}"
    );
    assert_eq!(next(), "READY=1");
    assert_eq!([next(), next()], ["WATCHDOG=1", "WATCHDOG=1"]);
    listen.signal("-TERM");
    while next() == "WATCHDOG=1" {}
    assert_eq!(listen.ended(), 0);
}

#[test]
fn the_help_teaches() {
    for (args, words) in [
        (vec!["--help"], vec!["updater", "SIGHUP", "Exit codes"]),
        (
            vec!["listen", "--help"],
            vec!["--accept", "pattern", "--max-overdue"],
        ),
        (
            vec!["connect", "--help"],
            vec!["--peer", "no other may answer"],
        ),
    ] {
        let output = Sidecar::command().args(&args).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        for word in words {
            assert!(help.contains(word), "{args:?} {word}: {help}");
        }
        assert!(
            help.lines().all(|line| line.chars().count() <= 132),
            "{help}"
        );
    }
}
