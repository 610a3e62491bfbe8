//! An algorithm falls, and whoever can forge its signatures has every key of its family. A device that insists on another family
//! beside it is not taken in, and a repository that is signed with both goes on.

use device_pki::{Roles, Thresholds};
use metadata_schema::key::Family;
use tests::simulator::{Key, KeyKind, Simulator, TestClient};
use updater::trust::Trust;

use crate::support::plan;

/// Root and targets are signed by two people with Ed25519, and one with ML-DSA; the device asks for one of each.
fn hybrid() -> (Simulator, TestClient) {
    let mut repository = Simulator::new(plan().with_pki());
    for role in ["root", "targets"] {
        repository.add_key_of(KeyKind::MlDsa65, role);
    }
    repository.publish_root().publish();
    let mut device = TestClient::new(&mut repository);
    device.root = repository.root().of_version(2).unwrap().to_vec();
    let Trust::Pki { anchor, .. } = device.trust else {
        panic!("the plan has certificates")
    };
    let both = |thresholds: Thresholds, roles: &Roles| {
        thresholds
            .requiring(roles, Family::Ed25519, 1)
            .requiring(roles, Family::MlDsa, 1)
    };
    let thresholds = Thresholds::new(2, 2, 1);
    device.trust = Trust::Pki {
        anchor,
        thresholds: both(both(thresholds, &Roles::Root), &Roles::Targets),
    };
    device.refresh(&mut repository).unwrap();
    (repository, device)
}

fn of_family(repository: &mut Simulator, role: &str, ml_dsa: bool) -> Vec<Key> {
    let family = if ml_dsa {
        Family::MlDsa
    } else {
        Family::Ed25519
    };
    let mut signers = repository.signers(role);
    signers.retain(|key| key.public().family() == Some(family));
    signers
}

#[test]
fn a_forger_of_one_family_signs_nothing_that_counts() {
    for (ml_dsa, missing) in [
        (false, "1 must be ml-dsa signatures, 0 are"),
        (true, "ed25519"),
    ] {
        for role in ["root", "targets"] {
            let (honest, mut device) = hybrid();
            let before = device.trusted();
            let mut forger = honest.clone();
            let forged = of_family(&mut forger, role, ml_dsa);
            forger.signers_mut(role).retain(|key| forged.contains(key));
            if role == "root" {
                forger.root().edit();
                forger.publish_root();
                // Also in the name of the root before.
                forger.root().also_mut().retain(|key| forged.contains(key));
            } else {
                forger
                    .add_target("targets", "firmware", b"forged")
                    .publish();
            }
            let refused = device.refresh(&mut forger).err().unwrap().in_one_line();
            assert!(refused.contains(missing), "{role}: {refused}");
            assert!(
                refused.contains(&format!("{role} metadata needs 2 signatures")),
                "{refused}"
            );
            assert_eq!(device.trusted()[role], before[role]);
            // A device that asks for nothing of the kind is taken in by the family that has enough keys.
            let Trust::Pki { anchor, .. } = device.trust else {
                panic!("the plan has certificates")
            };
            let thresholds = Thresholds::new(1, 1, 1);
            device.trust = Trust::Pki { anchor, thresholds };
            let taken_in = device.refresh(&mut forger).is_ok();
            assert_eq!(taken_in, !ml_dsa, "{role}");
        }
    }
}

/// Ed25519 has fallen. Root's people replace its keys by others, and sign with both families for the last time.
#[test]
fn the_repository_goes_on_without_the_family_that_fell() {
    let (mut repository, mut device) = hybrid();
    for role in ["root", "targets"] {
        for old in of_family(&mut repository, role, false) {
            repository.remove_key(role, &old);
            repository.add_key_of(KeyKind::EcdsaP384, role);
        }
    }
    repository.publish_root().publish();
    let refused = device.refresh(&mut repository).err().unwrap().in_one_line();
    assert!(
        refused.contains("1 must be ed25519 signatures, 0 are"),
        "{refused}"
    );
    // New firmware asks for the new pair.
    let Trust::Pki { anchor, .. } = device.trust else {
        panic!("the plan has certificates")
    };
    let thresholds = Thresholds::new(2, 2, 1)
        .requiring(&Roles::Root, Family::Ecdsa, 1)
        .requiring(&Roles::Root, Family::MlDsa, 1);
    device.trust = Trust::Pki { anchor, thresholds };
    device.root = repository.root().of_version(3).unwrap().to_vec();
    device.refresh(&mut repository).unwrap();
}
