//! Which crate may import which: the arrows of `docs/ARCHITECTURE.md`, and no others.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Crate, crates that it may import, and whether that holds for its tests, too.
const ARROWS: [(&str, &[&str]); 8] = [
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
            "fixtures",
        ],
    ),
];

#[test]
fn no_crate_imports_what_the_architecture_does_not_allow() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let known: BTreeSet<String> = allowed.keys().map(ToString::to_string).collect();
    assert_eq!(
        members, known,
        "a crate was added or removed: say here what it may import"
    );
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if known.contains(name) && name != package.name.as_str() {
                let arrows = allowed[package.name.as_str()];
                assert!(
                    arrows.contains(&name),
                    "{} must not import {name}",
                    package.name
                );
            }
        }
    }
}

#[test]
fn the_device_does_not_carry_the_diff_engine() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let packages = metadata.workspace_packages();
    let updater = packages
        .iter()
        .find(|p| p.name.as_str() == "updater")
        .unwrap();
    let delta = updater
        .dependencies
        .iter()
        .find(|d| d.name == "firmware-delta" && d.kind == DependencyKind::Normal);
    let delta = delta.unwrap();
    assert!(
        !delta.features.iter().any(|feature| feature == "diff"),
        "{:?}",
        delta.features
    );
}

#[test]
fn the_ground_reads_no_files_no_sockets_and_no_clock() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    for name in ["metadata-schema", "firmware-delta"] {
        let packages = metadata.workspace_packages();
        let package = packages.iter().find(|p| p.name.as_str() == name).unwrap();
        let sources = package.manifest_path.parent().unwrap().join("src");
        for file in rust_files(sources.as_std_path()) {
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

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
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
