//! A sidecar that runs takes over renewals and lists, and lets nobody go on who may not.

use std::fs;

use crate::raw::{ALPN, knock, shown};
use crate::world::{World, days_ago, echo, is_cut, replace, talk};

#[test]
fn a_device_that_is_revoked_is_cut_off_while_it_talks() {
    let world = World::new();
    let listen = world.listen(&world.device("B2"), "*", &echo(), &[]);
    let bad = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let good = world.connect(&world.device("A2"), "B2", &listen.at(), &[]);
    let (mut bads, mut goods) = (bad.to(), good.to());
    talk(&mut bads);
    talk(&mut goods);
    world.revoke("A1");
    assert!(is_cut(&mut bads));
    let line = listen.wait_for("closed");
    assert!(
        line.contains("device:A1") && line.contains("evoked"),
        "{line}"
    );
    talk(&mut goods);
    assert!(is_cut(&mut bad.to()), "nor does it come back");
    bad.wait_for("our certificate is revoked");
    listen.wait_for_metric("device_channel_closed_by_us_total 1");
    listen.wait_for_metric("device_channel_revoked_certificates 1");
}

#[test]
fn the_side_that_connects_cuts_off_a_revoked_peer_as_well() {
    let world = World::new();
    let before = world.path("before");
    fs::create_dir(&before).unwrap();
    // The revoked device itself does not look at newer lists.
    let mut own = world.common(&world.device("B2"));
    own.truncate(4);
    let target = echo();
    let args = [
        "listen",
        "--accept",
        "*",
        "--forward",
        &target,
        "--listen",
        "127.0.0.1:0",
    ];
    let listen = crate::world::Sidecar::start(&args, &own);
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    let mut stream = connect.to();
    talk(&mut stream);
    world.revoke("B2");
    assert!(is_cut(&mut stream));
    assert!(is_cut(&mut connect.to()));
    connect.wait_for("refused");
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let world = World::since(200);
    let (own, next) = (world.device_at("B2", days_ago(100)), world.path("next.pem"));
    fs::copy(&own, &next).unwrap();
    let listen = world.listen(&own, "*", &echo(), &[]);
    listen.wait_for("our own certificate has expired");
    assert!(listen.http("/healthz").starts_with("HTTP/1.1 503 "));
    let connect = world.connect(&world.device("A1"), "B2", &listen.at(), &[]);
    assert!(is_cut(&mut connect.to()), "it has expired");
    listen.wait_for("our certificate has expired");
    // Damage is not taken over.
    fs::write(&own, "no certificate").unwrap();
    listen.signal("-HUP");
    listen.wait_for("reload failed");
    // Renewed, it has another key.
    let renewed = world.device("B2");
    replace(&own, &renewed);
    listen.signal("-HUP");
    listen.wait_for("certificate and lists reloaded");
    let mut stream = connect.to();
    talk(&mut stream);
    assert!(listen.http("/healthz").starts_with("HTTP/1.1 200 "));
    listen.wait_for_metric("device_channel_reloads_total{result=\"failed\"} 1");
}

#[test]
fn a_list_that_is_set_back_or_gone_clears_nobody() {
    let world = World::new();
    let a = world.device("A1");
    let folder = world.path("pki/crl");
    let old = world.path("old");
    fs::create_dir(&old).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, old.join(path.file_name().unwrap())).unwrap();
    }
    world.revoke("A1");
    let listen = world.listen(&world.device("B2"), "*", &echo(), &[]);
    assert!(knock(&listen.at(), Some(shown(&a)), &[ALPN]).is_err());
    for entry in fs::read_dir(&old).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    listen.signal("-HUP");
    listen.wait_for("which stays");
    assert!(knock(&listen.at(), Some(shown(&a)), &[ALPN]).is_err());
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    listen.signal("-HUP");
    listen.wait_for_metric("device_channel_reloads_total{result=\"done\"} 2");
    assert!(knock(&listen.at(), Some(shown(&a)), &[ALPN]).is_err());
}
