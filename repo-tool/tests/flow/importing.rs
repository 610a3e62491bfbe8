//! Carrying on a repository that another tool made. Those of python-tuf and tough themselves are imported by other tests.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use device_pki::{FileKey, KeyAlgorithm, KeyPair, SeededEntropy, SigningKey as _};
use metadata_schema::json::Object;
use metadata_schema::name::{RoleName, TargetPath, Version};
use metadata_schema::roles::{
    Common, MetaFile, Role as _, RoleKeys, Root, Snapshot, Targets, Timestamp as TimestampRole,
};
use repo_tool::assemble::{
    meta_file, metadata_name, sign_role, target_file, write_metadata, write_target,
};
use repo_tool::remote::FolderRemote;
use repo_tool::{Error, Repository, VerifyOptions, silent};

use crate::support::{World, image, later, now, release, sign_and_publish};

/// The keys of a repository without any PKI: two for root, of which one is enough, one for the rest.
struct Old {
    root: [FileKey; 2],
    rest: FileKey,
}

fn common(version: u64) -> Common {
    let mut common = Common::new(Version::new(version).unwrap(), now(), later(300));
    // Other tools do not write it.
    common.issued = None;
    common
}

impl Old {
    fn new() -> Self {
        let mut entropy = SeededEntropy::new(b"old keys");
        let mut key = |algorithm| {
            let key = KeyPair::generate(algorithm, &mut entropy).unwrap();
            key.into_tuf_signer().unwrap()
        };
        Self {
            root: [key(KeyAlgorithm::Ed25519), key(KeyAlgorithm::P256)],
            rest: key(KeyAlgorithm::Ed25519),
        }
    }

    /// Publishes roots 1 and 2, and targets v7 with one file.
    fn publish(&self, published: &Path) {
        let ids = |keys: &[&FileKey]| {
            let ids = keys.iter().map(|key| key.public_key().id().clone());
            RoleKeys::new(ids.collect::<Vec<_>>(), NonZeroU32::MIN)
        };
        let [first, second] = &self.root;
        let keys = [first, second, &self.rest]
            .map(|key| (key.public_key().id().clone(), key.public_key().clone()));
        for version in [1, 2] {
            let root = Root {
                common: common(version),
                keys: keys.iter().cloned().collect(),
                root: ids(&[first, second]),
                targets: ids(&[&self.rest]),
                snapshot: ids(&[&self.rest]),
                timestamp: ids(&[&self.rest]),
                consistent_snapshot: true,
                certificates: metadata_schema::gate::Certificates::default(),
                other_roles: Object::new(),
                extra: Object::new(),
            };
            let envelope = sign_role(root.to_json(), &[first]).unwrap();
            write_metadata(published, &RoleName::root(), root.common.version, &envelope).unwrap();
        }
        let path = TargetPath::new("old/firmware.bin").unwrap();
        write_target(published, &path, &image(9)).unwrap();
        let targets = Targets {
            common: common(7),
            targets: BTreeMap::from([(path.to_string(), target_file(&image(9)))]),
            delegations: None,
            certificates: metadata_schema::gate::Certificates::default(),
            extra: Object::new(),
        };
        let listed = self.write(published, &RoleName::targets(), targets.to_json(), 7);
        let snapshot = Snapshot {
            common: common(7),
            meta: BTreeMap::from([("targets.json".to_owned(), listed)]),
            extra: Object::new(),
        };
        let listed = self.write(published, &RoleName::snapshot(), snapshot.to_json(), 7);
        let timestamp = TimestampRole {
            common: common(41),
            snapshot: listed,
            extra: Object::new(),
        };
        self.write(published, &RoleName::timestamp(), timestamp.to_json(), 41);
    }

    fn write(
        &self,
        published: &Path,
        role: &RoleName,
        signed: metadata_schema::json::Json,
        version: u64,
    ) -> MetaFile {
        let version = Version::new(version).unwrap();
        let envelope = sign_role(signed, &[&self.rest]).unwrap();
        write_metadata(published, role, version, &envelope).unwrap();
        meta_file(version, &envelope.to_bytes())
    }
}

#[test]
fn a_repository_of_another_tool_is_carried_on() {
    let old = Old::new();
    let theirs = tempfile::tempdir().unwrap();
    old.publish(theirs.path());
    let mut world = World::new();
    let [alice, bob, carol] = ["Alice", "Bob", "Carol"].map(|name| world.person(name));
    let plan = world.plan(&[&alice, &bob, &carol], 2);
    let from = FolderRemote::new(theirs.path());
    let folder = world.folder.path().to_owned();
    let mut entropy = world.entropy.clone();
    let import = |folder: &Path, entropy: &mut SeededEntropy| {
        Repository::import(folder, &from, &plan, now(), entropy, &silent)
    };
    let (repository, imported) = import(&folder, &mut entropy).unwrap();
    let numbers = (imported.old_root, imported.first_root, imported.old_targets);
    assert_eq!(numbers, (2, 3, 7));
    assert_eq!((imported.files, imported.bytes), (1, image(9).len() as u64));
    assert!(matches!(
        import(&folder, &mut entropy),
        Err(Error::Exists { .. })
    ));

    // The new people alone are not enough: nobody who trusts the old root would follow.
    for person in [&alice, &bob] {
        repository.sign(&person.key).unwrap();
    }
    let groups = |repository: &Repository| {
        let status = repository.status(now()).unwrap();
        let root = status
            .staged
            .into_iter()
            .find(|role| role.role == "root")
            .unwrap();
        root.groups
            .iter()
            .map(|group| group.reached)
            .collect::<Vec<_>>()
    };
    assert_eq!(groups(&repository), [false, true]);
    let error = repository.publish(now()).unwrap_err();
    assert!(matches!(error, Error::Metadata(_)), "{error}");
    repository.sign(&old.root[1]).unwrap();
    assert_eq!(groups(&repository), [true, true]);
    let publication = repository.publish(now()).unwrap();
    for role in [
        ("root", 3),
        ("targets", 8),
        ("snapshot", 8),
        ("timestamp", 42),
    ] {
        let role = (role.0.to_owned(), role.1);
        assert!(
            publication.roles.contains(&role),
            "{role:?} {publication:?}"
        );
    }

    // From now on it is a repository like any other; devices begin at root 3.
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &carol], now());
    let report = world.verify(now()).unwrap();
    assert_eq!(report.releases[0].version, "1.0.0");
    let mut options = VerifyOptions::new(world.anchor());
    options.first_root = Some(Version::FIRST);
    let error = repo_tool::verify(&folder, &options, now(), &silent).unwrap_err();
    assert!(
        matches!(error, Error::Metadata(_)),
        "old keys have no certificates: {error}"
    );

    // The old file is where it was, under the new targets.
    let published = repository.layout().published();
    let digest = target_file(&image(9)).hashes.file_prefix();
    let file = published.join(format!("targets/old/{digest}.firmware.bin"));
    assert_eq!(fs::read(file).unwrap(), image(9));
    let name = metadata_name(&RoleName::targets(), Version::new(8).unwrap());
    let targets = fs::read_to_string(published.join("metadata").join(name)).unwrap();
    assert!(targets.contains("old/firmware.bin"));
}

#[test]
fn what_a_client_would_refuse_is_not_imported() {
    let old = Old::new();
    let mut world = World::new();
    let people = ["Alice", "Bob"].map(|name| world.person(name));
    let plan = world.plan(&[&people[0], &people[1]], 2);
    for damage in ["metadata/2.root.json", "metadata/7.targets.json", "targets"] {
        let theirs = tempfile::tempdir().unwrap();
        old.publish(theirs.path());
        let at = theirs.path().join(damage);
        if damage == "targets" {
            fs::remove_dir_all(&at).unwrap();
        } else {
            let text = fs::read_to_string(&at).unwrap();
            fs::write(&at, text.replacen("2026", "2027", 1)).unwrap();
        }
        let from = FolderRemote::new(theirs.path());
        let folder = tempfile::tempdir().unwrap();
        let entropy = &mut world.entropy.clone();
        let imported = Repository::import(folder.path(), &from, &plan, now(), entropy, &silent);
        assert!(imported.is_err(), "{damage}");
        assert!(!folder.path().join("repo.toml").exists(), "{damage}");
    }
}
