//! Keys of every algorithm sign.

use device_pki::KeyAlgorithm;
use repo_tool::silent;

use crate::support::{Person, World, image, now, release, sign_and_publish};

#[test]
fn people_sign_with_keys_of_every_algorithm() {
    let mut world = World::new();
    let roles = ["root", "targets", "delegated:router-x"];
    let people: Vec<Person> = KeyAlgorithm::ALL
        .iter()
        .map(|(name, algorithm)| world.person_by(name, &roles, *algorithm))
        .collect();
    let people: Vec<&Person> = people.iter().collect();
    // All four must sign.
    let repository = world.init(&people, 4);
    for person in &people {
        assert!(repository.publish(now()).is_err());
        let signed = repository.sign(&person.key).unwrap();
        assert!(signed.iter().all(|role| !role.repeated));
        // ECDSA and ML-DSA never sign the same way twice: what is signed stays as it is.
        let again = repository.sign(&person.key).unwrap();
        assert!(again.iter().all(|role| role.repeated));
    }
    repository.publish(now()).unwrap();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &people, now());
    let report = world.verify(now()).unwrap();
    assert_eq!(report.releases.len(), 1);
    assert_eq!(report.roles[0].signers.len(), 4);
}
