//! Another implementation reads what we publish: python-tuf's client, over HTTP on loopback.
//!
//! Needs Python with the package `tuf`; `PYTHON` names the interpreter if it is not `python3`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    dead_code,
    reason = "a test that fails should panic, in its helpers as well"
)]

#[path = "flow/support.rs"]
mod support;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use device_pki::KeyPair;
use metadata_schema::name::RoleName;
use metadata_schema::time::Timestamp;
use repo_tool::remote::FolderRemote;
use repo_tool::{Repository, SignerChange, silent};

use support::{World, image, product, release, sign_and_publish, signers};

#[test]
#[ignore = "needs python-tuf"]
fn python_tuf_refreshes_and_downloads() {
    // The client goes by the clock of the machine, so the repository has to live now.
    let now = clock();
    let (mut world, repository, [alice, bob, carol]) = World::published_at(now);
    for (number, version) in [(1, "1.0.0"), (2, "1.1.0+build.7")] {
        repository
            .stage_release(&release(version, &image(number)), now, &silent)
            .unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now);
    }
    let dora = world.person("Dora");
    let change = SignerChange {
        roles: vec![RoleName::root(), RoleName::targets()],
        add: vec![dora.holder.clone()],
        remove: vec!["Bob".to_owned()],
        ..SignerChange::default()
    };
    repository.change_signers(&change, now).unwrap();
    let plan = repo_tool::ProductPlan {
        name: product("router-y"),
        signers: signers(&[&alice, &carol], 2),
        bins: None,
    };
    repository.add_product(&plan, now).unwrap();
    let crl = world.crl(1, &[]);
    let lists = repository
        .add_crls(&[("a".to_owned(), crl.der().to_vec())], now)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &carol, &dora], now);
    repository.refresh(now, true).unwrap();
    world.verify(now).unwrap();

    let published = world.folder.path().join("published");
    let out = reads(&published, &lists[0].path);
    for wanted in [
        "root 2",
        "targets 2",
        "router-x/stable.release.json",
        ".full",
        ".delta",
        "pki/",
    ] {
        assert!(out.contains(wanted), "{wanted} is not in {out}");
    }
}

/// What python-tuf says when it refreshes and downloads from a published folder, from its first root on.
fn reads(published: &Path, other: &str) -> String {
    python("python_tuf.py", &[published.as_os_str(), other.as_ref()])
}

fn python(script: &str, arguments: &[&OsStr]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(folder.join(script))
        .args(arguments)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{error}");
    out
}

fn clock() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    Timestamp::from_unix_seconds(i64::try_from(since).unwrap())
}

#[test]
#[ignore = "needs python-tuf"]
fn a_repository_of_python_tuf_is_carried_on() {
    for form in [&["consistent"][..0], &["plain"]] {
        let theirs = tempfile::tempdir().unwrap();
        let old = theirs.path().join("old");
        let arguments = std::iter::once(old.as_os_str()).chain(form.iter().map(OsStr::new));
        python("python_tuf_makes.py", &arguments.collect::<Vec<_>>());
        // By its clock, what it made a moment ago is from now.
        let now = clock();
        let mut world = World::at(now);
        let [alice, bob, carol] = ["Alice", "Bob", "Carol"].map(|name| world.person(name));
        let plan = world.plan(&[&alice, &bob, &carol], 2);
        let from = FolderRemote::new(&old);
        let folder = world.folder.path().to_owned();
        let entropy = &mut world.entropy;
        let (repository, imported) =
            Repository::import(&folder, &from, &plan, now, entropy, &silent).unwrap();
        let numbers = (imported.old_root, imported.old_targets, imported.files);
        assert_eq!(numbers, (2, 4, 1));
        let key = KeyPair::load(&old.join("root.pem"), None).unwrap();
        repository.sign(&key.into_tuf_signer().unwrap()).unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now);
        repository
            .stage_release(&release("1.0.0", &image(1)), now, &silent)
            .unwrap();
        sign_and_publish(&repository, &[&bob, &carol], now);
        repository.refresh(now, true).unwrap();
        world.verify(now).unwrap();
        let out = reads(repository.layout().published(), "fw.bin");
        for wanted in [
            "root 3",
            "targets 5",
            "router-x/stable.release.json",
            "fw.bin 24000",
        ] {
            assert!(out.contains(wanted), "{wanted} is not in {out}");
        }
    }
}
