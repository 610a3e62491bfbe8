//! What tough, the library of tuftool, made is carried on, and tough reads what becomes of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    dead_code,
    reason = "a test that fails should panic, in its helpers as well"
)]

#[path = "flow/support.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;

use device_pki::{FileKey, KeyAlgorithm, KeyPair, Protection, SigningKey as _};
use metadata_schema::gate::Certificates;
use metadata_schema::json::Object;
use metadata_schema::name::{RoleName, Version};
use metadata_schema::roles::{Common, Role as _, RoleKeys, Root};
use metadata_schema::time::Timestamp;
use repo_tool::assemble::{sign_role, write_metadata};
use repo_tool::remote::FolderRemote;
use repo_tool::{Repository, silent};
use tough::editor::RepositoryEditor;
use tough::key_source::{KeySource, LocalKeySource};
use tough::{FilesystemTransport, IntoVec as _, RepositoryLoader, TargetName};
use url::Url;

use support::{World, image, release, sign_and_publish};

/// The clock of the machine, by which tough goes.
fn clock() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    Timestamp::from_unix_seconds(i64::try_from(since).unwrap())
}

/// What tough says of a published folder, from root 1 on: versions of root and targets, and the lengths of the targets that are in
/// no folder, each read. (It asks for those in folders by other names than the specification has; the test of the manual, in
/// `tests`, has it read all of them.)
fn reads(published: &Path) -> (u64, u64, BTreeMap<String, Option<usize>>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let first = fs::read(published.join("metadata/1.root.json")).unwrap();
        let url = |name: &str| Url::from_directory_path(published.join(name)).unwrap();
        let loader = RepositoryLoader::new(&first, url("metadata"), url("targets"))
            .transport(FilesystemTransport);
        let repository = loader.load().await.unwrap();
        let names: Vec<TargetName> = repository
            .all_targets()
            .map(|(name, _)| name.clone())
            .collect();
        let mut lengths = BTreeMap::new();
        for name in names {
            let mut length = None;
            if !name.raw().contains('/') {
                let stream = repository.read_target(&name).await.unwrap().unwrap();
                length = Some(stream.into_vec().await.unwrap().len());
            }
            lengths.insert(name.raw().to_owned(), length);
        }
        let versions = (repository.root(), repository.targets());
        (
            versions.0.signed.version.get(),
            versions.1.signed.version.get(),
            lengths,
        )
    })
}

/// A repository whose root was signed by `key`, and all else by tough with the key in `file`.
async fn made_by_tough(key: &FileKey, file: &Path, folder: &Path, now: Timestamp) {
    let id = key.public_key().id().clone();
    let keys = || RoleKeys::new([id.clone()], NonZeroU32::MIN);
    let root = Root {
        common: Common::new(Version::FIRST, now, now.plus_seconds(300 * support::DAY)),
        keys: BTreeMap::from([(id.clone(), key.public_key().clone())]),
        root: keys(),
        targets: keys(),
        snapshot: keys(),
        timestamp: keys(),
        consistent_snapshot: true,
        certificates: Certificates::default(),
        other_roles: Object::new(),
        extra: Object::new(),
    };
    let envelope = sign_role(root.to_json(), &[key]).unwrap();
    write_metadata(folder, &RoleName::root(), Version::FIRST, &envelope).unwrap();
    let input = folder.join("input");
    fs::create_dir(&input).unwrap();
    fs::write(input.join("fw.bin"), image(9)).unwrap();

    let at = folder.join("metadata/1.root.json");
    let mut editor = RepositoryEditor::new(&at).await.unwrap();
    let seconds = now.unix_seconds() + 200 * support::DAY;
    let expires = jiff::Timestamp::from_second(seconds).unwrap();
    let version = |number| NonZeroU64::new(number).unwrap();
    editor.targets_version(version(3)).unwrap();
    editor.targets_expires(expires).unwrap();
    editor
        .snapshot_version(version(5))
        .snapshot_expires(expires);
    editor
        .timestamp_version(version(7))
        .timestamp_expires(expires);
    editor.add_target_path(input.join("fw.bin")).await.unwrap();
    let source: Box<dyn KeySource> = Box::new(LocalKeySource {
        path: file.to_owned(),
    });
    let signed = editor.sign(&[source]).await.unwrap();
    signed.write(folder.join("metadata")).await.unwrap();
    fs::create_dir_all(folder.join("targets")).unwrap();
    signed
        .copy_targets(
            &input,
            folder.join("targets"),
            tough::editor::signed::PathExists::Fail,
        )
        .await
        .unwrap();
}

#[test]
fn what_tough_made_is_carried_on() {
    let now = clock();
    let mut world = World::at(now);
    let theirs = tempfile::tempdir().unwrap();
    let file = theirs.path().join("key.pem");
    let key = KeyPair::generate(KeyAlgorithm::P256, &mut world.entropy).unwrap();
    let text = key
        .to_pem(Protection::FileMode, &mut world.entropy)
        .unwrap();
    // tough takes keys of this kind without the armour.
    fs::write(&file, pem::parse(text.as_bytes()).unwrap().contents()).unwrap();
    let key = key.into_tuf_signer().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(made_by_tough(&key, &file, theirs.path(), now));

    let [alice, bob, carol] = ["Alice", "Bob", "Carol"].map(|name| world.person(name));
    let plan = world.plan(&[&alice, &bob, &carol], 2);
    let from = FolderRemote::new(theirs.path());
    let folder = world.folder.path().to_owned();
    let entropy = &mut world.entropy;
    let (repository, imported) =
        Repository::import(&folder, &from, &plan, now, entropy, &silent).unwrap();
    assert_eq!((imported.old_root, imported.old_targets), (1, 3));
    repository.sign(&key).unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now);
    repository
        .stage_release(&release("1.0.0", &image(1)), now, &silent)
        .unwrap();
    sign_and_publish(&repository, &[&bob, &carol], now);
    world.verify(now).unwrap();
    let (root, version, targets) = reads(repository.layout().published());
    assert_eq!((root, version), (2, 4));
    assert_eq!(targets["fw.bin"], Some(image(9).len()));
    assert!(
        targets.contains_key("router-x/stable.release.json"),
        "{targets:?}"
    );
}
