//! Disasters, rehearsed: a plan is computed, its commands are carried out as they stand, and devices follow or refuse as it said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic, in its helpers as well"
)]

mod world;

use device_pki::SigningKey as _;
use repo_tool::loss::{LossPlan, Reach};

use world::World;

const THREE: [&str; 3] = ["alice", "bob", "carol"];

fn can_sign(plan: &LossPlan, role: &str) -> bool {
    plan.roles.iter().find(|r| r.role == role).unwrap().can_sign
}

fn reaches(plan: &LossPlan) -> Vec<Reach> {
    plan.thief.iter().map(|power| power.reach).collect()
}

/// Devices that slept since the beginning, and devices that were up to date, follow to this root.
fn all_follow(world: &World, awake: &world::Device, root: u64) {
    let repository = world.path("repo");
    let expected = (root, "1.0.0".to_owned());
    assert_eq!(awake.follow(&repository).unwrap(), expected);
    assert_eq!(world.device("repo").follow(&repository).unwrap(), expected);
}

#[test]
fn one_of_three_is_lost() {
    let world = World::new(&THREE, &THREE, &THREE);
    let device = world.device("repo");
    all_follow(&world, &device, 1);
    let plan = world.plan(&["carol"], &[]);
    assert!(
        ["root", "targets", "router-x"]
            .iter()
            .all(|role| can_sign(&plan, role))
    );
    assert!(plan.thief.is_empty());
    let [group] = plan.devices.as_slice() else {
        panic!("{:?}", plan.devices);
    };
    assert!(group.reach_present && group.reach_new_root && !group.thief_can_lead);
    world.carry_out(&plan);
    all_follow(&world, &device, 2);
    // Carol signs with her new key, and not with the old one.
    world.release(&world.repository, "1.1.0", &["alice"]);
    world.repository.sign(&world.key("carol")).unwrap_err();
    world.repository.sign(&world.key("carol-new")).unwrap();
    world.repository.publish(world.now).unwrap();
    let now_at = device.follow(&world.path("repo")).unwrap();
    assert_eq!(now_at, (2, "1.1.0".to_owned()));
}

#[test]
fn a_stolen_ca_is_told_apart_from_people() {
    let world = World::new(&THREE, &THREE, &THREE);
    for ca in ["Example Corp Root CA", "Example Corp Firmware-Signing CA"] {
        let plan = world.plan(&[], &[ca]);
        assert_eq!(reaches(&plan), [Reach::Certify], "{ca}");
        assert!(
            plan.thief[0]
                .text
                .contains("neither root nor targets names them")
        );
        assert!(can_sign(&plan, "root") && plan.devices[0].reach_new_root);
        assert_eq!(plan.steps.len(), 1);
        // With a threshold of root's keys, they are named.
        let plan = world.plan(&[], &[ca, "alice", "bob"]);
        let certify = plan
            .thief
            .iter()
            .find(|power| power.reach == Reach::Certify);
        assert!(certify.unwrap().text.contains("whatever they like"));
    }
}

#[test]
fn targets_falls_below_its_threshold_and_root_repairs_it() {
    let world = World::new(&THREE, &["dora", "eve"], &THREE);
    let device = world.device("repo");
    let plan = world.plan(&["dora"], &[]);
    assert!(can_sign(&plan, "root") && !can_sign(&plan, "targets"));
    assert!(plan.devices[0].reach_new_root);
    world.carry_out(&plan);
    all_follow(&world, &device, 2);
}

#[test]
fn root_falls_below_its_threshold_and_devices_must_begin_again() {
    let world = World::new(&["alice", "bob"], &["carol", "dora"], &["carol", "dora"]);
    let device = world.device("repo");
    all_follow(&world, &device, 1);
    let plan = world.plan(&["alice"], &[]);
    assert!(!can_sign(&plan, "root") && can_sign(&plan, "router-x"));
    assert!(plan.devices[0].reach_present && !plan.devices[0].reach_new_root);
    // Releases go on, as it says, until root expires.
    world.release(&world.repository, "1.1.0", &["carol", "dora"]);
    world.repository.publish(world.now).unwrap();
    let now_at = device.follow(&world.path("repo")).unwrap();
    assert_eq!(now_at, (1, "1.1.0".to_owned()));
    world.carry_out(&plan);
    // What has begun with the old root does not follow the new repository; what begins again does.
    device.follow(&world.path("repo-2")).unwrap_err();
    let again = world.device("repo-2");
    let now_at = again.follow(&world.path("repo-2")).unwrap();
    assert_eq!(now_at, (1, "none".to_owned()));
    again.follow(&world.path("repo")).unwrap_err();
}

#[test]
fn one_key_of_a_product_is_stolen() {
    let world = World::new(&THREE, &THREE, &["dora", "eve", "frank"]);
    let device = world.device("repo");
    let plan = world.plan(&[], &["dora"]);
    assert_eq!(reaches(&plan), [Reach::Nothing]);
    let evil = world.evil(&["dora"]);
    let met = world.device("repo");
    met.follow(evil.layout().folder()).unwrap_err();
    world.carry_out(&plan);
    // Targets delegates anew: root has no part in it.
    all_follow(&world, &device, 1);
    world.release(&world.repository, "1.1.0", &["eve"]);
    world.repository.sign(&world.key("dora")).unwrap_err();
}

#[test]
fn a_products_threshold_is_stolen_with_the_online_keys() {
    let world = World::new(&THREE, &THREE, &["dora", "eve", "frank"]);
    let (early, device) = (world.device("repo"), world.device("repo"));
    // Without the online keys, nothing is announced.
    let plan = world.plan(&[], &["dora", "eve"]);
    assert_eq!(reaches(&plan), [Reach::Nothing]);
    assert!(!can_sign(&plan, "router-x"));
    let plan = world.plan(&[], &["dora", "eve", "snapshot", "timestamp"]);
    assert_eq!(reaches(&plan), [Reach::Mix, Reach::Time, Reach::Product]);
    // As it says: a device that meets the thief takes his firmware.
    let evil = world.evil(&["dora", "eve"]);
    let now_at = early.follow(evil.layout().folder()).unwrap();
    assert_eq!(now_at, (1, "6.6.6".to_owned()));
    world.carry_out(&plan);
    all_follow(&world, &device, 2);
    // Once a device has met the new root, the thief is nobody; and the one that he had comes back.
    device.follow(evil.layout().folder()).unwrap_err();
    world.release(&world.repository, "7.0.0", &["frank", "dora-new"]);
    world.repository.publish(world.now).unwrap();
    for device in [&device, &early] {
        let now_at = device.follow(&world.path("repo")).unwrap();
        assert_eq!(now_at, (2, "7.0.0".to_owned()));
    }
}

#[test]
fn the_online_keys_are_stolen() {
    let world = World::new(&THREE, &THREE, &THREE);
    let device = world.device("repo");
    let one = world.plan(&[], &["timestamp"]);
    assert_eq!(reaches(&one), [Reach::Freeze]);
    let plan = world.plan(&[], &["snapshot", "timestamp", "pki"]);
    assert_eq!(reaches(&plan), [Reach::Mix, Reach::Time, Reach::HideLists]);
    let evil = world.evil(&[]);
    // No firmware.
    world
        .device("repo")
        .follow(evil.layout().folder())
        .unwrap_err();
    world.carry_out(&plan);
    all_follow(&world, &device, 2);
    evil.refresh(world.now, true).unwrap();
    device.follow(evil.layout().folder()).unwrap_err();
}

#[test]
fn one_key_of_root_is_stolen_and_another_is_lost() {
    let four = ["alice", "bob", "carol", "dora"];
    let world = World::new(&four, &four, &four);
    let device = world.device("repo");
    let plan = world.plan(&[], &["alice"]);
    assert!(reaches(&plan).iter().all(|reach| *reach == Reach::Nothing));
    assert!(!plan.devices[0].thief_can_lead);
    let plan = world.plan(&["bob"], &["alice"]);
    assert!(can_sign(&plan, "root"));
    world.carry_out(&plan);
    all_follow(&world, &device, 2);
    // Keys that were retired still lead devices that slept: told, if a threshold of them is gone later.
    let plan = world.plan(
        &[],
        &[
            world.key("alice").public_key().id().as_str(),
            world.key("bob").public_key().id().as_str(),
        ],
    );
    assert_eq!(reaches(&plan), [Reach::OldRoot]);
    assert!(plan.devices[0].thief_can_lead && !plan.devices[1].thief_can_lead);
    assert!(plan.devices.iter().all(|group| group.reach_new_root));
}

#[test]
fn a_threshold_of_root_is_stolen() {
    let four = ["alice", "bob", "carol", "dora"];
    let world = World::new(&four, &four, &four);
    let device = world.device("repo");
    let plan = world.plan(&[], &["alice", "bob"]);
    let reached = reaches(&plan);
    assert!(reached.contains(&Reach::Root) && reached.contains(&Reach::Everything));
    assert!(plan.devices[0].thief_can_lead);
    world.carry_out(&plan);
    all_follow(&world, &device, 2);
    // With a list that names them, the thieves' next root does not hold.
    world.release(&world.repository, "1.1.0", &["carol", "dora"]);
    world.repository.publish(world.now).unwrap();
    device.follow(&world.path("repo")).unwrap();
}
