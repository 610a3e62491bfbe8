//! Which crate may import which: the arrows of `docs/ARCHITECTURE.md`, and no others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate, crates that it may import, and whether that holds for its tests, too.
const ARROWS: [(&str, &[&str]); 9] = [
    ("metadata-schema", &[]),
    ("firmware-delta", &[]),
    ("device-pki", &["metadata-schema"]),
    (
        "updater",
        &["metadata-schema", "firmware-delta", "device-pki"],
    ),
    (
        "repo-tool",
        &["metadata-schema", "firmware-delta", "device-pki"],
    ),
    ("api-server", &["metadata-schema", "device-pki"]),
    ("device-channel", &["metadata-schema", "device-pki"]),
    (
        "fixtures",
        &[
            "repo-tool",
            "metadata-schema",
            "firmware-delta",
            "device-pki",
        ],
    ),
    (
        "tests",
        &[
            "metadata-schema",
            "firmware-delta",
            "device-pki",
            "updater",
            "repo-tool",
            "api-server",
            "device-channel",
            "fixtures",
        ],
    ),
];

/// The packages of the workspace, as `cargo metadata` describes them.
fn packages() -> Vec<Value> {
    let asked = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&asked.stdout).unwrap();
    answer["packages"].as_array().unwrap().clone()
}

fn package(name: &str) -> Value {
    let named = |package: &Value| package["name"] == name;
    packages().into_iter().find(named).unwrap()
}

#[test]
fn no_crate_imports_what_the_architecture_does_not_allow() {
    let packages = packages();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let name = |package: &Value| package["name"].as_str().unwrap().to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let known: BTreeSet<String> = allowed.keys().map(ToString::to_string).collect();
    assert_eq!(
        members, known,
        "a crate was added or removed: say here what it may import"
    );
    for package in &packages {
        let importer = name(package);
        for dependency in package["dependencies"].as_array().unwrap() {
            let imported = name(dependency);
            if known.contains(&imported) && imported != importer {
                let arrows = allowed[importer.as_str()];
                assert!(
                    arrows.contains(&imported.as_str()),
                    "{importer} must not import {imported}"
                );
            }
        }
    }
}

#[test]
fn the_device_does_not_carry_the_diff_engine() {
    let updater = package("updater");
    let dependencies = updater["dependencies"].as_array().unwrap();
    let delta = dependencies
        .iter()
        .find(|d| d["name"] == "firmware-delta" && d["kind"].is_null())
        .unwrap();
    let features = delta["features"].as_array().unwrap();
    assert!(!features.iter().any(|f| f == "diff"), "{features:?}");
}

#[test]
fn devices_load_no_modules_of_tokens() {
    for name in ["updater", "device-channel"] {
        let importer = package(name);
        let dependencies = importer["dependencies"].as_array().unwrap();
        let pki = dependencies
            .iter()
            .find(|d| d["name"] == "device-pki" && d["kind"].is_null())
            .unwrap();
        // It is a default feature, for device-pki's own command.
        assert_eq!(pki["uses_default_features"], false, "{name}");
        let features = pki["features"].as_array().unwrap();
        assert!(!features.iter().any(|f| f == "pkcs11"), "{features:?}");
    }
}

#[test]
fn the_ground_reads_no_files_no_sockets_and_no_clock() {
    for name in ["metadata-schema", "firmware-delta"] {
        let manifest = package(name)["manifest_path"].as_str().unwrap().to_owned();
        let sources = Path::new(&manifest).parent().unwrap().join("src");
        for file in rust_files(&sources) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            for banned in [
                "std::fs",
                "std::net",
                "SystemTime",
                "Instant::now",
                "tokio",
                "async fn",
            ] {
                assert!(
                    !code.iter().any(|line| line.contains(banned)),
                    "{} uses {banned}",
                    file.display()
                );
            }
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
