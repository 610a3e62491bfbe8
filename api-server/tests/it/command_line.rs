//! The program itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::world::prepare;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_api-server"))
}

#[test]
fn serves_until_it_is_told_to_stop_and_prints_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let config = "listen = \"127.0.0.1:0\"\nrepository = \"repository\"\ndata = \"data\"\nanchor = \"pki/trust-anchor.pem\"\n\
                  certificate = \"pki/servers/api/chain.pem\"\nkey = \"pki/servers/api/key.pem\"\ncrls = [\"pki/crl\"]\n";
    let path = folder.path().join("server.toml");
    std::fs::write(&path, config).unwrap();
    let mut serving = program()
        .args(["serve", "--config", path.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(serving.stderr.take().unwrap()).lines();
    let listening = lines
        .map_while(Result::ok)
        .find(|line| line.contains("listening"));
    assert!(listening.is_some(), "it never listened");
    let pid = serving.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(serving.wait().unwrap().success());

    let data = folder.path().join("data");
    let devices = program()
        .args(["devices", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(devices.status.success());
    assert!(
        String::from_utf8(devices.stdout)
            .unwrap()
            .starts_with("DEVICE")
    );
    let json = program()
        .args(["devices", "--json", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(json.status.success() && json.stdout.is_empty());
}

#[test]
fn says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .args(["devices", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(8));
    let output = program()
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(8));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("Error: --repository is not usable"),
        "{said}"
    );
    assert_eq!(
        program().arg("nonsense").output().unwrap().status.code(),
        Some(2)
    );
}
