//! Signatures that the `openssl` program makes over what `export-to-sign` writes. Run by `tests/peers`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    dead_code,
    reason = "a test that fails should panic, in its helpers as well"
)]

#[path = "flow/support.rs"]
mod support;

use std::fs;
use std::process::Command;

use device_pki::SubjectKey;
use repo_tool::{ImageSource, Keyholder, Repository, silent};
use support::{World, now};

/// Runs a line in a shell, in the world's folder.
fn shell(world: &World, line: &str) {
    let output = Command::new("sh")
        .args(["-euc", line])
        .env("XDG_STATE_HOME", world.folder.path().join("state"))
        .current_dir(world.folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}\n{error}");
}

#[test]
#[ignore = "needs the openssl program: tests/peers"]
fn openssl_signs_what_is_exported_by_the_command_that_is_printed() {
    let mut world = World::new();
    let kinds = [
        ("ed25519", "ED25519", "cat"),
        ("p256", "EC -pkeyopt ec_paramgen_curve:P-256", "xxd -p"),
        ("p384", "EC -pkeyopt ec_paramgen_curve:P-384", "base64"),
        (
            "rsa-2048",
            "RSA -pkeyopt rsa_keygen_bits:2048",
            "base64 -w0",
        ),
        ("rsa-3072", "RSA -pkeyopt rsa_keygen_bits:3072", "cat"),
    ];
    let mut people: Vec<Keyholder> = Vec::new();
    for (name, algorithm, _) in kinds {
        shell(
            &world,
            &format!("openssl genpkey -algorithm {algorithm} -out {name}.key"),
        );
        shell(
            &world,
            &format!("openssl pkey -in {name}.key -pubout -out {name}.pub"),
        );
        let pem = fs::read(world.folder.path().join(format!("{name}.pub"))).unwrap();
        let subject = SubjectKey::from_public_key_pem(name, &pem).unwrap();
        let roles = ["root", "targets", "delegated:router-x"];
        people.push(world.certify(name, &roles, &subject).1);
    }
    let mut plan = world.plan(&[], 5);
    for signers in [
        &mut plan.root,
        &mut plan.targets,
        &mut plan.products[0].signers,
    ] {
        signers.people.clone_from(&people);
    }
    let folder = world.folder.path().join("repo");
    let repository = Repository::init(&folder, &plan, now(), &mut world.entropy).unwrap();
    let sign_all = || {
        for (name, _, form) in kinds {
            let out = world.folder.path().join(format!("out-{name}"));
            for to_sign in repository.export_to_sign(name, &out).unwrap() {
                let line = to_sign
                    .openssl
                    .replace("KEY.pem", &format!("../{name}.key"));
                let form = if form.starts_with("xxd") {
                    "od -An -v -tx1"
                } else {
                    form
                };
                shell(
                    &world,
                    &format!("cd out-{name}; {line}; {form} *.sig > result; rm *.sig"),
                );
                let role = match to_sign.role.as_str() {
                    "root" => metadata_schema::name::RoleName::root(),
                    "targets" => metadata_schema::name::RoleName::targets(),
                    other => metadata_schema::name::RoleName::delegated(other).unwrap(),
                };
                let result = fs::read(out.join("result")).unwrap();
                let taken = repository
                    .import_signature(&role, name, &result, now())
                    .unwrap();
                assert!(!taken.repeated);
            }
        }
    };
    sign_all();
    repository.publish(now()).unwrap();
    let mut release = support::release("1.0.0", b"");
    release.images.insert(
        "rootfs".parse().unwrap(),
        ImageSource::Bytes(support::image(1)),
    );
    repository.stage_release(&release, now(), &silent).unwrap();
    sign_all();
    repository.publish(now()).unwrap();
    let options = repo_tool::VerifyOptions::new(world.anchor());
    let report = repo_tool::verify(&folder, &options, now(), &silent).unwrap();
    assert_eq!(report.roles[0].signers.len(), 5);
    assert_eq!(report.releases.len(), 1);
}
