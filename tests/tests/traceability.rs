//! Every name in `docs/TRACEABILITY.md` exists: code as an item, tests as functions; and every guarantee of the README has its row.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;

const TABLES: &str = include_str!("../../docs/TRACEABILITY.md");

const README: &str = include_str!("../../README.md");

#[test]
fn every_guarantee_has_its_row() {
    let (_, told) = README.split_once("**Guarantees.**").unwrap();
    let (told, _) = told.split_once("Which tests show it").unwrap();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let told: Vec<&str> = told.trim_end_matches('.').split(". ").collect();
    let (_, table) = TABLES.split_once("## Guarantees").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let shown: Vec<&str> = rows
        .filter_map(|row| row.split(" | ").next())
        .filter(|first| *first != "guarantee")
        .collect();
    assert_eq!(shown, told);
    assert!(shown.len() >= 7);
}

#[test]
fn every_name_exists() {
    let sources = sources();
    let mut rows = 0;
    for line in TABLES.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [.., code, tests] = cells.as_slice() else {
            panic!("{line}")
        };
        if tests.trim() == "tests" {
            continue;
        }
        rows += 1;
        for name in names(tests) {
            let item = format!("fn {name}(");
            assert!(sources.contains(&item), "no test {name}: {line}");
        }
        for name in names(code) {
            let last = name.rsplit("::").next().unwrap();
            let found = ["fn ", "struct ", "enum ", "trait ", "type "]
                .iter()
                .any(|kind| {
                    sources
                        .match_indices(&format!("{kind}{last}"))
                        .any(|(at, found)| {
                            let after = sources[at + found.len()..].chars().next().unwrap();
                            !after.is_alphanumeric() && after != '_'
                        })
                });
            assert!(found, "no item {name}: {line}");
        }
        assert!(names(tests).next().is_some(), "no test: {line}");
    }
    assert!(rows > 40, "{rows} rows");
}

/// What stands between backquotes.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// All Rust code of the workspace.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut text = String::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let package = entry.unwrap().path();
        for folder in ["src", "tests", "fuzz_targets"] {
            read(&package.join(folder), &mut text);
        }
    }
    text
}

fn read(path: &Path, text: &mut String) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), text);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        text.push_str(&std::fs::read_to_string(path).unwrap());
    }
}
