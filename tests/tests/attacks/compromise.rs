//! Stolen keys: what each thief of `docs/THREAT_MODEL.md`, "Who steals what", can reach as far as metadata goes, what he cannot,
//! and the way back.

use device_pki::{CaKind, KeyAlgorithm, KeyPair, Validity};
use metadata_schema::name::Version;
use tests::simulator::{Simulator, TestClient};
use updater::trust::Trust;

use crate::support::{
    ONLINE, START, content, now, plan, reasons, recover, still_follows, trusted, verdict, world,
};

/// A certificate for a thief's own key, by a CA that he has stolen or made with a stolen one.
fn certified(
    honest: &Simulator,
    name: &str,
    roles: &[&str],
    by_root: bool,
) -> (tests::simulator::Key, Vec<String>) {
    let pki = honest.pki().unwrap();
    let key = honest.key(name);
    if !by_root {
        return (key.clone(), pki.certify(&key, roles));
    }
    let ca = pki.with_entropy(|entropy| {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy).unwrap();
        let validity = Validity::days(pki.start(), 300);
        let kind = CaKind::FirmwareSigning;
        pki.root()
            .subordinate(kind, key, validity, entropy)
            .unwrap()
    });
    let leaf = pki.rogue(&ca, &key, roles, |_| {});
    (key, vec![leaf.pem(), ca.certificate().pem()])
}

/// Root CA, or firmware-signing CA: certificates at will, and no word about what TUF authorises. Even with the online keys.
#[test]
fn a_ca_key_pushes_nothing_to_devices_that_are_provisioned() {
    for by_root in [true, false] {
        for role in ["root", "targets", "lamp"] {
            let (mut honest, device) = world(plan().with_pki());
            let thieves =
                ["mallory", "mordred"].map(|name| certified(&honest, name, &[role], by_root));
            let mut evil = honest.stolen(&ONLINE);
            if role == "root" {
                // A root that authorises the thieves, with good certificates; no keyholder has signed it.
                for (key, chain) in &thieves {
                    evil.authorise("root", role, key);
                    evil.set_chain("root", key, chain.clone());
                    evil.signers_mut(role).push(key.clone());
                }
                evil.publish_root();
            } else {
                *evil.signers_mut(role) = thieves.map(|(key, _)| key).to_vec();
                evil.add_target(role, "lamp/fw", b"evil").publish();
            }
            let end = verdict(device.download(&mut evil, "lamp/fw"));
            assert_eq!(end, format!("{role}: threshold 0/2"), "{by_root}");
            recover(&mut honest, &mut evil, &[]);
            assert_eq!(content(&device, &mut honest, "lamp/fw"), "lamp 2");
            still_follows(&device, &mut honest);
        }
    }
}

/// The way back from a stolen firmware-signing CA: the root CA revokes it, a new one certifies the same people's keys, and a new
/// root and new targets carry the new certificates.
#[test]
fn a_new_firmware_signing_ca() {
    let (mut honest, device) = world(plan().with_pki());
    let pki = honest.pki().unwrap().clone();
    let stolen = pki.firmware().certificate().serial().clone();
    honest.add_crl(pki.root(), 2, &[stolen]);
    // Revoked before anything is renewed: nothing is believed any more, and nothing is lost.
    let mut early = honest.clone();
    early.publish();
    let end = device.refresh(&mut early);
    let why = reasons(end);
    assert!(
        why.contains("Firmware-Signing CA") && why.contains("was revoked on"),
        "{why}"
    );
    let ca = pki.with_entropy(|entropy| {
        let key = KeyPair::generate(KeyAlgorithm::Ed25519, entropy).unwrap();
        let kind = CaKind::FirmwareSigning;
        let validity = Validity::days(pki.start(), 3000);
        pki.root()
            .subordinate(kind, key, validity, entropy)
            .unwrap()
    });
    for (delegator, role) in [
        ("root", "root"),
        ("root", "targets"),
        ("targets", "lamp"),
        ("targets", "router"),
    ] {
        for key in honest.signers(role) {
            let leaf = pki.rogue(&ca, &key, &[role], |_| {});
            honest.set_chain(delegator, &key, vec![leaf.pem(), ca.certificate().pem()]);
        }
    }
    honest.publish_root().publish();
    honest.publish();
    still_follows(&device, &mut honest);
    // A device from the factory, with the first root and no list, comes through as well.
    let fresh = TestClient::new(&mut honest);
    still_follows(&fresh, &mut honest);
}

/// Fewer root keys than the threshold: nothing, whatever else is stolen with them.
#[test]
fn fewer_than_a_threshold_of_root_keys() {
    for plan in [plan(), plan().with_pki()] {
        let (mut honest, device) = world(plan);
        let mut evil = honest.stolen(&["root", "timestamp", "snapshot", "pki"]);
        evil.keep_signers("root", 1).set_threshold("root", 1);
        evil.add_key("targets");
        evil.set_threshold("targets", 1);
        evil.publish_root().publish();
        assert_eq!(verdict(device.refresh(&mut evil)), "root: threshold 1/2");
        assert_eq!(trusted(&device), START);
        // The way back is to rotate; the key that was stolen is worth nothing then.
        honest.rotate("root").publish_root();
        still_follows(&device, &mut honest);
        evil.root().set_version(device.trusted()["root"]);
        evil.publish_root();
        assert_eq!(verdict(device.refresh(&mut evil)), "root: threshold 0/2");
        assert_eq!(device.trusted()["root"], 4);
    }
}

/// A threshold of root keys. By TUF alone it owns the repository; where keys are bound to the anchor it can rearrange certified
/// keys, and neither add others nor lower the device's own thresholds.
#[test]
fn a_threshold_of_root_keys() {
    let takeover = |honest: &Simulator| {
        let mut evil = honest.stolen(&["root", "timestamp", "snapshot", "pki"]);
        // Without a certificate: `authorise` would ask the CA for one.
        *evil.signers_mut("targets") = Vec::new();
        evil.root().edit().targets.key_ids.clear();
        for name in ["mallory", "mordred"] {
            let key = evil.key(name);
            evil.root()
                .edit()
                .keys
                .insert(key.public().id().clone(), key.public().clone());
            evil.root()
                .edit()
                .targets
                .key_ids
                .insert(key.public().id().clone());
            evil.signers_mut("targets").push(key);
        }
        evil.add_target("targets", "evil", b"evil");
        evil.publish_root()
            .publish_targets("targets")
            .publish_snapshot();
        evil
    };
    let (honest, device) = world(plan());
    assert_eq!(content(&device, &mut takeover(&honest), "evil"), "evil");

    let (honest, device) = world(plan().with_pki());
    let end = device.refresh(&mut takeover(&honest));
    let why = reasons(end);
    assert_eq!(why.matches("no certificate for key").count(), 2, "{why}");
    assert_eq!(device.trusted()["targets"], 2);

    // A threshold of one, for the root after the next: the device asks for two all the same.
    let (honest, device) = world(plan().with_pki());
    let mut evil = honest.stolen(&["root", "timestamp", "snapshot", "pki"]);
    evil.set_threshold("root", 1)
        .set_threshold("targets", 1)
        .publish_root();
    device.refresh(&mut evil).unwrap();
    evil.keep_signers("root", 1).publish_root();
    assert_eq!(verdict(device.refresh(&mut evil)), "root: threshold 1/2");
    assert_eq!(device.trusted()["root"], 3);

    // Certified keys in other places: their certificates name the role that they are for.
    let (honest, device) = world(plan().with_pki());
    let mut evil = honest.stolen(&["root", "timestamp", "snapshot", "pki"]);
    let roots = evil.signers("root");
    for key in &roots[..2] {
        let id = key.public().id().clone();
        evil.root().edit().targets.key_ids.insert(id);
        evil.signers_mut("targets").push(key.clone());
    }
    evil.add_target("targets", "evil", b"evil");
    evil.publish_root().publish();
    let end = device.refresh(&mut evil);
    let why = reasons(end);
    assert_eq!(
        why.matches("is for role root, not for targets").count(),
        2,
        "{why}"
    );
}

/// A threshold of the targets keys without the online keys: there is no way to announce what they sign.
#[test]
fn the_targets_keys_alone() {
    let (mut honest, device) = world(plan());
    let mut evil = honest.stolen(&["targets", "lamp", "router"]);
    evil.add_target("targets", "evil", b"evil").publish();
    assert_eq!(
        verdict(device.refresh(&mut evil)),
        "timestamp: threshold 0/1"
    );
    // Put under the honest timestamp and snapshot, it is not the file that those name.
    let file = evil.targets("targets").bytes();
    honest.add_target("targets", "top", b"top").publish();
    let mut mixed = honest.clone();
    mixed.replace("metadata/4.targets.json", &file);
    mixed.replace("metadata/3.targets.json", &evil.targets("lamp").bytes());
    let end = verdict(device.refresh(&mut mixed));
    assert_eq!(end, "targets: threshold 0/2");
    assert_eq!(device.trusted()["targets"], 2);
    still_follows(&device, &mut honest);
}

/// A threshold of the targets keys and the online keys ship what they like. The way back: root rotates both, and the clean release
/// comes after the thief's.
#[test]
fn the_targets_keys_and_the_online_keys() {
    for plan in [plan(), plan().with_pki()] {
        let (mut honest, device) = world(plan);
        let mut evil = honest.stolen(&["targets", "timestamp", "snapshot", "pki"]);
        evil.add_target("targets", "lamp/fw", b"evil").publish();
        assert_eq!(content(&device, &mut evil, "lamp/fw"), "evil");
        recover(&mut honest, &mut evil, &["targets"]);
        assert_eq!(content(&device, &mut honest, "lamp/fw"), "lamp 2");
        assert_eq!(
            verdict(device.refresh(&mut evil)),
            "timestamp: threshold 0/1"
        );
        still_follows(&device, &mut honest);
    }
}

/// A product's threshold, with the online keys: firmware for that product, and not a byte for another.
#[test]
fn a_products_keys() {
    for plan in [plan(), plan().with_pki()] {
        let (mut honest, device) = world(plan);
        // Without the online keys nothing is announced.
        let mut evil = honest.stolen(&["lamp"]);
        evil.add_target("lamp", "lamp/fw", b"evil").publish();
        assert_eq!(
            verdict(device.refresh(&mut evil)),
            "timestamp: threshold 0/1"
        );
        let mut evil = honest.stolen(&["lamp", "timestamp", "snapshot"]);
        evil.add_target("lamp", "lamp/fw", b"evil");
        evil.add_target("lamp", "router/fw", b"evil").publish();
        assert_eq!(content(&device, &mut evil, "lamp/fw"), "evil");
        assert_eq!(content(&device, &mut evil, "router/fw"), "router 1");
        // Targets delegates anew, root rotates the online keys.
        recover(&mut honest, &mut evil, &["lamp"]);
        assert_eq!(content(&device, &mut honest, "lamp/fw"), "lamp 2");
        still_follows(&device, &mut honest);
        // With the rotated product keys alone, the thief's old file does not come back.
        let file = evil.targets("lamp").bytes();
        honest.add_target("lamp", "lamp/more", b"more").publish();
        let mut mixed = honest.clone();
        let version = honest.targets("lamp").version();
        mixed.replace(&format!("metadata/{version}.lamp.json"), &file);
        let end = verdict(device.find(&mut mixed, "lamp/more"));
        assert_eq!(end, "lamp: threshold 0/2");
    }
}

/// The online keys: stand still until expiry, and show a device signed versions that never were together. No content.
#[test]
fn the_online_keys() {
    for plan in [plan(), plan().with_pki()] {
        // No content: not in targets, not in a product.
        for role in ["targets", "lamp"] {
            let (mut honest, device) = world(plan.clone());
            let mut forger = honest.stolen(&ONLINE);
            forger.add_target(role, "lamp/fw", b"evil").publish();
            let end = verdict(device.download(&mut forger, "lamp/fw"));
            assert_eq!(end, format!("{role}: threshold 0/2"));
            recover(&mut honest, &mut forger, &[]);
            still_follows(&device, &mut honest);
        }
        let (mut honest, mut device) = world(plan);
        let old_lamp = honest.targets("lamp").version();
        honest.add_target("lamp", "lamp/fw", b"lamp 3");
        honest
            .add_target("router", "router/fw", b"router 2")
            .publish();
        // Mixed: the new router with the old lamp.
        let mut evil = honest.stolen(&ONLINE);
        let meta = &mut evil.snapshot().edit().meta;
        meta.get_mut("lamp.json").unwrap().version = Version::new(old_lamp).unwrap();
        evil.publish_snapshot();
        assert_eq!(content(&device, &mut evil, "lamp/fw"), "lamp 2");
        assert_eq!(content(&device, &mut evil, "router/fw"), "router 2");
        // Frozen, with a timestamp that he renews; the roles' own expiry ends it.
        let end = now().plus_seconds(3650 * 86_400);
        evil.timestamp().edit().common.expires = end;
        evil.snapshot().edit().common.expires = end;
        evil.publish_snapshot();
        device.find(&mut evil, "lamp/fw").unwrap();
        device.now = now().plus_seconds(31 * 86_400);
        assert_eq!(verdict(device.refresh(&mut evil)), "root: 2 expired");
        device.now = now();
        recover(&mut honest, &mut evil, &[]);
        assert_eq!(content(&device, &mut honest, "lamp/fw"), "lamp 3");
        still_follows(&device, &mut honest);
    }
}

/// A device that goes by TUF alone would take what a bound device refuses: the tests above show the gate, not something else.
#[test]
fn without_the_gate_the_same_attack_works() {
    let (mut honest, mut device) = world(plan().with_pki());
    let mut evil = honest.stolen(&["root", "timestamp", "snapshot", "pki"]);
    evil.set_threshold("targets", 1);
    let key = evil.key("mallory");
    evil.root()
        .edit()
        .keys
        .insert(key.public().id().clone(), key.public().clone());
    evil.root()
        .edit()
        .targets
        .key_ids
        .insert(key.public().id().clone());
    evil.signers_mut("targets").push(key);
    evil.add_target("targets", "evil", b"evil");
    evil.publish_root().publish();
    assert_eq!(
        verdict(device.download(&mut evil, "evil")),
        "targets: threshold 0/2"
    );
    device.trust = Trust::Plain;
    assert_eq!(content(&device, &mut evil, "evil"), "evil");
    honest.publish();
}
