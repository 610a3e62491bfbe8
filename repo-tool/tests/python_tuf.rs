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

use std::process::Command;

use metadata_schema::name::RoleName;
use repo_tool::{SignerChange, silent};

use support::{World, image, product, release, sign_and_publish, signers};

#[test]
#[ignore = "needs python-tuf"]
fn python_tuf_refreshes_and_downloads() {
    // The client goes by the clock of the machine, so the repository has to live now.
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let now = metadata_schema::time::Timestamp::from_unix_seconds(i64::try_from(since).unwrap());
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
    };
    repository.add_product(&plan, now).unwrap();
    let crl = world.crl(1, &[]);
    let lists = repository
        .add_crls(&[("a".to_owned(), crl.der().to_vec())], now)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &carol, &dora], now);
    repository.refresh(now, true).unwrap();
    world.verify(now).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_tuf.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(script)
        .arg(world.folder.path().join("published"))
        .arg(&lists[0].path)
        .output()
        .unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
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
