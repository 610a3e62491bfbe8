//! Revocation: whose certificate is on a list does not count; lists cannot be forged, put back or taken away.

use device_pki::{SerialNumber, Validity};
use tests::simulator::{Pki, Simulator, TestClient, crl_path};

use crate::support::{
    ONLINE, bound, now, outrun, plan, reasons, recover, still_follows, verdict, world,
};

/// The serial numbers of a role's first keyholder and of who certified him.
fn serials(honest: &mut Simulator, role: &str) -> Vec<SerialNumber> {
    let key = honest.signers(role)[0].clone();
    let delegator = if role == "lamp" { "targets" } else { "root" };
    let chain = honest.chain(delegator, &key);
    chain.iter().map(|c| c.serial().clone()).collect()
}

#[test]
fn a_revoked_leaf() {
    for role in ["root", "targets", "lamp"] {
        let (mut honest, device) = world(bound());
        let pki = honest.pki().unwrap().clone();
        let leaf = serials(&mut honest, role)[0].clone();
        honest.add_crl(pki.firmware(), 2, &[leaf]).publish();
        for _ in 0..2 {
            let why = reasons(device.find(&mut honest, "lamp/fw"));
            assert_eq!(why.matches("was revoked on 2030-01-01").count(), 1, "{why}");
            let end = verdict(device.find(&mut honest, "lamp/fw"));
            assert_eq!(end, format!("{role}: threshold 1/2"));
        }
        let revoked = honest.signers(role)[0].clone();
        honest.remove_key(role, &revoked);
        honest.add_key(role);
        still_follows(&device, &mut honest);
    }
}

#[test]
fn a_revoked_issuer() {
    let (mut honest, device) = world(bound());
    let pki = honest.pki().unwrap().clone();
    let issuer = serials(&mut honest, "root")[1].clone();
    honest.add_crl(pki.root(), 2, &[issuer]).publish();
    let end = verdict(device.refresh(&mut honest));
    assert_eq!(end, "root: threshold 0/2");
    let why = reasons(device.refresh(&mut honest));
    assert_eq!(why.matches("Firmware-Signing CA").count(), 2, "{why}");
    assert_eq!(why.matches("was revoked on 2030-01-01").count(), 2, "{why}");
}

/// A list revokes what its own CA has issued: the same number at another CA is another certificate.
#[test]
fn a_list_of_another_ca() {
    let (mut honest, device) = world(bound());
    let pki = honest.pki().unwrap().clone();
    let both = serials(&mut honest, "root");
    // The leaf's number on the root CA's list, the CA's number on the firmware-signing CA's.
    honest.add_crl(pki.root(), 2, &both[..1]);
    honest.add_crl(pki.firmware(), 2, &both[1..]).publish();
    still_follows(&device, &mut honest);
}

/// The walk goes over roots that somebody signed who has been revoked since (or whose certificate has run out); only what it leads
/// to has to hold.
#[test]
fn a_walk_over_roots_of_somebody_who_left() {
    let (mut honest, mut device) = world(bound());
    let pki = honest.pki().unwrap().clone();
    let leaf = serials(&mut honest, "root")[0].clone();
    let left = honest.signers("root")[0].clone();
    honest.publish_root();
    honest.remove_key("root", &left);
    honest.add_key("root");
    honest.publish_root().publish_root();
    honest.add_crl(pki.firmware(), 2, &[leaf]).publish();
    // This device has the list already, from a friend; it is at root 2.
    device.refresh(&mut honest).unwrap();
    let fresh = TestClient::new(&mut honest);
    std::fs::create_dir_all(fresh.folder().join("crls")).unwrap();
    for entry in std::fs::read_dir(device.folder().join("crls")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(
            &path,
            fresh.folder().join("crls").join(path.file_name().unwrap()),
        )
        .unwrap();
    }
    fresh.refresh(&mut honest).unwrap();
    // Two years later, with certificates that were renewed.
    let later = now().plus_seconds(2 * 365 * 86_400);
    let expires = later.plus_seconds(10 * 86_400);
    for (delegator, role) in [
        ("root", "root"),
        ("root", "targets"),
        ("targets", "lamp"),
        ("targets", "router"),
    ] {
        for key in honest.signers(role) {
            let validity = Validity::days(later.plus_seconds(-86_400), 300);
            let chain = pki.certify_for(&key, &[role], validity);
            honest.set_chain(delegator, &key, chain);
        }
    }
    honest.root().edit().common.expires = expires;
    honest.timestamp().edit().common.expires = expires;
    honest.snapshot().edit().common.expires = expires;
    for role in honest.roles() {
        honest.targets(&role).edit().common.expires = expires;
    }
    honest.publish_root().publish();
    device.now = later;
    still_follows(&device, &mut honest);
    let mut slept = fresh;
    slept.now = later;
    still_follows(&slept, &mut honest);
}

/// Where the certificates of the thief's keys are revoked, his files are worth nothing even before root has rotated anything.
#[test]
fn revocation_is_the_quick_way() {
    let (mut honest, device) = world(plan().with_pki());
    let pki = honest.pki().unwrap().clone();
    let signers = honest.signers("lamp");
    let serial = honest.chain("targets", &signers[0])[0].serial().clone();
    let mut evil = honest.stolen(&["lamp", "timestamp", "snapshot"]);
    honest.add_crl(pki.firmware(), 2, &[serial]).publish();
    device.refresh(&mut honest).unwrap();
    // The list that the device has stays in force, though the thief serves the one from before.
    evil.add_target("lamp", "lamp/fw", b"evil").publish();
    evil.publish().publish();
    let end = verdict(device.download(&mut evil, "lamp/fw"));
    assert_eq!(end, "pki: rollback 2 to 1");
    // With the key of `pki` he gets further, and the list stays what it is.
    let mut evil = honest.stolen(&["lamp", "timestamp", "snapshot", "pki"]);
    evil.targets("pki").edit().targets.clear();
    outrun(&device, &mut evil);
    evil.add_target("lamp", "lamp/fw", b"evil").publish();
    let end = device.download(&mut evil, "lamp/fw");
    let why = reasons(end);
    assert!(
        why.contains("certificate of lamp-1") && why.contains("was revoked on"),
        "{why}"
    );
    // The product's people join again with another key.
    honest.remove_key("lamp", &signers[0]);
    honest.add_key("lamp");
    recover(&mut honest, &mut evil, &["pki"]);
    still_follows(&device, &mut honest);
}

/// The key of `pki`: revocation lists can be withheld; they cannot be made, nor be put back.
#[test]
fn the_key_of_the_revocation_lists() {
    let (mut honest, device) = world(plan().with_pki());
    let pki = honest.pki().unwrap().clone();
    let signers = honest.signers("router");
    let serial = honest.chain("targets", &signers[0])[0].serial().clone();
    honest.add_crl(pki.firmware(), 5, &[]).publish();
    device.refresh(&mut honest).unwrap();
    let list = crl_path(pki.firmware());
    let other = Pki::new("another", now());
    let forged = Pki::crl(other.firmware(), 9, now(), std::slice::from_ref(&serial));
    let older = Pki::crl(pki.firmware(), 4, now(), &[]);
    let misplaced = Pki::crl(pki.root(), 9, now(), &[]);
    for (bytes, expected) in [
        (forged.der(), "revocation list: refused"),
        (misplaced.der(), "revocation list: refused"),
        (b"rubbish".as_slice(), "revocation list: refused"),
        (older.der(), "revocation list: rollback 5 to 4"),
    ] {
        let mut evil = honest.stolen(&ONLINE);
        outrun(&device, &mut evil);
        evil.add_target("pki", &list, bytes).publish();
        assert_eq!(verdict(device.refresh(&mut evil)), expected);
    }
    // Withheld: what the device has stays in force.
    outrun(&device, &mut honest);
    honest.add_crl(pki.firmware(), 6, &[serial]).publish();
    let mut evil = honest.stolen(&ONLINE);
    device.refresh(&mut honest).unwrap();
    evil.targets("pki").edit().targets.clear();
    evil.publish().publish();
    let why = reasons(device.find(&mut evil, "router/fw"));
    assert!(why.contains("was revoked on"), "{why}");
    honest.remove_key("router", &signers[0]);
    honest.add_key("router");
    recover(&mut honest, &mut evil, &["pki"]);
    still_follows(&device, &mut honest);
}
